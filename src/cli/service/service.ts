// src/cli/service is the commands `install`, `uninstall` and `upgrade`. This file decides what the
// service needs, context.ts replaces its docker context, unit.ts writes the unit, haproxy-unit.ts those
// of a HAProxy of its own, take-over.ts moves one that runs there, systemd.ts has the steps on this
// machine, and restore.ts gives HAProxy its configuration back; `upgrade` uses releases.ts and
// program-file.ts. Like all of src/cli they may import every room, but neither
// main.ts nor dockerode.

import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Environment } from "../command.ts";
import { chooseEngines, type DockerChoice } from "../../docker/choice.ts";
import { GatewayError } from "../../lib/errors.ts";
import { groupIds } from "../../lib/groups.ts";
import {
  choosePaths,
  DEFAULT_MASTER_SOCKET,
  type PathChoice,
  type Paths,
} from "../../gateway/paths.ts";
import { inspectHost } from "../../gateway/host.ts";
import {
  listenPort,
  parseOptions,
  type Options,
  type RawOptions,
  type TemplateOptions,
} from "../options.ts";
import { TLS_VARIABLES } from "./context.ts";
import type { HaproxyService } from "./haproxy-unit.ts";
import { servicePath } from "./systemd.ts";
import { SERVICE_USER, type Service } from "./unit.ts";
import { GATEWAY_FLAGS } from "../gateway-flags.ts";

/** The flags of a service: all but `--once`, as a service must not end by itself. */
export const SERVICE_FLAGS = Object.fromEntries(
  Object.entries(GATEWAY_FLAGS).filter(([name]) => name !== "once"),
);

/** The flags that name a file. Their paths must be absolute: a service runs in another folder. */
const FILES: readonly string[] = ["template-file", "output-file", "master-socket"];
/** The environment variables that the docker program reads, and the gateway too. */
const DOCKER_VARIABLES = ["DOCKER_HOST", ...TLS_VARIABLES, "DOCKER_API_VERSION"];
/** A service sees these only if it is allowed to. Source: systemd.exec(5), `ProtectHome=`. */
const HOMES = /^\/(home|root|run\/user)(\/|$)/;
/** A service has its own folders of these names. Source: systemd.exec(5), `PrivateTmp=`. */
const PRIVATE = /^\/(var\/)?tmp(\/|$)/;
/** Only root may use lower ports. Source: ip(7). */
const LOWEST_FREE_PORT = 1024;

/** A service, and what must be there for it. */
export interface Wanted {
  readonly service: Service;
  /** The service of its own HAProxy; undefined if it uses the distribution's. */
  readonly haproxyService: HaproxyService | undefined;
  /** HAProxy's program. */
  readonly haproxy: string;
  /** The addresses on which HAProxy is to listen. */
  readonly listen: readonly string[];
  readonly paths: Paths;
}

/**
 * Decides what the service needs.
 * @param program where its program will be
 * @param made the files and folders that `install` makes, or has made before
 * @param systemd the version of systemd
 * @throws GatewayError `usage` if the flags do not work in a service
 */
