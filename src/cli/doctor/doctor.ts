// `docker-api-gateway doctor`: everything the gateway needs, looked at one by one.

import type { Command, CommandIo } from "../command.ts";
import { describeError, GatewayError, systemCode } from "../../lib/errors.ts";
import { parseOptions, type Options } from "../options.ts";
import { prepare, preparePaths } from "../setup.ts";
import { checkConfiguration, checkDocker, checkOutput } from "./files.ts";
import type { Check, Finding, HaproxySockets } from "./check.ts";
import { checkLimits, checkListen, checkProgram, checkReload } from "./haproxy.ts";
import { askSockets, checkSockets } from "./sockets.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";

export const doctorCommand: Command = {
  name: "doctor",
  description: "Look whether everything is there that the gateway needs",
  flags: GATEWAY_FLAGS,
  examples: [["docker-api-gateway doctor", "with the flags that the gateway is run with"]],
  async run({ values }, io) {
    const options = parseOptions(values);
    let failed = false;
    for (const [title, check] of await checksOf(options, io)) {
      const { level, lines } = await find(check);
      const [first = "", ...rest] = lines;
      io.write(`${level.padEnd(8)} ${title}: ${first}\n`);
      for (const line of rest) io.write(`${" ".repeat(9)}${line.trim()}\n`);
      failed ||= level === "failure";
    }
    return failed ? 1 : 0;
  },
};

/** Everything that is looked at, by its title. */
async function checksOf(
  options: Options,
  io: CommandIo,
): Promise<readonly (readonly [title: string, check: Check])[]> {
  const { haproxy, listen, dockerHost } = options;
  const paths = preparePaths(haproxy, io.env);
  const ask = (): Promise<HaproxySockets> => askSockets(haproxy, paths);
  const sockets = await ask();
  const log = io.logger({ ...options.log, level: "error" });
  return [
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
  ];
}

/** A check that throws has found a failure; what neither we nor the system says is a bug. */
async function find(check: Check): Promise<Finding> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof GatewayError) && systemCode(error) === "") throw error;
    return { level: "failure", lines: describeError(error) };
  }
}
