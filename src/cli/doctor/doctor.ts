// src/cli/doctor is `docker-api-gateway doctor`: it checks everything that the gateway needs. This
// file runs the checks of the other files side by side and prints each finding, whose form is in check.ts. Like all of src/cli it may import every room, but neither
// main.ts nor dockerode.

import type { AcmeOptions } from "../../acme/acme.ts";
import { certificatesDocument, type CertificatesDocument } from "../../api/certificates.ts";
import type { GatewayClient } from "../../api/client.ts";
import { isWildcard } from "../../lib/places.ts";
import { acmeOptionsOf } from "../acme-options.ts";
import { httpsBeside, modelBeside } from "../beside.ts";
import type { Command, CommandIo } from "../command.ts";
import { checkAuthority, checkNames } from "./authority.ts";
import { judgeCertificates } from "./certificates.ts";
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
    const gateway = await askedGateway(words, io);
    const state = await gateway?.state();
    const options = parseOptions(
      state === undefined ? raw : { ...flagsOfRunning(state), "log-level": raw["log-level"] },
    );
    let failed = false;
    const checks = await checksOf(options, io, gateway, state);
    const running = checks.map(([title, check]) => ({ title, finding: runCheck(check) }));
    // One that fails with a bug must not end the program before its turn.
    const all = Promise.allSettled(running.map(({ finding }) => finding));
    for (const { title, finding } of running) {
      const { level, lines } = await finding;
      const [first = "", ...rest] = lines;
      io.write(`${level.padEnd(8)} ${title}: ${first}\n`);
      for (const line of rest) io.write(`${" ".repeat(9)}${line.trim()}\n`);
      failed ||= level === "failure";
    }
    await all;
    return failed ? 1 : 0;
  },
};

/**
 * All checks, each with its title.
 * @param gateway the one that runs; undefined: it is about one with these options
 * @param state of the running gateway
 */
async function checksOf(
  options: Options,
  io: CommandIo,
  gateway: GatewayClient | undefined,
  state: StateDocument | undefined,
): Promise<readonly (readonly [title: string, check: Check])[]> {
  const { haproxy, listen, engines, tls, acme } = options;
  const https = tls?.listen ?? [];
  const paths = preparePaths(haproxy, io.env);
  const ask = (): Promise<HaproxySockets> => askSockets(haproxy, paths);
  const sockets = await ask();
  const log = io.logger({ ...options.log, level: "error" });
  const about: (readonly [string, Check])[] =
    state === undefined ? [] : [["Gateway", () => checkGateway(state)]];
  return [
    ...about,
    ...engines.map((engine): readonly [string, Check] => [
      engine.name === "" ? "Docker" : `Docker ${engine.name}`,
      () => checkDocker(engine, io.env),
    ]),
    ["HAProxy", () => checkProgram(haproxy.program, sockets)],
    ["Output", () => checkOutput(paths, sockets)],
    ["Sockets", () => checkSockets(paths, sockets)],
    ["Reload", () => checkReload(haproxy.reloadCommand, paths)],
    ["Listen", () => checkListen({ http: listen, https }, paths, sockets, ask)],
    [
      "Configuration",
      async () => checkConfiguration(await prepare(options, io.env, log), haproxy.program, log),
    ],
    ["Limits", () => checkLimits(sockets)],
    ["Processes", () => checkProcesses(options, io.env, paths, log)],
    ...(tls === undefined ? [] : aboutHttps()),
    [
      "Served",
      () => (state === undefined ? checkServed(options, paths, io.env, log) : judgeServed(state)),
    ],
  ];

  function aboutHttps(): readonly (readonly [string, Check])[] {
    const read = async (): Promise<CertificatesDocument> => {
      if (gateway !== undefined) return gateway.certificates();
      const found = await httpsBeside(options, io.env, paths.output);
      const model = await modelBeside(options, paths.output, io.env, log);
      return certificatesDocument(found, model?.services ?? [], Date.now());
    };
    const reading = read();
    const judge = async (): Promise<Finding> => judgeCertificates(await reading);
    const chosen = acmeOptionsOf(acme, io.env);
    if (chosen === undefined) return [["Certificates", judge]];
    const check = gateway === undefined ? undefined : (name: string) => gateway.check(name);
    return [
      ["Certificates", judge],
      ["Authority", () => checkAuthority(chosen, listen)],
      ["Names", async () => checkNames(namesOf(await reading, chosen), chosen, check)],
    ];
  }
}

/** The hosts for which the authority is asked, or is to be. */
function namesOf({ certificates }: CertificatesDocument, { dns }: AcmeOptions): readonly string[] {
  const asked = certificates.filter(
    ({ name, routed, source, authority }) =>
      routed && (authority !== "" || source !== "file") && (dns !== undefined || !isWildcard(name)),
  );
  return [...new Set(asked.map(({ name }) => name))];
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
