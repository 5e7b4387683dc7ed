// A Debian of the tests whose first process is a real systemd: a container that has the gateway's
// program, HAProxy of some version, and the Engine's socket.

import { createReadStream, existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type Dockerode from "dockerode";
import { create, parseAnswer, type Answer, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { haproxyProgram, type HaproxyVersion } from "../lab/haproxy.ts";
import { eventually, request, type RawResponse } from "../lab/http.ts";
import { binary } from "../e2e/program.ts";

export interface Machine {
  readonly address: string;
  /** Runs a script as root and returns what it printed; throws where it fails. */
  sh(script: string): Promise<string>;
  /** Runs a script as root and returns how it ended. */
  try(script: string): Promise<{ status: number; output: string }>;
  /** A property of the gateway's service, as `systemctl show` has it. */
  property(name: string): Promise<string>;
  /** What the service and systemd logged about it. */
  journal(): Promise<string>;
  get(target: string): Promise<RawResponse>;
  /** Waits until a container of that name answers. */
  served(target: string, name: string): Promise<Answer>;
  /** Sends requests one after the other until it is stopped; tells what failed. */
  ask(target: string): { stop(): Promise<{ requests: number; failures: string[] }> };
  /** As `eventually`, with the journal in the failure. */
  until<T>(check: () => T | Promise<T>): Promise<T>;
  /** Everything that an installation could leave somewhere: paths, modes, owners, contents. */
  files(): Promise<string>;
  remove(): Promise<void>;
}

/** The program as it was copied onto the machine, before it is installed. */
export const PROGRAM = "/opt/bin/docker-api-gateway";
export const SERVICE = "docker-api-gateway.service";
/** The unit of the gateway's own HAProxy, and what starts it. */
export const HAPROXY = "docker-api-gateway-haproxy.service";
export const HAPROXY_PATH = "docker-api-gateway-haproxy.path";

/** Whose first process may also be another. */
export const MACHINE_IMAGE = "lab/systemd";
/** systemd is up within two seconds. */
const BOOT_MS = 30_000;
const WAIT_MS = 20_000;
const REQUEST_MS = 2_000;

/** But for what systemd and the tools for users write by themselves. */
const LISTING = `
cd /
list="etc opt/loader run/docker-api-gateway run/haproxy usr/local var/lib var/spool"
find $list -not -type s -not -path 'var/lib/systemd*' -not -name '*-' -not -name .pwd.lock \
  -printf '%p %y %m %u:%g %l\n' 2>/dev/null | sort
find $list -type f -not -path 'var/lib/systemd*' -not -name '*-' -print0 2>/dev/null |
  sort -z | xargs -0 sha256sum`;

/**
 * The first thing that runs. The control groups are read-only at first; those of version 1 systemd
 * mounts anew by itself. HAProxy of another version has its libraries in its own folder, so it is
 * started by the loader from there, under the name that it has elsewhere.
 */
const BOOT = `
if [ -e /sys/fs/cgroup/cgroup.procs ]; then mount -o remount,rw /sys/fs/cgroup; fi
if [ -d /opt/haproxy ]; then
  mkdir -p /opt/loader
  cp "$(find /opt/haproxy -name 'ld-linux*' -type f | head -n 1)" /opt/loader/haproxy
  libraries=$(find /opt/haproxy -type d -path '*/lib/*-linux-gnu*' | tr '\\n' :)
  printf '#!/bin/sh\\nexec /opt/loader/haproxy --library-path %s --argv0 "$0" %s "$@"\\n' \\
    "$libraries" /opt/haproxy/usr/sbin/haproxy >/usr/sbin/haproxy
fi
groupadd --system docker
chgrp docker /run/docker.sock
exec /sbin/init`;

/** Starts a machine and waits until it is up. */
export async function startMachine(engine: Engine, version: HaproxyVersion): Promise<Machine> {
  await importMachineImage(engine);
  const own = dirname(dirname(dirname(haproxyProgram(version))));
  const host: Dockerode.HostConfig & { CgroupnsMode: string } = {
    // What systemd needs to confine services, and root to see what runs; no more, so that it cannot
    // change this host.
    CapAdd: ["SYS_ADMIN", "SYS_PTRACE"],
    SecurityOpt: ["seccomp=unconfined", "apparmor=unconfined"],
    // Its control groups are below those of the container.
    CgroupnsMode: "private",
    Tmpfs: { "/run": "", "/tmp": "exec" },
    Binds: [
      `${engine.socket}:/run/docker.sock`,
      `${await programFolder()}:/opt/bin:ro`,
      // That of the image is the distribution's.
      ...(own === "/" ? [] : [`${own}:/opt/haproxy:ro`]),
    ],
  };
  const container = await create(engine, MACHINE_IMAGE, {
    cmd: ["/bin/sh", "-c", BOOT],
    // It is no service of its own.
    labels: { "gateway.enable": "false" },
    env: { container: "docker" },
    create: { HostConfig: host },
  });
  await container.start();
  const machine = describe(container, await container.ip());
  await eventually(
    async () => {
      const state = await machine.try("systemctl is-system-running");
      if (state.output.trim() !== "running") throw new Error(`systemd is ${state.output}`);
    },
    { timeoutMs: BOOT_MS },
  );
  return machine;
}

function describe(container: Container, address: string): Machine {
  const machine: Machine = {
    address,
    sh: (script) => container.exec(["/bin/sh", "-ec", script]),
    async try(script) {
      const output = await container.exec(["/bin/sh", "-c", `( ${script}\n) 2>&1; echo "=$?"`]);
      const [, text = "", status] = /^([^]*?)=(\d+)\n$/.exec(output) ?? [];
      return { status: Number(status), output: text };
    },
    property: async (name) =>
      (await machine.sh(`systemctl show --property=${name} --value ${SERVICE}`)).trim(),
    journal: () =>
      machine.sh(
        `journalctl --sync; journalctl --no-pager --unit ${SERVICE} --unit ${HAPROXY} -o cat`,
      ),
    get: (target) => request({ host: address, port: 80, target, timeoutMs: REQUEST_MS }),
    served: (target, name) =>
      machine.until(async () => {
        const response = await machine.get(target);
        if (response.status !== 200) throw new Error(`${target} is answered ${response.status}`);
        const answer = parseAnswer(response.body);
        if (answer.name === name) return answer;
        throw new Error(`${target} is answered by ${answer.name}, not by ${name}`);
      }),
    ask: (target) => ask(machine, target),
    async until(check) {
      try {
        return await eventually(check, { timeoutMs: WAIT_MS });
      } catch (error) {
        if (error instanceof Error) error.message += `\nThe journal:\n${await machine.journal()}`;
        throw error;
      }
    },
    files: () => machine.sh(LISTING),
    remove: () => container.remove(),
  };
  return machine;
}

function ask(machine: Machine, target: string): ReturnType<Machine["ask"]> {
  const failures: string[] = [];
  let requests = 0;
  const stopped = new AbortController();
  const asking = (async () => {
    while (!stopped.signal.aborted) {
      requests++;
      try {
        const { status } = await machine.get(target);
        if (status !== 200) failures.push(`request ${requests} is answered ${status}`);
      } catch (error) {
        failures.push(`request ${requests}: ${String(error)}`);
      }
      await Bun.sleep(5);
    }
  })();
  return {
    async stop() {
      stopped.abort();
      await asking;
      return { requests, failures };
    },
  };
}

/** How exposed systemd says an installed service is, from 0 to 10. */
export async function exposure(machine: Machine, service = SERVICE): Promise<number> {
  const unit = `/etc/systemd/system/${service}`;
  const analysis = await machine.sh(`systemd-analyze security --offline=true --no-pager ${unit}`);
  const [, level] = /Overall exposure level for \S+: ([\d.]+) /.exec(analysis) ?? [];
  if (level === undefined) throw new Error(`systemd-analyze says no level: ${analysis}`);
  return Number(level);
}

/** A folder with the program alone. */
export async function programFolder(): Promise<string> {
  return dirname(await binary());
}

let imported: Promise<void> | undefined;

/** Gives the Engine the image, once for a test run. */
function importMachineImage(engine: Engine): Promise<void> {
  imported ??= loadImage(engine);
  return imported;
}

async function loadImage(engine: Engine): Promise<void> {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const archive = join(cache, "docker-api-gateway/systemd-image.tar");
  if (!existsSync(archive)) {
    throw new Error("Cannot find a Debian with systemd: run test/lab/setup systemd-image");
  }
  const stream = await engine.docker.importImage(createReadStream(archive), {
    repo: MACHINE_IMAGE,
  });
  for await (const chunk of stream) {
    const text = String(chunk);
    if (text.includes('"error"')) throw new Error(`Cannot import ${archive}: ${text}`);
  }
}
