// Prepares what a command needs: turns the options into a client, paths and settings.

import type { Environment } from "./command.ts";
import { makeDesired, type Desired, type DesiredSettings } from "../gateway/desired.ts";
import type { SwarmWish } from "../docker/client.ts";
import { Engines } from "../docker/engines.ts";
import { haproxyBuild, type Build } from "../haproxy/process/check.ts";
import { ConfigFiles } from "../haproxy/files/files.ts";
import { GatewayError } from "../lib/errors.ts";
import {
  choosePaths,
  DEFAULT_MASTER_SOCKET,
  type PathChoice,
  type Paths,
} from "../gateway/paths.ts";
import type { Logger } from "../lib/log.ts";
import { currentReach, inspectHost } from "../gateway/host.ts";
import type { Snapshot } from "../model.ts";
import type { Options } from "./options.ts";
import { isOwnConfig } from "../template/compile.ts";
import { acmeFolder } from "./acme-options.ts";
import { Certificates } from "../gateway/certificates/certificates.ts";
import { Challenges } from "../gateway/challenges.ts";
import { ErrorDir } from "../gateway/error-dir.ts";
import { LabelFiles, requireFolders } from "../gateway/label-files.ts";
import { TcpPorts } from "../gateway/tcp-ports.ts";
import { openTemplate, type TemplateSlot } from "../gateway/template-file.ts";
import {
  accessLogOptions,
  holdOptions,
  keepAliveOptions,
  proxyOptions,
} from "../template/context.ts";
import { tlsOptions } from "../template/tls.ts";
import { compareVersions } from "../lib/text.ts";

export interface Setup {
  readonly paths: Paths;
  readonly engines: Engines;
  readonly files: ConfigFiles;
  readonly settings: DesiredSettings;
  readonly template: TemplateSlot;
  readonly tcpPorts: TcpPorts;
  readonly challenges: Challenges;
  readonly certificates: Certificates;
}

/** The built-in templates write configurations for this version of HAProxy and later ones. */
const OLDEST_HAPROXY = "2.6";

/**
 * Prepares what a command needs to make the configuration.
 * @throws GatewayError if a choice of the user cannot work
 */
export async function prepare(options: Options, env: Environment, log: Logger): Promise<Setup> {
  const { routing, listen } = options;
  requireFolders(options.labelFiles);
  const template = openTemplate(options.template.name, options.template.file);
  const paths = preparePaths(options.haproxy, env);
  const build = await usableHaproxy(options.haproxy.program);
  if (options.index && !build.lua) {
    throw new GatewayError("haproxy", `Cannot use --index: HAProxy ${build.version} has no Lua`, {
      hint: "use a HAProxy that is built with Lua, as those of distributions are",
    });
  }
  if (options.tls?.http3 === true && !build.quic) {
    throw new GatewayError(
      "haproxy",
      `Cannot use --http3: HAProxy ${build.version} is not built with a library of TLS that has QUIC`,
      { hint: "use HAProxy 3.2 or later of a distribution with OpenSSL 3.5, or leave --http3 out" },
    );
  }
  if (options.tls !== undefined && !build.openssl) {
    throw new GatewayError(
      "haproxy",
      `Cannot serve HTTPS: HAProxy ${build.version} has no OpenSSL`,
      {
        hint: "use a HAProxy that is built with OpenSSL, as those of distributions are",
      },
    );
  }
  const files = new ConfigFiles(paths.output, isOwnConfig, log);
  const engines = openEngines(options, env);
  const tcpPorts = new TcpPorts();
  const certificates = openCertificates(options, env, files.pathOf);
  await certificates.look(Date.now());
  const challenges = new Challenges();
  return {
    paths,
    engines,
    files,
    template,
    tcpPorts,
    challenges,
    certificates,
    settings: {
      routing,
      template: {
        listen,
        domain: routing.domain ?? "",
        ports: routing.ports,
        mendLinks: options.mendLinks,
        index: options.index,
        tls: tlsOptions(options.tls),
        // By DNS-01 nobody asks here.
        acme: options.acme !== undefined && options.acme.dns === undefined,
        accessLog: accessLogOptions(options.accessLog),
        ...proxyOptions(options.trustedProxies, options.proxyProtocol),
        ...holdOptions(options.hold, engines.areRemote),
        ...keepAliveOptions(engines.areRemote),
      },
      haproxy: { ...build, ...paths.haproxy },
      pathOf: files.pathOf,
      labelFiles: new LabelFiles(options.labelFiles),
      certificates,
      errorDir: new ErrorDir(options.errorDir),
      challenges,
      tcpPorts,
    },
  };
}

/**
 * The certificates that are served.
 * @param pathOf the path of a file beside the configuration
 * @throws GatewayError `usage` if a folder is not there
 */
export function openCertificates(
  { tls, acme }: Pick<Options, "tls" | "acme">,
  env: Environment,
  pathOf: (file: string) => string,
): Certificates {
  return new Certificates(
    tls !== undefined,
    [
      ...(tls?.certs ?? []).map((path) => ({ path, isOptional: false })),
      // The first certificate makes the folder.
      ...(acme === undefined ? [] : [{ path: acmeFolder(acme, env), isOptional: true }]),
    ],
    {
      store: pathOf("certificates"),
      fallback: pathOf("default.pem"),
      ticketKeys: pathOf("tickets.keys"),
    },
  );
}

/** Renders the newest template for these containers. @throws GatewayError */
export function desiredFor({ engines, settings, template }: Setup, snapshot: Snapshot): Desired {
  const [newest] = template.candidates();
  if (newest === undefined) throw new GatewayError("bug", "Cannot render: there is no template");
  const reach = currentReach(snapshot, engines.remoteHost);
  return makeDesired(snapshot, reach, settings, newest, () => new Date().toISOString());
}

/** What a HAProxy program is. @throws GatewayError `haproxy` if it is none or too old */
export async function usableHaproxy(program: string): Promise<Build> {
  const build = await haproxyBuild(program);
  const { version } = build;
  if (compareVersions(version, OLDEST_HAPROXY) >= 0) return build;
  throw new GatewayError("haproxy", `Cannot use HAProxy "${program}": its version is ${version}`, {
    hint: `install HAProxy ${OLDEST_HAPROXY} or later, or name another with --haproxy`,
  });
}

/** Decides where the files and sockets are. @throws GatewayError `usage` */
export function preparePaths(choice: PathChoice, env: Environment): Paths {
  const host = inspectHost(choice.masterSocket ?? DEFAULT_MASTER_SOCKET, env);
  return choosePaths(choice, host);
}

/**
 * Makes clients for the Engines that the user chose.
 * @param swarm whether the services of a swarm are wanted, where that is not as the user wants it
 * @throws GatewayError
 */
export function openEngines(
  { engines, swarm: wish }: Pick<Options, "engines" | "swarm">,
  env: Environment,
  swarm: SwarmWish = wish,
): Engines {
  return Engines.open(engines, env, swarm);
}

/** Whether standard error goes to the journal. Source: systemd.exec(5), `JOURNAL_STREAM`. */
export function isJournal(env: Environment, stderr: { dev: number; ino: number }): boolean {
  return env["JOURNAL_STREAM"] === `${stderr.dev}:${stderr.ino}`;
}
