// Puts the parts together for a command: from options to a client, a paths and settings.

import type { Environment } from "./command.ts";
import type { Settings } from "../gateway/desired.ts";
import { DockerClient } from "../docker/client.ts";
import { chooseDocker } from "../docker/choice.ts";
import { createTransport } from "../docker/transport.ts";
import { haproxyVersion } from "../haproxy/process/check.ts";
import { ConfigFiles } from "../haproxy/files/files.ts";
import { GatewayError } from "../lib/errors.ts";
import { choosePaths, DEFAULT_MASTER_SOCKET, type Paths } from "../gateway/paths.ts";
import type { Logger } from "../lib/log.ts";
import { inspectHost } from "../gateway/host.ts";
import { listenPort, type Options } from "./options.ts";
import { isOwnConfig } from "../template/compile.ts";
import { openTemplate, type TemplateSlot } from "../gateway/template-file.ts";
import { compareVersions } from "../lib/text.ts";

export interface Setup {
  readonly paths: Paths;
  readonly client: DockerClient;
  readonly files: ConfigFiles;
  readonly settings: Settings;
  readonly template: TemplateSlot;
}

/** The oldest HAProxy whose configuration the built-in templates write. */
const OLDEST_HAPROXY = "2.6";

/**
 * Prepares what every command needs.
 * @throws GatewayError for whatever of the user's choices cannot work
 */
export async function prepare(options: Options, env: Environment, log: Logger): Promise<Setup> {
  const template = openTemplate(options.template, options.templateFile);
  const paths = preparePaths(options, env);
  const version = await usableHaproxy(options.haproxy);
  const files = new ConfigFiles(paths.output, isOwnConfig, log);
  return {
    paths,
    client: dockerClient(options, env),
    files,
    template,
    settings: {
      routing: {
        ports: options.ports,
        network: options.network,
        ownPorts: options.listen.map(listenPort),
        domain: options.domain,
      },
      view: { listen: options.listen, domain: options.domain ?? "", ports: options.ports },
      haproxy: { version, ...paths.haproxy },
      mapPath: files.mapPath,
    },
  };
}

/** The version of a HAProxy program. @throws GatewayError `haproxy` where it is none or too old */
export async function usableHaproxy(program: string): Promise<string> {
  const version = await haproxyVersion(program);
  if (compareVersions(version, OLDEST_HAPROXY) >= 0) return version;
  throw new GatewayError("haproxy", `Cannot use HAProxy "${program}": its version is ${version}`, {
    hint: `install HAProxy ${OLDEST_HAPROXY} or later, or name another with --haproxy`,
  });
}

/** Decides where everything is. @throws GatewayError `usage` */
export function preparePaths(options: Options, env: Environment): Paths {
  const host = inspectHost(options.masterSocket ?? DEFAULT_MASTER_SOCKET, env);
  return choosePaths(options, host);
}

/** The client to the Engine that the user chose. @throws GatewayError */
export function dockerClient(options: Options, env: Environment): DockerClient {
  const { host, tls, apiVersion } = chooseDocker(options.dockerHost, env);
  return new DockerClient(createTransport(host, tls), apiVersion);
}

/** Whether the journal reads standard error. Source: systemd.exec(5), `JOURNAL_STREAM`. */
export function isJournal(env: Environment, stderr: { dev: number; ino: number }): boolean {
  return env["JOURNAL_STREAM"] === `${stderr.dev}:${stderr.ino}`;
}
