// `docker-api-gateway doctor`: everything the gateway needs, looked at one by one.

import type { Command } from "../command.ts";
import { describeError, GatewayError, systemCode } from "../../lib/errors.ts";
import { parseOptions } from "../options.ts";
import { preparePaths } from "../setup.ts";
import { checkConfiguration, checkDocker, checkOutput } from "./files.ts";
import type { Check, Finding, Subject } from "./check.ts";
import { checkLimits, checkListen, checkProgram, checkReload } from "./haproxy.ts";
import { askSockets, checkSockets } from "./sockets.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";

const CHECKS: readonly (readonly [title: string, check: Check])[] = [
  ["Docker", checkDocker],
  ["HAProxy", checkProgram],
  ["Output", checkOutput],
  ["Sockets", checkSockets],
  ["Reload", checkReload],
  ["Listen", checkListen],
  ["Configuration", checkConfiguration],
  ["Limits", checkLimits],
];

export const doctorCommand: Command = {
  name: "doctor",
  description: "Look whether everything is there that the gateway needs",
  flags: GATEWAY_FLAGS,
  examples: [["docker-api-gateway doctor", "with the flags that the gateway is run with"]],
  async run({ values }, io) {
    const options = parseOptions(values);
    const paths = preparePaths(options, io.env);
    const subject = { options, io, paths, sockets: await askSockets(options, paths) };
    let failed = false;
    for (const [title, check] of CHECKS) {
      const { level, lines } = await find(check, subject);
      const [first = "", ...rest] = lines;
      io.write(`${level.padEnd(8)} ${title}: ${first}\n`);
      for (const line of rest) io.write(`${" ".repeat(9)}${line.trim()}\n`);
      failed ||= level === "failure";
    }
    return failed ? 1 : 0;
  },
};

/** A check that throws has found a failure; what neither we nor the system says is a bug. */
async function find(check: Check, subject: Subject): Promise<Finding> {
  try {
    return await check(subject);
  } catch (error) {
    if (!(error instanceof GatewayError) && systemCode(error) === "") throw error;
    return { level: "failure", lines: describeError(error) };
  }
}
