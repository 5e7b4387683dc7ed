// What a command that runs beside the gateway finds out for itself: what is served, with which certificates,
// and which ports of TCP somebody else has.

import { currentReach } from "../gateway/host.ts";
import { LabelFiles } from "../gateway/label-files.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { findTaken } from "../gateway/tcp-ports.ts";
import type { Model, Reach, Snapshot } from "../model.ts";
import { createRouter } from "../routing/routing.ts";
import { withFiles } from "../routing/settings/files.ts";
import type { Https } from "../api/certificates.ts";
import { beside } from "../haproxy/files/files.ts";
import { chooseCertificates } from "../routing/certificates.ts";
import { authorityOf } from "./acme-options.ts";
import type { Environment } from "./command.ts";
import type { Options } from "./options.ts";
import { openCertificates, openEngines } from "./setup.ts";

/**
 * Decides what is served, as the gateway does.
 * @param output the configuration of the gateway: HAProxy has its ports already
 */
export async function routeBeside(
  snapshot: Snapshot,
  reach: Reach,
  { routing, listen }: Pick<Options, "routing" | "listen">,
  output: string,
): Promise<Model> {
  const router = createRouter();
  const model = router(snapshot, reach, routing);
  const taken = await findTaken(model.services, listen, await readConfig(output));
  return Object.keys(taken).length === 0 ? model : router(snapshot, reach, { ...routing, taken });
}

/** Docker answers within tens of milliseconds. After this time it is gone on without. In ms. */
const DOCKER_PATIENCE = 3_000;

/** What is served, with the files that labels name; undefined if Docker does not answer. */
export async function modelBeside(
  options: Pick<Options, "routing" | "listen" | "engines" | "swarm" | "labelFiles">,
  output: string,
  env: Environment,
  log: Logger,
): Promise<Model | undefined> {
  const signal = AbortSignal.timeout(DOCKER_PATIENCE);
  try {
    const engines = openEngines(options, env);
    try {
      const snapshot = await engines.readOnce(log, { signal });
      const reach = currentReach(snapshot, engines.remoteHost);
      const model = await routeBeside(snapshot, reach, options, output);
      const { read } = new LabelFiles(options.labelFiles);
      return withFiles(model, read, options.routing.labelPrefix);
    } finally {
      engines.close();
    }
  } catch (error) {
    if (error instanceof GatewayError || signal.aborted) return undefined;
    throw error;
  }
}

/**
 * Decides which certificates are shown, as the gateway does. What an authority does nobody knows but a gateway
 * that runs.
 * @throws GatewayError `usage` if a folder is not there
 */
export async function httpsBeside(
  options: Pick<Options, "tls" | "acme">,
  env: Environment,
  output: string,
): Promise<Https> {
  const certificates = openCertificates(options, env, (file) => beside(output, file));
  await certificates.look(Date.now());
  return {
    options: options.tls,
    authority: authorityOf(options.acme, env),
    shown: chooseCertificates(certificates.files.certificates),
    states: [],
    warnings: certificates.warnings,
  };
}

/** The text of the configuration; empty if there is none. */
async function readConfig(output: string): Promise<string> {
  const file = Bun.file(output);
  return (await file.exists()) ? file.text() : "";
}