export function chooseService(
  values: RawOptions,
  env: Environment,
  program: string,
  made: readonly string[],
  systemd: number,
): Wanted {
  const flags = absolute(values);
  const { haproxy, template, labelFiles, errorDir, accessLog, acme, tls, ...options } =
    parseOptions(flags);
  const { admin, engines } = options;
  const listen = [...options.listen, ...(tls?.listen ?? [])];
  const certs = tls?.certs ?? [];
  const managed = haproxy.manageHaproxy === true;
  const paths = servicePaths(haproxy, env);
  if (managed) refuseOtherPaths(haproxy);
  const docker = chooseEngines(engines, env).map(({ choice }) => choice);
  const isNamed = engines.some(({ url }) => url !== "");
  const environment = dockerEnvironment(docker, isNamed, env);
  const needed = [
    program,
    haproxy.program,
    template.file,
    haproxy.outputFile,
    haproxy.masterSocket,
    environment["DOCKER_CERT_PATH"],
    ...labelFiles,
    ...certs,
    errorDir,
    acme?.caFile,
    admin?.tokenFile,
    admin?.address.kind === "unix" ? admin.address.path : undefined,
    acme?.dns?.[0]?.startsWith("/") === true ? acme.dns[0] : undefined,
    accessLog?.target.kind === "unix" ? accessLog.target.path : undefined,
    ...docker.map(({ host }) => (host.kind === "unix" ? host.path : undefined)),
  ].filter((path) => path !== undefined);
  for (const path of needed) refusePrivate(path);
  for (const path of managed ? needed : []) refuseRootHome(path);
  const groups = [
    ...(managed ? docker.flatMap(dockerGroups) : fileGroups(paths)),
    ...certGroups(certs, managed),
    ...tokenGroups(admin, managed),
  ];
  const logging = logFolders(accessLog, managed);
  const keeping = stateFolders(acme);
  const asking = adminFolders(admin, managed);
  // The ssh program has its keys in the home.
  const readsHome =
    docker.some(({ host }) => host.kind === "ssh") || needed.some((path) => HOMES.test(path));
  return {
    haproxy: haproxy.program,
    haproxyService: managed
      ? {
          program: servicePath(haproxy.program),
          gateway: program,
          config: paths.output,
          masterSocket: paths.masterSocket,
          capabilities: portRights(listen, template),
          readsHome,
          systemd,
        }
      : undefined,
    listen,
    paths,
    service: {
      command: [program, ...toWords(flags)],
      // A later `docker context use` in the home must not change the service.
      environment:
        readsHome && docker.some(({ address }) => address === "")
          ? { ...environment, DOCKER_CONTEXT: "default" }
          : environment,
      managed,
      groups: [...new Set(groups)],
      capabilities: managed ? [] : fileRights(paths.output),
      writes: [
        ...(managed ? [] : writtenFolders(paths)),
        ...logging.writes,
        ...keeping.writes,
        ...asking,
      ],
      logs: logging.logs,
      state: keeping.state,
      readsHome,
      made,
      systemd,
    },
  };
}

/** Where the files and sockets of a service are. */
export function servicePaths(choice: PathChoice, env: Environment): Paths {
  const host = inspectHost(choice.masterSocket ?? DEFAULT_MASTER_SOCKET, env);
  // These are the paths for root. They are the same for the service's own user.
  return choosePaths(choice, { ...host, systemd: true, uid: 0 });
}

/** The names of Docker's variables that are set. */
export function dockerVariables(env: Environment): string[] {
  return DOCKER_VARIABLES.filter((name) => (env[name] ?? "") !== "");
}

/** Turns the values of flags into words of a command line. */
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

/** The user of a managed service may write only to its own folder. */
function refuseOtherPaths({ outputFile, masterSocket }: PathChoice): void {
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

/** A service that runs HAProxy itself is not root. */
function refuseRootHome(path: string): void {
  if (!path.startsWith("/root/")) return;
  throw new GatewayError(
    "usage",
    `Cannot install a service with "${path}": its user ${SERVICE_USER} may not go there`,
    { hint: `put ${basename(path)} somewhere else` },
  );
}

/** Who may read and enter a folder: its owner, its group, and everybody. */
const [OWNER_READS, GROUP_READS, OTHERS_READ] = [0o500, 0o050, 0o005];

/**
 * The groups of folders of certificates that the service needs to read them.
 * @throws GatewayError `usage` if there is no such folder, or the service may not read it
 */
function certGroups(folders: readonly string[], managed: boolean): string[] {
  return groupsOf(folders.filter((folder) => needsGroup(folder, managed)));
}

/** Whether a service reads a folder as one of its group. */
function needsGroup(folder: string, managed: boolean): boolean {
  const refuse = (problem: string, hint: string): GatewayError =>
    new GatewayError("usage", `Cannot install a service with --certs "${folder}": ${problem}`, {
      hint,
    });
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) {
    throw refuse("there is no such folder", "make it first, or name another one");
  }
  const { mode, uid, gid } = found;
  const may = (rights: number): boolean => (mode & rights) === rights;
  // Root without capabilities is an ordinary user.
  if ((!managed && uid === 0 && may(OWNER_READS)) || may(OTHERS_READ)) return false;
  if (may(GROUP_READS) && (gid !== 0 || !managed)) return true;
  throw refuse(
    managed ? `its user ${SERVICE_USER} may not read it` : "it is another user's",
    "let a group such as ssl-cert read the folder and the keys in it: the service is in that group then" +
      (managed ? "; or leave --manage-haproxy out" : ""),
  );
}

