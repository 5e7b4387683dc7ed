// Starts Podman's Docker-compatible API with its own storage, networks and settings.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./daemon.ts";
import type { Backend } from "./engine.ts";
import { sweep } from "./leftovers.ts";
import { claimSubnet, type Subnet } from "./subnet.ts";

/** Prepares a Podman engine in the folder. Nothing runs yet. */
export function preparePodman(dir: string): Backend {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/bin:/bin`;
  const podman = Bun.which("podman", { PATH: path });
  if (podman === null) {
    throw new Error("Cannot find podman: not installed; run test/lab/setup podman");
  }
  const subnet = claimSubnet();
  const socket = join(dir, "podman.sock");
  writeSettings(dir, subnet);
  // The developer's own settings must not lead elsewhere.
  const env = {
    PATH: `${join(dir, "bin")}:${path}`,
    HOME: dir,
    CONTAINERS_CONF: join(dir, "containers.conf"),
    CONTAINERS_STORAGE_CONF: join(dir, "storage.conf"),
  };

  // Podman's containers do not end with a daemon. This script ends them.
  const words = Object.entries(env).map(([name, value]) => `'${name}=${value}'`);
  writeScript(
    join(dir, "end"),
    `exec env -i ${words.join(" ")} '${podman}' rm --all --force --time 0`,
  );

  const daemon = new Daemon(
    [podman, "system", "service", "--time=0", `unix://${socket}`],
    join(dir, "podman.log"),
    env,
  );
  return {
    socket,
    startDaemon: (ready) => daemon.start(ready),
    stopDaemon: (signal) => daemon.stop(signal),
    stop: async () => {
      await daemon.stop("SIGKILL");
      sweep(dir);
    },
  };
}

function writeSettings(dir: string, subnet: Subnet): void {
  mkdirSync(join(dir, "bin"));
  mkdirSync(join(dir, "networks"));
  writeFileSync(
    join(dir, "containers.conf"),
    `[containers]
log_driver = "k8s-file"
# Its defaults are more than root may set where the limits are tight.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
# crun refuses hosts that have both kinds of control groups.
runtime = "runc"
static_dir = "${dir}/d/libpod"
tmp_dir = "${dir}/run/libpod"
volume_path = "${dir}/d/volumes"
[network]
network_config_dir = "${dir}/networks"
default_subnet = "${subnet.network}"
default_subnet_pools = [{ "base" = "${subnet.pool}", "size" = 24 }]
firewall_driver = "none"
`,
  );
  writeFileSync(
    join(dir, "storage.conf"),
    `[storage]
driver = "overlay"
graphroot = "${dir}/d"
runroot = "${dir}/run"
`,
  );
  // It has no firewall and no masquerading of Podman: the firewall of the host stays as it is.
  writeFileSync(
    join(dir, "networks/87-podman.conflist"),
    JSON.stringify({
      cniVersion: "0.4.0",
      name: "podman",
      plugins: [
        {
          type: "bridge",
          bridge: subnet.bridge,
          isGateway: true,
          ipMasq: false,
          hairpinMode: true,
          ipam: {
            type: "host-local",
            dataDir: join(dir, "run/cni"),
            routes: [{ dst: "0.0.0.0/0" }],
            ranges: [[{ subnet: subnet.network, gateway: subnet.gateway.replace(/\/.*/, "") }]],
          },
        },
      ],
    }),
  );
  // Podman always writes firewall rules for a user's network. These programs ignore them.
  for (const program of ["iptables", "ip6tables"]) {
    writeScript(
      join(dir, "bin", program),
      `[ "$1" != --version ] || echo "iptables v1.8.9 (legacy)"`,
    );
  }
}

function writeScript(file: string, line: string): void {
  writeFileSync(file, `#!/bin/sh\n${line}\n`);
  chmodSync(file, 0o755);
}
