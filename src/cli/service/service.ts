// What the service is made of on this machine: the user's flags, and whose the files it needs are.

import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Environment } from "../command.ts";
import { chooseDocker, type DockerChoice } from "../../docker/choice.ts";
import { GatewayError } from "../../lib/errors.ts";
import {
  choosePaths,
  DEFAULT_MASTER_SOCKET,
  type PathChoice,
  type Paths,
} from "../../gateway/paths.ts";
import { inspectHost } from "../../gateway/host.ts";
import { listenPort, parseOptions, type RawOptions, type TemplateOptions } from "../options.ts";
import { TLS_VARIABLES } from "./context.ts";
import { SERVICE_USER, type Service } from "./unit.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";

/** The flags of a service: it does not end by itself. */
export const SERVICE_FLAGS = Object.fromEntries(
  Object.entries(GATEWAY_FLAGS).filter(([name]) => name !== "once"),
);

/** The flags that name a file. A service runs in another folder than its user. */
const FILES: readonly string[] = ["template-file", "output-file", "master-socket"];
/** What the docker program reads, and the gateway with it. */
const DOCKER_VARIABLES = ["DOCKER_HOST", ...TLS_VARIABLES, "DOCKER_API_VERSION"];
/** Where services see nothing, or something else. Source: systemd.exec(5), `ProtectHome=`. */
const HOMES = /^\/(home|root|run\/user)\//;
const PRIVATE = /^\/(var\/)?tmp\//;
const LOWEST_FREE_PORT = 1024;

/** A service, and what has to be there for it. */
export interface Wanted {
  readonly service: Service;
  /** HAProxy's program, and where it is to listen. */
  readonly haproxy: string;
  readonly listen: readonly string[];
  readonly paths: Paths;
}

/**
 * Decides what the service is made of.
 * @param program where its program will be
 * @param made what was not there before it
 * @throws GatewayError `usage` for flags that are no use to a service
 */
export function chooseService(
  values: RawOptions,
  env: Environment,
  program: string,
  made: readonly string[],
  systemd: number,
): Wanted {
  const flags = absolute(values);
  const { haproxy, template, listen, dockerHost } = parseOptions(flags);
  const managed = haproxy.manageHaproxy === true;
  const paths = servicePaths(haproxy, env);
  if (managed) refuseElsewhere(haproxy);
  const docker = chooseDocker(dockerHost, env);
  const { host } = docker;
  const environment = dockerEnvironment(docker, dockerHost, env);
  const needed = [
    program,
    haproxy.program,
    template.file,
    haproxy.outputFile,
    haproxy.masterSocket,
    environment["DOCKER_CERT_PATH"],
    host.kind === "unix" ? host.path : undefined,
  ].filter((path) => path !== undefined);
  for (const path of needed) refusePrivate(path);
  for (const path of managed ? needed : []) refuseRoots(path);
  // The ssh program has its keys there.
  const readsHome = host.kind === "ssh" || needed.some((path) => HOMES.test(path));
  return {
    haproxy: haproxy.program,
    listen,
    paths,
    service: {
      command: [program, ...toWords(flags)],
      // What `docker context use` says one day at home is not for the service.
      environment:
        readsHome && docker.address === ""
          ? { ...environment, DOCKER_CONTEXT: "default" }
          : environment,
      managed,
      groups: managed ? dockerGroups(docker) : fileGroups(paths),
      capabilities: managed ? portRights(listen, template) : fileRights(paths.output),
      writes: managed ? [] : foldersOf(paths),
      readsHome,
      made,
      systemd,
    },
  };
}

/** Where a service has everything. */
export function servicePaths(choice: PathChoice, env: Environment): Paths {
  const host = inspectHost(choice.masterSocket ?? DEFAULT_MASTER_SOCKET, env);
  // As root; the service's user has the same folder.
  return choosePaths(choice, { ...host, systemd: true, uid: 0 });
}

/** The variables of Docker's that are set. */
export function dockerVariables(env: Environment): string[] {
  return DOCKER_VARIABLES.filter((name) => (env[name] ?? "") !== "");
}

/** The values of flags as the words that give them. */
export function toWords(values: RawOptions): string[] {
  return Object.keys(SERVICE_FLAGS).flatMap((name) => {
    const value = values[name];
    if (value === undefined) return [];
    if (typeof value === "boolean") return [value ? `--${name}` : `--${name}=false`];
    return [value].flat().map((item) => `--${name}=${item}`);
  });
}

