// Starts dockerd with its own containerd, apart from any Docker of this host.

import { existsSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { Daemon } from "./daemon.ts";
import type { Backend } from "./engine.ts";
import { sweep } from "./leftovers.ts";
import { claimSubnet } from "./subnet.ts";

/** Prepares a Docker Engine in the folder. Only its containerd runs yet. */
export async function prepareDocker(
  dir: string,
  flavour: "docker" | "docker-28",
): Promise<Backend> {
  const path = programs(flavour);
  const subnet = claimSubnet();
  const socket = join(dir, "docker.sock");
  // The developer's DOCKER_ variables must not lead to another Engine.
  const env = { PATH: path, HOME: dir, TMPDIR: process.env["TMPDIR"] };

  const runtime = containerdOf(dir, path, env);
  await runtime.start();
  const daemon = new Daemon(
    [
      ...daemonCommand(dir, path, runtime.socket),
      `--bridge=${subnet.bridge}`,
      `--fixed-cidr=${subnet.network}`,
      `--default-address-pool=base=${subnet.pool},size=24`,
      // The firewall and the routing of the host stay as they are. The host reaches all containers.
      "--iptables=false",
      "--ip6tables=false",
      "--ip-masq=false",
      "--ip-forward=false",
      "--userland-proxy=false",
    ],
    join(dir, "dockerd.log"),
    env,
  );
  return {
    socket,
    startDaemon: (ready) => daemon.start(ready),
    stopDaemon: (signal) => daemon.stop(signal),
    stop: async () => {
      // Killing all is as clean as ending each one, and much faster. A crash leaves the same.
      await daemon.stop("SIGKILL");
      await runtime.stop();
      sweep(dir);
    },
  };
}

/** A containerd in the folder. Docker would use that of the host if there is one. */
export function containerdOf(
  dir: string,
  path: string,
  env: Record<string, string | undefined>,
): { readonly socket: string; start(): Promise<void>; stop(): Promise<void> } {
  const socket = join(dir, "c.sock");
  writeFileSync(
    join(dir, "containerd.toml"),
    `version = 2
root = "${dir}/c/root"
state = "${dir}/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/c/opt"
`,
  );
  const daemon = new Daemon(
    [program("containerd", path), "--config", join(dir, "containerd.toml"), "--log-level", "warn"],
    join(dir, "containerd.log"),
    env,
  );
  return {
    socket,
    start: () => daemon.start(() => Promise.resolve(existsSync(socket))),
    stop: () => daemon.stop("SIGKILL"),
  };
}

/** The command of an Engine in the folder, without what its networks are. */
export function daemonCommand(dir: string, path: string, containerd: string): string[] {
  // Without it, the developer's /etc/docker/daemon.json would be read.
  writeFileSync(join(dir, "daemon.json"), "{}");
  return [
    program("dockerd", path),
    `--config-file=${join(dir, "daemon.json")}`,
    `--host=unix://${join(dir, "docker.sock")}`,
    `--containerd=${containerd}`,
    `--data-root=${join(dir, "d")}`,
    `--exec-root=${join(dir, "e")}`,
    `--pidfile=${join(dir, "dockerd.pid")}`,
    // All containers are in a control group with this name, so that they can be found.
    "--exec-opt=native.cgroupdriver=cgroupfs",
    `--cgroup-parent=/${basename(dir)}`,
  ];
}

function program(name: "containerd" | "dockerd", path: string): string {
  const found = Bun.which(name, { PATH: path });
  if (found === null) {
    throw new Error(`Cannot find ${name}: not installed; run test/lab/setup engine`);
  }
  return found;
}

/** Where the programs of an Engine are found. */
export function programs(flavour: "docker" | "docker-28"): string {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  if (flavour === "docker") return path;
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const root = join(cache, "docker-api-gateway/docker-28");
  if (!existsSync(root)) {
    throw new Error("Cannot find Docker 28: not installed; run test/lab/setup docker-28");
  }
  return `${root}/usr/sbin:${root}/usr/bin:${path}`;
}
