// A HAProxy that is only played: it reads its files when it is told to, and answers on a socket.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mapEntries } from "../../src/config/map-file.ts";
import { parseConfig } from "../../src/config/sections.ts";
import { bareAddress, serversIn } from "../../src/config/servers.ts";
import type { Haproxy } from "../../src/haproxy/process/external.ts";

interface PlayedServer {
  address: string;
  port: string;
  /** 0: it gets requests; 1: in maintenance; 8: drained. */
  admin: number;
}

export class PlayedHaproxy implements Haproxy {
  readonly statsSocket: string;
  /** Nobody listens there: its former workers cannot be told. */
  readonly masterSocket: string;
  /** The program that checks configurations: it refuses those with the word `refused`. */
  readonly program: string;
  /** Every command that it was sent but questions. */
  readonly told: string[] = [];
  /** When it was told to reload, in milliseconds since 1970. */
  readonly reloads: number[] = [];
  version = "3.4.7";
  /** The configuration that it reads. */
  output = "";
  /** What a reload fails with; undefined where it does not. */
  failure: Error | undefined;
  /** Commands that it refuses. */
  refuses: RegExp | undefined;
  /** The numbers of its processes; none where it does not run. */
  processes: readonly number[] = [];
  #process = 1;
  readonly #servers = new Map<string, PlayedServer>();
  readonly #backends = new Set<string>();
  readonly #maps = new Map<string, Map<string, string>>();
  readonly #listener: Bun.UnixSocketListener<undefined>;

  constructor(dir: string) {
    this.statsSocket = join(dir, "admin.sock");
    this.masterSocket = join(dir, "master.sock");
    this.program = join(dir, "check");
    const script = `#!/bin/sh\ngrep -q refused "$3" || exit 0\necho "[ALERT] (1) : refused"\nexit 1\n`;
    writeFileSync(this.program, script, { mode: 0o755 });
    this.#listener = Bun.listen({
      unix: this.statsSocket,
      socket: {
        data: (socket, chunk) => {
          socket.end(this.#answer(chunk.toString().trimEnd()));
        },
      },
    });
  }

  /** Makes it read these files. */
  read(config: string): void {
    const sections = parseConfig(config);
    this.#process++;
    this.#servers.clear();
    this.#backends.clear();
    this.#maps.clear();
    for (const { kind, name } of sections) if (kind === "backend") this.#backends.add(name);
    for (const { backend, server } of serversIn(sections)) {
      const [address, admin] = [bareAddress(server), server.disabled ? 1 : 0];
      this.#servers.set(`${backend}/${server.name}`, { address, port: server.port, admin });
    }
    for (const [path = ""] of config.matchAll(/[^\s,()]+\.map/g)) {
      this.#maps.set(path, new Map(mapEntries(readFileSync(path, "utf8").split("\n"))));
    }
  }

  /** Where each server is and what it is told, by `backend/server`. */
  get servers(): Record<string, string> {
    return Object.fromEntries(
      [...this.#servers].map(([key, { address, port, admin }]) => {
        const state = admin === 0 ? "ready" : admin === 8 ? "drain" : "maint";
        return [key, `${address}:${port} ${state}`];
      }),
    );
  }

  reload(): Promise<void> {
    this.reloads.push(Date.now());
    if (this.failure !== undefined) return Promise.reject(this.failure);
    this.read(readFileSync(this.output, "utf8"));
    return Promise.resolve();
  }

  lastRead(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  pids(): Promise<readonly number[]> {
    return Promise.resolve(this.processes);
  }

  whyReload(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    this.#listener.stop(true);
    return Promise.resolve();
  }

  #answer(line: string): string {
    const [first = "", ...payload] = line.split("\n");
    if (payload.length > 0) return `${this.#do([...first.split(" "), ...payload])}\n`;
    return first
      .split(";")
      .map((command) => `${this.#do(command.split(" "))}\n`)
      .join("");
  }

  #do(words: readonly string[]): string {
    const command = words.join(" ");
    const [verb = "", kind = "", name = "", ...rest] = words;
    if (verb === "show") return this.#show(kind, name);
    this.told.push(command);
    if (this.refuses?.test(command) === true) return "I will not.";
    if (kind === "server") return this.#doServer(verb, name, rest);
    if (kind === "map") return this.#doMap(verb, name, rest);
    if (kind !== "backend") return "";
    if (verb === "add") this.#backends.add(name);
    if (verb !== "del") return verb === "add" ? "New backend registered." : "";
    return this.#backends.delete(name) ? "Backend deleted." : "No such backend.";
  }

  #doServer(verb: string, name: string, [word = "", value = ""]: readonly string[]): string {
    const server = this.#servers.get(name);
    if (verb === "add") {
      const [address = "", port = ""] = word.split(":");
      this.#servers.set(name, { address, port, admin: 1 });
      return "New server registered.";
    }
    if (server === undefined) return "No such server.";
    if (verb === "del") this.#servers.delete(name);
    if (word === "addr")
      [server.address, server.port] = [value, this.told.at(-1)?.split(" ").at(-1) ?? ""];
    if (word === "state") server.admin = value === "ready" ? 0 : value === "drain" ? 8 : 1;
    return verb === "del" ? "Server deleted." : "";
  }

  #doMap(verb: string, path: string, [key = "", value = ""]: readonly string[]): string {
    const entries = this.#maps.get(path);
    if (entries === undefined) return "Unknown map.";
    if (verb === "del") entries.delete(key);
    else entries.set(key, value);
    return "";
  }

  #show(kind: string, name: string): string {
    const lines = {
      info: [`Version: ${this.version}`, `Pid: ${this.#process}`, "Start_time_sec: 1"],
      servers: ["1", "#", ...[...this.#servers].map(([key, server]) => stateOf(key, server))],
      map: [...(this.#maps.get(name) ?? [])].map((entry) => `0x1 ${entry.join(" ")}`),
      backend: ["# name", ...this.#backends],
      stat: ["# pxname,svname"],
      cli: ["admin"],
    }[kind];
    return lines?.join("\n") ?? "Unknown command.";
  }
}

/** A line of `show servers state`. */
function stateOf(key: string, { address, port, admin }: PlayedServer): string {
  const [backend, server] = key.split("/");
  return `1 ${backend} 1 ${server} ${address} 2 ${admin} 1 1 0 6 3 4 6 0 0 0 - ${port} - 0 0 - - 0`;
}
