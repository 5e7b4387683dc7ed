// `docker-api-gateway doctor`: everything the gateway needs, looked at one by one.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command, CommandIo } from "../command.ts";
import { makeDesired } from "../desired.ts";
import { Store } from "../docker/store.ts";
import { describeError, errorMessage, GatewayError } from "../errors.ts";
import { checkConfig, haproxyVersion } from "../haproxy/check.ts";
import { showProcesses } from "../haproxy/master.ts";
import { askHaproxy } from "../haproxy/socket.ts";
import { statsSocket } from "../haproxy-config.ts";
import { listenersOn } from "../listeners.ts";
import { currentReach } from "../machine.ts";
import type { Snapshot } from "../model.ts";
import { DEFAULT_RELOAD_COMMAND, listenPort, parseOptions, type Options } from "../options.ts";
import { isOwnConfig } from "../render.ts";
import { dockerClient, prepare, prepareLayout } from "../setup.ts";
import { compareVersions } from "../version.ts";
import { GATEWAY_FLAGS } from "./flags.ts";

interface Finding {
  readonly level: "ok" | "warning" | "failure";
  readonly what: string;
  readonly details: readonly string[];
}

type Check = (options: Options, io: CommandIo) => Promise<Finding> | Finding;

/** HAProxy needs about two for each connection, and some for its servers' checks. */
const FEW_FILES = 4_096;

export const doctorCommand: Command = {
  name: "doctor",
  description: "Look whether everything is there that the gateway needs",
  flags: GATEWAY_FLAGS,
  examples: [["docker-api-gateway doctor", "with the flags that the gateway is run with"]],
  async run({ values }, io) {
    const options = parseOptions(values);
    let failed = false;
    for (const check of CHECKS) {
      const { level, what, details } = await find(check, options, io);
      const [first = "", ...rest] = details;
      io.write(`${level.padEnd(8)} ${what}: ${first}\n`);
      for (const line of rest) io.write(`${" ".repeat(9)}${line.trim()}\n`);
      failed ||= level === "failure";
    }
    return failed ? 1 : 0;
  },
};

/** A check that throws has found a failure. */
async function find(check: Check, options: Options, io: CommandIo): Promise<Finding> {
  try {
    return await check(options, io);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return {
      level: "failure",
      what: check.name.replace(/^check/, ""),
      details: describeError(error),
    };
  }
}

const CHECKS: readonly Check[] = [
  checkDocker,
  checkHaproxy,
  checkOutput,
  checkSockets,
  checkReload,
  checkListen,
  checkConfiguration,
  checkLimits,
];

async function checkDocker(options: Options, io: CommandIo): Promise<Finding> {
  const client = dockerClient(options, io.env);
  try {
    const { apiVersion } = await client.connect(new AbortController().signal);
    return ok("Docker", `${client.transport.name}, API ${apiVersion}`);
  } finally {
    client.transport.close();
  }
}

async function checkHaproxy(options: Options): Promise<Finding> {
  const version = await haproxyVersion(options.haproxy);
  const abilities =
    compareVersions(version, "3.4") >= 0
      ? "changes servers, routes and services without a reload"
      : "changes servers and routes without a reload, and up to 64 new services";
  return ok("HAProxy", `${version}, ${abilities}`);
}

function checkOutput(options: Options, io: CommandIo): Finding {
  const { output } = prepareLayout(options, io.env);
  const folder = dirname(output);
  const probe = join(folder, `.docker-api-gateway.${process.pid}`);
  try {
    if (options.outputFile === undefined) mkdirSync(folder, { recursive: true });
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    return failure("Output", `${folder} cannot be written: ${errorMessage(error)}`, [
      "run as a user that may, or name another --output-file",
    ]);
  }
  const isForeign = existsSync(output) && !isOwnConfig(readFileSync(output, "utf8"));
  return ok(
    "Output",
    `${output}${isForeign ? " (somebody else's now: it is kept under another name)" : ""}`,
  );
}

async function checkSockets(options: Options, io: CommandIo): Promise<Finding> {
  const { output, masterSocket, managed } = prepareLayout(options, io.env);
  const config = existsSync(output) ? readFileSync(output, "utf8") : "";
  const stats = statsSocket(config);
  if (stats === undefined || !isOwnConfig(config)) {
    return warning("Sockets", "HAProxy does not run a configuration of the gateway's yet", [
      "they are looked at once the gateway has run",
    ]);
  }
  const details = [await answersAt("stats socket", stats, () => askHaproxy(stats, "show info"))];
  if (managed || existsSync(masterSocket)) {
    details.push(await answersAt("master socket", masterSocket, () => showProcesses(masterSocket)));
  }
  const bad = details.filter(({ problem }) => problem !== "");
  if (bad.length === 0) return ok("Sockets", details.map(({ name }) => name).join(", "));
  return failure("Sockets", bad.map(({ name, problem }) => `${name}: ${problem}`).join("; "), [
    "is HAProxy running, and may this user open its sockets?",
  ]);
}

