// `docker-api-gateway`: keeps HAProxy in step until it is told to end.

import { statSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { createAdmin } from "../api/admin/admin.ts";
import { AdminListener } from "../api/admin/listener.ts";
import { createApi, type Subject } from "../api/api.ts";
import { ownRunning } from "../api/running.ts";
import { ApiSocket } from "../api/socket.ts";
import { Traffic } from "../api/traffic/traffic.ts";
import { chooseEngines } from "../docker/choice.ts";
import type { Remembered } from "../docker/joined.ts";
import { History } from "../gateway/history.ts";
import { currentReach } from "../gateway/host.ts";
import type { Acme } from "../acme/acme.ts";
import { lockFolder } from "../acme/folder.ts";
import { AccessLog } from "../gateway/access-log/access-log.ts";
import { Applier } from "../gateway/apply.ts";
import { pause } from "../lib/async.ts";
import type { Command, Environment, Signals } from "./command.ts";
import { DesiredState } from "../gateway/desired.ts";
import { createMemoryFile, parseMemory } from "../gateway/memory.ts";
import { createOwnersFile } from "../gateway/owners.ts";
import type { ConfigFiles } from "../haproxy/files/files.ts";
import type { Files, Model, Snapshot } from "../model.ts";
import { describeFenced, fenceFiles } from "../gateway/fence-files.ts";
import { errorMessage } from "../lib/errors.ts";
import { Gateway } from "../gateway/gateway.ts";
import { FormerWorkers } from "../haproxy/process/former.ts";
import { checkConfig } from "../haproxy/process/check.ts";
import { ExternalHaproxy, type Haproxy } from "../haproxy/process/external.ts";
import { Runtime } from "../haproxy/runtime/runtime.ts";
import { ManagedHaproxy, type ManagedOptions } from "../haproxy/process/managed.ts";
import { HaproxyUnit } from "../haproxy/process/unit.ts";
import { DEFAULT_RELOAD_COMMAND, type Paths } from "../gateway/paths.ts";
import { lockOutput, type Lock } from "../lib/lock.ts";
import type { Logger } from "../lib/log.ts";
import { parseOptions, type Options, type RawOptions } from "./options.ts";
import { warnOfLimits } from "../gateway/limits.ts";
import { createNotifier } from "../gateway/notify.ts";
import { logState } from "../gateway/report.ts";
import { statusLine } from "../gateway/state.ts";
import { makeOutputFolder, Upkeep } from "../gateway/upkeep.ts";
import { prepare, usableHaproxy, type Setup } from "./setup.ts";
import { acmeOptionsOf, authorityOf } from "./acme-options.ts";
import { readAccess } from "./admin-options.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { HAPROXY_UNIT_VARIABLE } from "./service/unit.ts";

/** How often the status is sent to systemd, in milliseconds. */
const STATUS_EVERY = 5_000;
/** The bits in the mode of a socket that let its group use it. */
const GROUP_MAY_ASK = 0o060;
/** systemd waits at most this long until everything is read again, in milliseconds. */
const REREAD_LIMIT = 5_000;

/** The command without a name. */
export const gatewayCommand: Command = {
  name: "",
  description: "Keep HAProxy in step with the containers on a Docker host",
  flags: GATEWAY_FLAGS,
  examples: [
    ["docker-api-gateway", "serve every container at http://HOST/<image name>/"],
    ["docker-api-gateway --manage-haproxy --listen '*:8080'", "with a HAProxy of its own"],
    ["docker-api-gateway --domain api.example.com", "at http://<image name>.api.example.com/"],
  ],
  async run({ values }, io) {
    const options = parseOptions(values);
    await runGateway(options, values, io.env, io.logger(options.log), io.signals());
    return 0;
  },
};

/**
 * Runs the gateway.
 * @param given the options as they were given
 * @throws GatewayError if it cannot start; later failures are logged
 */
async function runGateway(
  options: Options,
  given: RawOptions,
  env: Environment,
  log: Logger,
  signals: Signals,
): Promise<void> {
  const setup = await prepare(options, env, log);
  const { paths, engines, files, settings, template, tcpPorts, challenges } = setup;
  const accessLog = AccessLog.open(options.accessLog, paths, log);
  const acmeOptions = acmeOptionsOf(options.acme, env);
  const authority = authorityOf(options.acme, env);
  const access = options.admin === undefined ? undefined : readAccess(options.admin);
  if (paths.managed) makeOutputFolder(paths);
  const lock = await lockOutput(paths.output, (message) => log.warn(message));
  const folderIsSystemds = unitOf(env) !== undefined;
  const upkeep = new Upkeep({ paths, lock, folderIsSystemds }, log);
  const end = AbortSignal.any([signals.end, upkeep.lost]);
  // HAProxy may have something to say before there is a gateway.
  let heard: Gateway | undefined;
  let socket: ApiSocket | undefined;
  let admin: AdminListener | undefined;
  let acme: Acme | undefined;
  let acmeLock: Lock | undefined;
  let traffic: Traffic | undefined;
  try {
    const group = groupOfDocker(options, env);
    if (options.admin !== undefined && !options.once) {
      admin = await AdminListener.open(options.admin.address, group, log);
    }
    if (acmeOptions !== undefined && !options.once) {
      acmeLock = await lockFolder(acmeOptions.folder, (message) => log.warn(message));
    }
    const desired = new DesiredState(
      template,
      settings,
      engines.remoteHost,
      ownFiles(files, engines.areNamed),
      log,
    );
    const listener: HaproxyListener = {
      restarted: () => void gateway.resync(),
      replaced: async () => desired.setBuild(await usableHaproxy(options.haproxy.program)),
      explain: (message) => heard?.inWords(message) ?? message,
      noticed: (message) => heard?.noticed(message) === true,
    };
    const haproxy = paths.managed
      ? await startOwn(options, setup, env, log, signals, listener)
      : external(options, paths);
    const runtime = new Runtime(
      () => applier.statsSocket,
      (server) => gateway.grace(server),
      !options.reload.always,
      log,
      options.hold,
    );
    const applier = new Applier({
      files,
      haproxy,
      runtime,
      former: new FormerWorkers(paths.masterSocket, log, options.hold),
      program: options.haproxy.program,
      log,
      upkeep: () => upkeep.mend(),
      reloaded: () => accessLog?.look(),
    });
    const gateway = new Gateway({
      source: engines.source(log, await rememberedIn(files, engines.areNamed)),
      applier,
      runtime,
      desired,
      tcpPorts,
      wait: options.reload.wait,
      hold: options.hold,
      labelPrefix: options.routing.labelPrefix,
      log,
    });
    heard = gateway;
    const history = new History();
    gateway.onState(logState(log, options.routing.labelPrefix, history));
    if (options.once) {
      await gateway.once(end);
      return;
    }
    accessLog?.start(() => applier.statsSocket);
    const { routing } = options;
    const subject: Subject = {
      facts: {
        version: manifest.version,
        pid: process.pid,
        started: Date.now(),
        output: paths.output,
        masterSocket: paths.masterSocket,
        managesHaproxy: paths.managed,
        labelPrefix: routing.labelPrefix,
        options: given,
      },
      history,
      state: () => gateway.state,
      files: () => gateway.files,
      world: () => {
        const { snapshot } = gateway;
        const reach = currentReach(snapshot, engines.remoteHost);
        const decided = { ...routing, taken: tcpPorts.taken };
        return { snapshot, reach, routing: decided, index: options.index, engines };
      },
      running: (signal) =>
        ownRunning(paths.output, applier.applied.files, applier.statsSocket, signal),
      runningName: (backend) => applier.runningName(backend),
      isComplete: () => gateway.isComplete,
      https: () => ({
        options: options.tls,
        authority,
        shown: gateway.state.shown,
        states: gateway.state.certificates,
        warnings: settings.certificates.warnings,
      }),
      acme: () => acme,
      traffic: () => traffic,
      failed: () => accessLog?.failed,
      resync: () => gateway.resync(),
    };
    const api = createApi(subject, log);
    socket = new ApiSocket(paths.apiSocket, api, group, log);
    await socket.open();
    upkeep.keep(socket);
    if (admin !== undefined && access !== undefined) {
      const { handler, listener: hear } = createAdmin(subject, api, access);
      gateway.onState(hear);
      traffic = new Traffic(subject, log);
      void traffic.run();
      admin.answer(handler);
      if (admin.socket !== undefined) upkeep.keep(admin.socket);
    }
    if (acmeOptions !== undefined) {
      challenges.open(
        () => gateway.refresh(),
        () => applier.applied.files,
      );
      // Who does without it does not load it.
      const { Acme: Certificates } = await import("../acme/acme.ts");
      const publish = gateway.noteCertificates.bind(gateway);
      const certificates = new Certificates({
        options: acmeOptions,
        answers: challenges,
        publish,
        log,
      });
      gateway.onState(({ applied }) => applied && certificates.want(applied.services));
      certificates.start();
      acme = certificates;
    }
    const notifier = createNotifier(env, log);
    const sendStatus = (): void => notifier.status(statusLine(gateway.state, Date.now()));
    const sending = setInterval(sendStatus, STATUS_EVERY);
    signals.onReread(() => {
      log.info("reading everything again (SIGHUP)");
      notifier.reloading();
      // While Docker is away the resync does not end, but `systemctl reload` must.
      void Promise.race([gateway.resync(), pause(REREAD_LIMIT)]).then(notifier.ready);
    });
    log.info(
      `writing ${paths.output} for HAProxy ${settings.haproxy.version}` +
        (paths.managed ? `, which ${unitOf(env) ?? "the gateway"} runs` : ""),
    );
    const watching = watchTemplate(options.template.file, () => void gateway.resync(), log);
    upkeep.watch(() => void gateway.resync());
    notifier.ready();
    sendStatus();
    // The status changes when everything has been read for the first time.
    void gateway.resync().then(() => {
      sendStatus();
      return warnOfLimits((line) => runtime.ask(line), log);
    });
    await gateway.run(end);
    watching?.close();
    upkeep.close();
    notifier.stopping();
    clearInterval(sending);
    log.info("ending");
    await haproxy.close();
    notifier.close();
    upkeep.lost.throwIfAborted();
  } finally {
    await socket?.close();
    traffic?.close();
    await admin?.close();
    await acme?.close();
    await accessLog?.close();
    engines.close();
    acmeLock?.();
    lock();
  }
}

/** Calls back when the template changes. It watches the folder: editors write a new file. */
function watchTemplate(
  file: string | undefined,
  changed: () => void,
  log: Logger,
): FSWatcher | undefined {
  if (file === undefined) return undefined;
  const watching = watch(dirname(file), (_, name) => {
    if (name === basename(file)) changed();
  });
  // Without the watch the template is still read every minute, and at SIGHUP.
  return watching.on("error", (error) => log.debug(`${file} is not watched: ${error.message}`));
}

/**
 * The group that may ask Docker: it may ask the gateway, too, which tells less. Undefined: there is none, or only
 * root may.
 */
function groupOfDocker({ engines }: Options, env: Environment): number | undefined {
  const groups = chooseEngines(engines, env).map(({ choice: { host } }) => {
    const found = host.kind === "unix" ? statSync(host.path, { throwIfNoEntry: false }) : undefined;
    return found !== undefined && (found.mode & GROUP_MAY_ASK) === GROUP_MAY_ASK
      ? found.gid
      : undefined;
  });
  // Who may ask one of several must not learn of the others.
  return groups.every((group) => group === groups[0]) ? groups[0] : undefined;
}

/** Makes the files that are for the gateway alone. @param areNamed whether there are several Engines */
function ownFiles(
  { ownersPath, containersPath }: ConfigFiles,
  areNamed: boolean,
): (model: Model, snapshot: Snapshot) => Files["assets"] {
  const owners = createOwnersFile(ownersPath);
  if (!areNamed) return owners;
  const containers = createMemoryFile(containersPath);
  return (model, snapshot) => ({ ...owners(model), ...containers(model, snapshot) });
}

/** What an earlier gateway knew of the containers of several Engines; undefined if that is not known. */
async function rememberedIn(
  files: ConfigFiles,
  areNamed: boolean,
): Promise<Remembered | undefined> {
  if (!areNamed) return undefined;
  const path = files.containersPath;
  const onDisk = await files.read({ [path]: { kind: "containers", text: "" } });
  if (onDisk === undefined) return { containers: [], networks: { drivers: {}, gateways: [] } };
  return parseMemory(onDisk.assets[path]?.text ?? "");
}

function external(options: Options, paths: Paths): Haproxy {
  return new ExternalHaproxy({
    command: options.haproxy.reloadCommand,
    defaultCommand: DEFAULT_RELOAD_COMMAND,
    masterSocket: paths.masterSocket,
  });
}

/** The unit in which systemd runs HAProxy for this gateway, if `install` made one. */
function unitOf(env: Environment): string | undefined {
  return env[HAPROXY_UNIT_VARIABLE] || undefined;
}

/** What a HAProxy of the gateway's own needs of the gateway. */
type HaproxyListener = Pick<ManagedOptions, "restarted" | "replaced" | "explain" | "noticed">;

/** Finds the gateway's own HAProxy, or has it started with the last good files, if there are any. */
async function startOwn(
  options: Options,
  setup: Setup,
  env: Environment,
  log: Logger,
  signals: Signals,
  listener: HaproxyListener,
): Promise<Haproxy> {
  const unit = unitOf(env);
  if (unit === undefined) return startManaged(options, setup, log, signals, listener);
  const { masterSocket } = setup.paths;
  const { program } = options.haproxy;
  const haproxy = new HaproxyUnit({ unit, program, masterSocket, ...listener }, log);
  await haproxy.watch();
  return haproxy;
}

/** Takes over the HAProxy of an earlier gateway, or starts one with its last good files, if any. */
async function startManaged(
  options: Options,
  { paths, files }: Setup,
  log: Logger,
  signals: Signals,
  listener: HaproxyListener,
): Promise<Haproxy> {
  const { output, masterSocket } = paths;
  const haproxy = new ManagedHaproxy(
    { program: options.haproxy.program, config: output, masterSocket, ...listener },
    log,
  );
  signals.onInsist(() => haproxy.closeNow());
  if (await haproxy.adopt()) return haproxy;
  const fenced = await fenceFiles(files);
  if (fenced === undefined) return haproxy;
  if (fenced.takenOut > 0) log.info(`HAProxy starts ${describeFenced(fenced, files.ownersPath)}`);
  try {
    await checkConfig(options.haproxy.program, output, output);
    await haproxy.start();
  } catch (error) {
    // The first pass makes new files and starts HAProxy with them.
    log.warn(`the files of the last run are of no use: ${errorMessage(error)}`);
  }
  return haproxy;
}
