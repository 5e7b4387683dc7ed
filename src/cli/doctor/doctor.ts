// src/cli/doctor is `docker-api-gateway doctor`: it checks everything that the gateway needs. This
// file runs the checks of files.ts, haproxy.ts, sockets.ts and served.ts one after the other and prints each
// finding, whose form is in check.ts. Like all of src/cli it may import every room, but neither
// main.ts nor dockerode.

import type { Command, CommandIo } from "../command.ts";
import { describeError, GatewayError, systemCode } from "../../lib/errors.ts";
import type { StateDocument } from "../../api/state.ts";
import { ASK_FLAGS, askedGateway, flagsOfRunning } from "../asked-gateway.ts";
import { parseOptions, type Options } from "../options.ts";
import { prepare, preparePaths } from "../setup.ts";
import { checkConfiguration, checkDocker, checkOutput } from "./files.ts";
import type { Check, Finding, HaproxySockets } from "./check.ts";
import { checkLimits, checkListen, checkProgram, checkReload } from "./haproxy.ts";
import { checkProcesses } from "./processes.ts";
import { checkGateway, checkServed, judgeServed } from "./served.ts";
import { askSockets, checkSockets } from "./sockets.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";

export const doctorCommand: Command = {
  name: "doctor",
  description: "Look whether everything is there that the gateway needs",
  flags: { ...ASK_FLAGS, ...GATEWAY_FLAGS },
  examples: [
    ["docker-api-gateway doctor", "the gateway that runs here"],
    ["docker-api-gateway doctor --manage-haproxy", "one that is to run with these flags"],
  ],
  async run(words, io) {
    const { gateway: _, ...raw } = words.values;
    parseOptions(raw);
    const state = await (await askedGateway(words, io))?.state();
    const options = parseOptions(
      state === undefined ? raw : { ...flagsOfRunning(state), "log-level": raw["log-level"] },
    );
    let failed = false;
    for (const [title, check] of await checksOf(options, io, state)) {
      const { level, lines } = await runCheck(check);
      const [first = "", ...rest] = lines;
      io.write(`${level.padEnd(8)} ${title}: ${first}\n`);
      for (const line of rest) io.write(`${" ".repeat(9)}${line.trim()}\n`);
      failed ||= level === "failure";
    }
    return failed ? 1 : 0;
  },
};

/**
 * All checks, each with its title.
 * @param state of the running gateway; undefined: it is about one with these options
 */
async function checksOf(
  options: Options,
  io: CommandIo,
  state: StateDocument | undefined,
): Promise<readonly (readonly [title: string, check: Check])[]> {
  const { haproxy, listen, dockerHost } = options;
  const paths = preparePaths(haproxy, io.env);
  const ask = (): Promise<HaproxySockets> => askSockets(haproxy, paths);
  const sockets = await ask();
  const log = io.logger({ ...options.log, level: "error" });
  const about: (readonly [string, Check])[] =
    state === undefined ? [] : [["Gateway", () => checkGateway(state)]];
  return [
    ...about,
    ["Docker", () => checkDocker(dockerHost, io.env)],
    ["HAProxy", () => checkProgram(haproxy.program, sockets)],
    ["Output", () => checkOutput(paths, sockets)],
    ["Sockets", () => checkSockets(paths, sockets)],
    ["Reload", () => checkReload(haproxy.reloadCommand, paths)],
    ["Listen", () => checkListen(listen, paths, sockets, ask)],
    [
      "Configuration",
      async () => checkConfiguration(await prepare(options, io.env, log), haproxy.program, log),
    ],
    ["Limits", () => checkLimits(sockets)],
    ["Processes", () => checkProcesses(dockerHost, io.env, paths, log)],
    [
      "Served",
      () => (state === undefined ? checkServed(options, paths, io.env, log) : judgeServed(state)),
    ],
  ];
}

/**
 * Runs a check. If it throws an error of the gateway's or the system's, it has found a failure. Any
 * other error is a bug and is thrown on.
 */
async function runCheck(check: Check): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof GatewayError) && systemCode(error) === "") throw error;
    return { level: "failure", lines: describeError(error) };
  }
}