async function answersAt(kind: string, path: string, ask: () => Promise<unknown>) {
  const problem = await ask().then(() => "", errorMessage);
  return { name: `${kind} ${path}`, problem };
}

function checkReload(options: Options, io: CommandIo): Finding {
  const { managed, masterSocket } = prepareLayout(options, io.env);
  if (managed) return ok("Reload", "the gateway runs HAProxy itself");
  if (options.reloadCommand === undefined && existsSync(masterSocket)) {
    return ok("Reload", `through ${masterSocket}`);
  }
  const command = options.reloadCommand ?? DEFAULT_RELOAD_COMMAND;
  const program = Bun.which(command[0] ?? "");
  if (program !== null) return ok("Reload", command.join(" "));
  return failure("Reload", `there is no program ${command[0]}`, [
    "name another --reload-cmd, or use --manage-haproxy",
  ]);
}

function checkListen(options: Options): Finding {
  const held = options.listen.flatMap((address) =>
    listenersOn(listenPort(address)).map(({ pid, program }) => ({ address, pid, program })),
  );
  const others = held.filter(({ program }) => program !== "haproxy");
  const describe = ({ address, pid, program }: (typeof held)[number]): string =>
    `${address} is held by ${program}${pid === undefined ? "" : ` (process ${pid})`}`;
  if (others.length > 0) {
    return failure("Listen", others.map(describe).join(", "), [
      "end that program, or use another --listen",
    ]);
  }
  if (held.length > 0) return ok("Listen", held.map(describe).join(", "));
  const low = options.listen.filter((address) => listenPort(address) < 1024);
  if (low.length > 0 && process.getuid?.() !== 0) {
    return warning("Listen", `${low.join(", ")}: ports below 1024 are root's`, [
      "fine where HAProxy starts as root; else use --listen '*:8080'",
    ]);
  }
  return ok("Listen", `${options.listen.join(", ")} free`);
}

async function checkConfiguration(options: Options, io: CommandIo): Promise<Finding> {
  const log = io.logger({ ...options, logLevel: "error" });
  const { client, files, settings, template } = await prepare(options, io.env, log);
  const { snapshot, note } = await readSnapshot(client);
  const [newest] = template.candidates();
  if (newest === undefined) throw new GatewayError("bug", "Cannot render: there is no template");
  const reach = currentReach(snapshot, client.transport.remoteHost);
  const { files: rendered, model } = makeDesired(snapshot, reach, settings, newest, () =>
    new Date().toISOString(),
  );
  const { checkPath } = await files.stage(rendered);
  try {
    await checkConfig(options.haproxy, checkPath, files.output);
  } finally {
    await files.discard(rendered);
  }
  return ok("Configuration", `accepted by HAProxy, with ${model.routes.length} routes${note}`);
}

async function readSnapshot(client: ReturnType<typeof dockerClient>) {
  const store = new Store(client, () => undefined);
  const { signal } = new AbortController();
  try {
    await client.connect(signal);
    store.markAll();
    await store.refresh(signal);
    return { snapshot: store.snapshot(), note: "" };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const snapshot: Snapshot = { containers: [], drivers: {}, gateways: [] };
    return { snapshot, note: ", without Docker's containers" };
  } finally {
    client.transport.close();
  }
}

function checkLimits(): Finding {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const [, hard = "0"] = /^Max open files\s+\S+\s+(\S+)/m.exec(limits) ?? [];
  const files = hard === "unlimited" ? Infinity : Number(hard);
  const text = `${hard} open files at most`;
  if (files >= FEW_FILES) return ok("Limits", text);
  return warning("Limits", text, ["raise it (ulimit -Hn, or LimitNOFILE= in the unit)"]);
}

function ok(what: string, detail: string): Finding {
  return { level: "ok", what, details: [detail] };
}

function warning(what: string, detail: string, hints: readonly string[]): Finding {
  return { level: "warning", what, details: [detail, ...hints] };
}

function failure(what: string, detail: string, hints: readonly string[]): Finding {
  return { level: "failure", what, details: [detail, ...hints] };
}