/** @param isNamed whether a flag names the Engine, and not a variable */
function dockerEnvironment(
  docker: readonly DockerChoice[],
  isNamed: boolean,
  env: Environment,
): Record<string, string> {
  const names = dockerVariables(env).filter((name) => name !== "DOCKER_HOST" || !isNamed);
  const tls = docker.find((each) => each.tls !== undefined)?.tls;
  return {
    ...Object.fromEntries(names.map((name) => [name, env[name] ?? ""])),
    ...(tls === undefined ? {} : { DOCKER_CERT_PATH: resolve(tls.certPath) }),
  };
}

/** The group that may use Docker. @throws GatewayError `usage` if only root may */
function dockerGroups({ host }: DockerChoice): string[] {
  if (host.kind === "ssh") {
    throw new GatewayError("usage", "Cannot install a service with --manage-haproxy and ssh://", {
      hint: `its user ${SERVICE_USER} has no keys; use tcp:// with TLS`,
    });
  }
  if (host.kind === "tcp") return [];
  // Docker may be installed later. It uses this group if it exists.
  if (!existsSync(host.path)) return groupIds().has("docker") ? ["docker"] : [];
  const groups = groupsOf([host.path]);
  if (groups.length > 0) return groups;
  throw new GatewayError("usage", `Cannot install a service: only root may use "${host.path}"`, {
    hint: "groupadd docker, and restart Docker; or leave --manage-haproxy out",
  });
}

function portRights(listen: readonly string[], template: TemplateOptions): string[] {
  const low = listen.some((address) => listenPort(address) < LOWEST_FREE_PORT);
  // Nobody knows which ports a template of the user has.
  return low || template.file !== undefined ? ["CAP_NET_BIND_SERVICE"] : [];
}

/** Root without capabilities is an ordinary user. To write the files of another it needs these. */
function fileRights(output: string): string[] {
  const foreign = [dirname(output), output].some(
    (path) => existsSync(path) && statSync(path).uid !== 0,
  );
  return foreign ? ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"] : [];
}

/** The folders of the configuration, of the target if it is a link, and of HAProxy's state. */
function writtenFolders({ output, haproxy }: Paths): string[] {
  const real = existsSync(output) ? realpathSync(output) : output;
  const folders = new Set([output, real].map(dirname));
  const state = dirname(haproxy.stateFile);
  // With `-` it may be missing: every boot makes it anew, and only if HAProxy is installed.
  return [...folders, ...(folders.has(state) ? [] : [`-${state}`])];
}

/** Its own folder below `/var/log`, which systemd makes. */
const LOGS = /^\/var\/log\/([A-Za-z0-9_.@+-]+(?:\/[A-Za-z0-9_.@+-]+)*)\/[^/]+$/;

/** Where the access log is written. @throws GatewayError `usage` if a service cannot write there */
function logFolders(
  choice: Options["accessLog"],
  managed: boolean,
): Pick<Service, "writes" | "logs"> {
  if (choice?.target.kind !== "file") return { writes: [], logs: "" };
  const { path } = choice.target;
  refusePrivate(path);
  const [, logs] = LOGS.exec(path) ?? [];
  if (logs !== undefined) return { writes: [], logs };
  const folder = dirname(path);
  const problem = HOMES.test(path)
    ? "it may not write there"
    : !existsSync(folder)
      ? `there is no folder "${folder}"`
      : managed && folder === "/var/log"
        ? `its user ${SERVICE_USER} may not write there`
        : undefined;
  if (problem === undefined) return { writes: [folder], logs: "" };
  throw new GatewayError("usage", `Cannot install a service that logs to "${path}": ${problem}`, {
    hint: "name a file in a folder of its own, such as json:/var/log/docker-api-gateway/access.log",
  });
}

