// How requests reach the Engine: a unix socket, TCP, TCP with TLS, or a unix socket through ssh.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "../lib/async.ts";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { machineOf, type DockerHost, type DockerTls } from "./host.ts";

export interface Transport {
  /** The Engine's address for messages. */
  readonly name: string;
  /** The start of every request's URL; the path follows it. */
  readonly base: string;
  /** The options that every `fetch` needs. */
  readonly init: BunFetchRequestInit;
  /** The Engine's host name if it runs on another machine; undefined for this one. */
  readonly remoteHost: string | undefined;
  /** Connects if that is needed, such as after an ssh connection broke. */
  open(): Promise<void>;
  close(): void;
}

/**
 * Makes the transport to an Engine.
 * @throws GatewayError `docker` if a certificate cannot be read
 */
export function createTransport(host: DockerHost, tls: DockerTls | undefined): Transport {
  switch (host.kind) {
    case "unix":
      return direct(`unix://${host.path}`, "http://docker", { unix: host.path }, undefined);
    case "tcp": {
      const name = `tcp://${host.authority}`;
      const base = `${tls ? "https" : "http"}://${host.authority}${host.basePath}`;
      const init = tls === undefined ? {} : { tls: readCertificates(tls) };
      return direct(name, base, init, machineOf(host));
    }
    case "ssh":
      return new SshTransport(host);
  }
}

function direct(
  name: string,
  base: string,
  init: BunFetchRequestInit,
  remoteHost: string | undefined,
): Transport {
  return { name, base, init, remoteHost, open: () => Promise.resolve(), close: () => undefined };
}

function readCertificates({ certPath, files, verify, hint }: DockerTls) {
  const read = (name: string): string => {
    const path = join(certPath, `${name}.pem`);
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new GatewayError("docker", `Cannot read "${path}": ${errorMessage(error)}`, {
        hint,
        cause: error,
      });
    }
  };
  const certificates = Object.fromEntries(files.map((name) => [name, read(name)]));
  return verify ? certificates : { ...certificates, rejectUnauthorized: false };
}

/** How long ssh may take to connect, in milliseconds: a host may be far and a key agent slow. */
const SSH_TIMEOUT = 20_000;

/** Lets the `ssh` program forward a unix socket on this machine to the Engine's. */
class SshTransport implements Transport {
  readonly name: string;
  readonly base = "http://docker";
  readonly init: BunFetchRequestInit;
  readonly remoteHost: string | undefined;
  readonly #dir: string;
  readonly #socket: string;
  readonly #args: readonly string[];
  #process: Bun.Subprocess<"ignore", "ignore", "pipe"> | undefined;

  constructor(host: Extract<DockerHost, { kind: "ssh" }>) {
    this.name = `ssh://${host.destination}`;
    this.remoteHost = machineOf(host);
    this.#dir = mkdtempSync(join(tmpdir(), "docker-api-gateway-ssh-"));
    this.#socket = join(this.#dir, "docker.sock");
    this.init = { unix: this.#socket };
    this.#args = [
      "-nNT",
      // ssh notices within 30 s (3 times 10 s) that the other side does not answer any more.
      "-oBatchMode=yes",
      "-oExitOnForwardFailure=yes",
      "-oServerAliveInterval=10",
      "-oServerAliveCountMax=3",
      "-oStreamLocalBindUnlink=yes",
      `-L${this.#socket}:${host.path}`,
      ...(host.port === "" ? [] : ["-p", host.port]),
      host.destination,
    ];
  }

  async open(): Promise<void> {
    if (this.#process !== undefined && isRunning(this.#process)) return;
    // The socket of an ssh that has ended. Removed first: the new one may be quick to make its own.
    rmSync(this.#socket, { force: true });
    const ssh = this.#spawn();
    this.#process = ssh;
    const deadline = Date.now() + SSH_TIMEOUT;
    while (Date.now() < deadline) {
      if (!isRunning(ssh)) {
        const said = await new Response(ssh.stderr).text();
        throw new GatewayError("docker", `Cannot reach Docker at "${this.name}": ssh failed`, {
          lines: said.trim().split("\n"),
          hint: `try: ssh ${this.name.slice("ssh://".length)} docker version`,
        });
      }
      if (await exists(this.#socket)) return;
      await pause(20);
    }
    ssh.kill();
    this.#process = undefined;
    throw new GatewayError(
      "docker",
      `Cannot reach Docker at "${this.name}": ssh gave no connection in ${SSH_TIMEOUT / 1000} s`,
    );
  }

  close(): void {
    this.#process?.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #spawn(): Bun.Subprocess<"ignore", "ignore", "pipe"> {
    try {
      return Bun.spawn(["ssh", ...this.#args], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
    } catch (error) {
      throw new GatewayError("docker", `Cannot run "ssh": ${errorMessage(error)}`, {
        hint: "install the OpenSSH client, or use another DOCKER_HOST",
        cause: error,
      });
    }
  }
}

/** A process that a signal ended has no exit code. */
function isRunning({ exitCode, signalCode }: Bun.Subprocess): boolean {
  return exitCode === null && signalCode === null;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
