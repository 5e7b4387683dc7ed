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
  const dockerd = Bun.which("dockerd", { PATH: path });
  const containerd = Bun.which("containerd", { PATH: path });
  if (dockerd === null || containerd === null) {
    throw new Error("Cannot find dockerd and containerd: not installed; run test/lab/setup engine");
  }
  const subnet = claimSubnet();
  const socket = join(dir, "docker.sock");
  const containerdSocket = join(dir, "c.sock");
  // The developer's DOCKER_ variables must not lead to another Engine.
  const env = { PATH: path, HOME: dir, TMPDIR: process.env["TMPDIR"] };

  // Docker would use the containerd of the host if there is one. This one is apart from it.
  writeFileSync(
    join(dir, "containerd.toml"),
    `version = 2
root = "${dir}/c/root"
state = "${dir}/c/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/c/opt"
`,
  );
  // Without it, the developer's /etc/docker/daemon.json would be read.
  writeFileSync(join(dir, "daemon.json"), "{}");

  const runtime = new Daemon(
    [containerd, "--config", join(dir, "containerd.toml"), "--log-level", "warn"],
    join(dir, "containerd.log"),
    env,
  );
  await runtime.start(() => Promise.resolve(existsSync(containerdSocket)));
  const daemon = new Daemon(
    [
      dockerd,
      `--config-file=${join(dir, "daemon.json")}`,
      `--host=unix://${socket}`,
      `--containerd=${containerdSocket}`,
      `--data-root=${join(dir, "d")}`,
      `--exec-root=${join(dir, "e")}`,
      `--pidfile=${join(dir, "dockerd.pid")}`,
      `--bridge=${subnet.bridge}`,
      `--fixed-cidr=${subnet.network}`,
      `--default-address-pool=base=${subnet.pool},size=24`,
      // All containers are in a control group with this name, so that they can be found.
      "--exec-opt=native.cgroupdriver=cgroupfs",
      `--cgroup-parent=/${basename(dir)}`,
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
      await runtime.stop("SIGKILL");
      sweep(dir);
    },
  };
}

function programs(flavour: "docker" | "docker-28"): string {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  if (flavour === "docker") return path;
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const root = join(cache, "docker-api-gateway/docker-28");
  if (!existsSync(root)) {
    throw new Error("Cannot find Docker 28: not installed; run test/lab/setup docker-28");
  }
  return `${root}/usr/sbin:${root}/usr/bin:${path}`;
}
