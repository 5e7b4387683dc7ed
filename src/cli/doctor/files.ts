// The doctor's checks of Docker, of the folder for the configuration, and of the configuration.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Environment } from "../command.ts";
import { chooseDocker, type GivenEngine } from "../../docker/choice.ts";
import { Engines } from "../../docker/engines.ts";
import { describeError, errorMessage, GatewayError } from "../../lib/errors.ts";
import { checkConfig } from "../../haproxy/process/check.ts";
import { requirePrivate } from "../../gateway/host.ts";
import type { Logger } from "../../lib/log.ts";
import type { Paths } from "../../gateway/paths.ts";
import type { Files, Snapshot } from "../../model.ts";
import { desiredFor, type Setup } from "../setup.ts";
import { failure, ok, type Finding, type HaproxySockets } from "./check.ts";

/** Checks that an Engine answers everything that the gateway asks. */
export async function checkDocker(given: GivenEngine, env: Environment): Promise<Finding> {
  const engines = Engines.open([given], env, "never");
  const [client] = engines.clients;
  if (client === undefined)
    throw new GatewayError("bug", "Cannot check Docker: there is no Engine");
  const { context } = chooseDocker(given.url, env);
  const from = context === undefined ? "" : `context ${context}: `;
  const end = new AbortController();
  try {
    const { apiVersion } = await client.connect(end.signal);
    const containers = await client.listContainers(end.signal);
    await client.listNetworks(end.signal);
    await client.events(Math.floor(Date.now() / 1000), end.signal);
    const running = counted(containers.length, "running container");
    return ok(`${from}${client.transport.name}, API ${apiVersion}, ${running}`);
  } catch (error) {
    if (context === undefined || !(error instanceof GatewayError)) throw error;
    return {
      level: "failure",
      lines: [...describeError(error), `docker context "${context}" names it`],
    };
  } finally {
    end.abort();
    engines.close();
  }
}

/** Checks that the folder of the configuration can be written. */
export function checkOutput(paths: Paths, sockets: HaproxySockets): Finding {
  const { output, managed, privateFolders } = paths;
  for (const path of privateFolders) requirePrivate(path);
  // If the gateway runs HAProxy itself, it makes the folder.
  const folder = managed ? nearestFolder(dirname(output)) : dirname(output);
  const probe = join(folder, `.docker-api-gateway.${process.pid}`);
  try {
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    return failure(
      `${folder} cannot be written: ${errorMessage(error)}`,
      "run as a user that may, or name another --output-file",
    );
  }
  const isForeign = existsSync(output) && sockets.unreadable === "" && !sockets.isOwnConfig;
  return ok(`${output}${isForeign ? " (somebody else's now: it is kept under another name)" : ""}`);
}

function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

/** Checks that the template works, and that HAProxy accepts what it makes. */
export async function checkConfiguration(
  setup: Setup,
  program: string,
  log: Logger,
): Promise<Finding> {
  const { snapshot, note } = await readSnapshot(setup.engines, log);
  const { files, model } = desiredFor(setup, snapshot);
  await checkInOwnFolder(program, files, setup.certificates.texts, setup.files.output);
  const routes = model.services.flatMap((service) => service.routes);
  return ok(`accepted by HAProxy, with ${counted(routes.length, "route")}${note}`);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

async function readSnapshot(
  engines: Engines,
  log: Logger,
): Promise<{ readonly snapshot: Snapshot; readonly note: string }> {
  try {
    return { snapshot: await engines.readOnce(log), note: "" };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const snapshot: Snapshot = { containers: [], drivers: {}, gateways: [] };
    return { snapshot, note: ", without Docker's containers" };
  } finally {
    engines.close();
  }
}

/**
 * Lets HAProxy check the files in a folder of their own. Beside the output a running gateway has
 * candidates with the same names.
 * @param certificates by path: without a gateway, nobody has put them there
 */
async function checkInOwnFolder(
  program: string,
  { config, assets }: Files,
  certificates: ReadonlyMap<string, string>,
  shownAs: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "docker-api-gateway-doctor-"));
  const texts = [
    ...Object.entries(assets).map(([path, { text }]) => [path, text] as const),
    ...certificates,
  ];
  const moved = (text: string): string =>
    texts.reduce((all, [path]) => all.replaceAll(path, join(folder, basename(path))), text);
  try {
    for (const [path, text] of texts) writeFileSync(join(folder, basename(path)), moved(text));
    const candidate = join(folder, basename(shownAs));
    writeFileSync(candidate, moved(config));
    await checkConfig(program, candidate, shownAs, config);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