function absolute(values: RawOptions): RawOptions {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "string" && isPath(name, value) ? resolve(value) : value,
    ]),
  );
}

function isPath(flag: string, value: string): boolean {
  return FILES.includes(flag) || (flag === "haproxy" && value.includes("/"));
}

/** Its user may write nowhere else. */
function refuseElsewhere({ outputFile, masterSocket }: PathChoice): void {
  const flag =
    (outputFile !== undefined && "--output-file") ||
    (masterSocket !== undefined && "--master-socket");
  if (flag === false) return;
  throw new GatewayError("usage", `Cannot install a service with --manage-haproxy and ${flag}`, {
    hint: `its files are in /run/${SERVICE_USER}: leave ${flag} out`,
  });
}

function refusePrivate(path: string): void {
  if (!PRIVATE.test(path)) return;
  throw new GatewayError("usage", `Cannot install a service with "${path}": it has another /tmp`, {
    hint: `put ${basename(path)} somewhere else`,
  });
}

/** A service with a HAProxy of its own is not root. */
function refuseRoots(path: string): void {
  if (!path.startsWith("/root/")) return;
  throw new GatewayError(
    "usage",
    `Cannot install a service with "${path}": its user ${SERVICE_USER} may not go there`,
    { hint: `put ${basename(path)} somewhere else` },
  );
}

function dockerEnvironment(
  { tls }: DockerChoice,
  dockerHost: string,
  env: Environment,
): Record<string, string> {
  const names = dockerVariables(env).filter((name) => name !== "DOCKER_HOST" || dockerHost === "");
  return {
    ...Object.fromEntries(names.map((name) => [name, env[name] ?? ""])),
    ...(tls === undefined ? {} : { DOCKER_CERT_PATH: resolve(tls.certPath) }),
  };
}

/** The group that may use Docker. @throws GatewayError where no user but root may */
function dockerGroups({ host }: DockerChoice): string[] {
  if (host.kind === "ssh") {
    throw new GatewayError("usage", "Cannot install a service with --manage-haproxy and ssh://", {
      hint: `its user ${SERVICE_USER} has no keys; use tcp:// with TLS`,
    });
  }
  if (host.kind === "tcp") return [];
  // Docker may come later. It takes this group where it is there.
  if (!existsSync(host.path)) return groupNames().has("docker") ? ["docker"] : [];
  const groups = groupsOf([host.path]);
  if (groups.length > 0) return groups;
  throw new GatewayError("usage", `Cannot install a service: only root may use "${host.path}"`, {
    hint: "groupadd docker, and restart Docker; or leave --manage-haproxy out",
  });
}

function portRights(listen: readonly string[], template: TemplateOptions): string[] {
  const low = listen.some((address) => listenPort(address) < LOWEST_FREE_PORT);
  // Which ports are in a template of the user's is not known.
  return low || template.file !== undefined ? ["CAP_NET_BIND_SERVICE"] : [];
}

/** Root without capabilities is an ordinary user: what is another's takes these. */
function fileRights(output: string): string[] {
  const foreign = [dirname(output), output].some(
    (path) => existsSync(path) && statSync(path).uid !== 0,
  );
  return foreign ? ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] : [];
}

/** The folders of the configuration, behind links too, and of HAProxy's state. */
function foldersOf({ output, haproxy }: Paths): string[] {
  const real = existsSync(output) ? realpathSync(output) : output;
  const folders = new Set([output, real].map(dirname));
  const state = dirname(haproxy.stateFile);
  // It is made anew at every boot; who has no HAProxy yet has none.
  return [...folders, ...(folders.has(state) ? [] : [`-${state}`])];
}

/** The groups of the configuration and of HAProxy's folder for its sockets. */
function fileGroups({ output, haproxy }: Paths): string[] {
  return groupsOf([output, dirname(haproxy.stateFile)]);
}

/** The groups of these files, but for root's. */
function groupsOf(paths: readonly string[]): string[] {
  const ids = paths.filter((path) => existsSync(path)).map((path) => statSync(path).gid);
  const names = new Map([...groupNames()].map(([name, id]) => [id, name]));
  return [...new Set(ids)].filter((id) => id !== 0).map((id) => names.get(id) ?? String(id));
}

/** The numbers of this machine's groups, by name. */
function groupNames(): Map<string, number> {
  const rows = readFileSync("/etc/group", "utf8").matchAll(/^([^:]+):[^:]*:(\d+):/gm);
  return new Map([...rows].map(([, name = "", id]) => [name, Number(id)]));
}