/** Its own folder below `/var/lib`, which systemd makes. */
const STATE = /^\/var\/lib\/([A-Za-z0-9_.@+-]+(?:\/[A-Za-z0-9_.@+-]+)*)$/;

/** Where certificates are. @throws GatewayError `usage` if a service cannot write there */
function stateFolders(acme: Options["acme"]): Pick<Service, "writes" | "state"> {
  if (acme === undefined) return { writes: [], state: "" };
  if (acme.dir === undefined) return { writes: [], state: SERVICE_USER };
  refusePrivate(acme.dir);
  const [, state] = STATE.exec(acme.dir) ?? [];
  if (state !== undefined) return { writes: [], state };
  const problem = HOMES.test(acme.dir)
    ? "it may not write there"
    : existsSync(acme.dir)
      ? undefined
      : "there is no such folder";
  if (problem === undefined) return { writes: [acme.dir], state: "" };
  throw new GatewayError(
    "usage",
    `Cannot install a service with certificates in "${acme.dir}": ${problem}`,
    { hint: `leave --acme-dir out: they are in /var/lib/${SERVICE_USER}/acme then` },
  );
}

/**
 * The group that the service needs to read the token of --admin.
 * @throws GatewayError `usage` if it may not read it, or may not have the port
 */
function tokenGroups(admin: Options["admin"], managed: boolean): string[] {
  const { address, tokenFile: path } = admin ?? {};
  if (address?.kind === "tcp" && address.port < LOWEST_FREE_PORT) {
    throw refuseAdmin(
      ` "${address.host}:${address.port}"`,
      "ports below 1024 are root's",
      "such as 8404",
    );
  }
  if (path === undefined) return [];
  const what = `-token-file "${path}"`;
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined)
    throw refuseAdmin(what, "there is no such file", `openssl rand -hex 32 > ${path}`);
  const { mode, uid, gid } = found;
  if (!managed && uid === 0) return [];
  if ((mode & GROUP_READS_FILE) !== 0 && gid !== 0) return groupsOf([path]);
  const user = managed ? `its user ${SERVICE_USER}` : "root without rights";
  throw refuseAdmin(
    what,
    `${user} may not read it`,
    `give it to a group of its own, with mode 0640: the service is in that group then`,
  );
}

function refuseAdmin(what: string, problem: string, hint: string): GatewayError {
  const message = `Cannot install a service with --admin${what}: ${problem}`;
  return new GatewayError("usage", message, { hint });
}

/** The bit that lets a file's group read it. */
const GROUP_READS_FILE = 0o040;

/** The folder of the unix socket of --admin. @throws GatewayError `usage` if a service cannot write there */
function adminFolders(admin: Options["admin"], managed: boolean): string[] {
  if (admin?.address.kind !== "unix") return [];
  const folder = dirname(admin.address.path);
  if (managed && folder === `/run/${SERVICE_USER}`) return [];
  const problem = managed
    ? `its user ${SERVICE_USER} may not write there`
    : existsSync(folder)
      ? undefined
      : `there is no folder "${folder}"`;
  if (problem === undefined) return [folder];
  throw refuseAdmin(
    ` "unix:${admin.address.path}"`,
    problem,
    managed ? `such as unix:/run/${SERVICE_USER}/admin.sock` : "make it first",
  );
}

/** The groups of the configuration and of HAProxy's folder for its sockets. */
function fileGroups({ output, haproxy }: Paths): string[] {
  return groupsOf([output, dirname(haproxy.stateFile)]);
}

/** The groups of these files, without root's. */
function groupsOf(paths: readonly string[]): string[] {
  const ids = paths.filter((path) => existsSync(path)).map((path) => statSync(path).gid);
  const names = new Map([...groupIds()].map(([name, id]) => [id, name]));
  return [...new Set(ids)].filter((id) => id !== 0).map((id) => names.get(id) ?? String(id));
}
