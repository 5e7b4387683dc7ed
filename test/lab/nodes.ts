// Real Engines that are as machines of their own to each other: each in a network namespace, joined by a bridge.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import Dockerode from "dockerode";
import { Daemon } from "./daemon.ts";
import { containerdOf, daemonCommand, programs } from "./docker.ts";
import { answers, testFlavour, type EngineAccess } from "./engine.ts";
import { labDir, sweep } from "./leftovers.ts";
import { claimSubnet } from "./subnet.ts";

/** An Engine on a machine of its own. */
export interface Node extends EngineAccess {
  /** The name of its machine. */
  readonly name: string;
  /** Where this host and the other nodes reach it. */
  readonly address: string;
  readonly dockerHost: string;
  /** A command that runs another one in the network of the node. */
  readonly inside: readonly string[];
  /** Ends the Engine by a signal, and what runs there with SIGKILL: the machine is lost. */
  lose(): Promise<void>;
  /** Cuts its network, or joins it again. Its Engine and its containers run on. */
  setNetwork(state: "cut" | "joined"): void;
  /** Ends only the Engine, by this signal. Its containers stay if it was killed. */
  stopDaemon(signal?: NodeJS.Signals): Promise<void>;
  startDaemon(): Promise<void>;
}

/** Running nodes. */
export interface Nodes {
  readonly nodes: readonly Node[];
  /** Ends everything and removes all traces. */
  readonly stop: () => Promise<void>;
}

interface Part {
  readonly node: Node;
  readonly close: () => Promise<void>;
}

/**
 * Starts Engines.
 * @param flagsOf further flags of each, by its number from 1 on
 */
export async function startNodes(
  count: number,
  flagsOf: (number: number) => readonly string[],
): Promise<Nodes> {
  const { bridge, gateway } = claimSubnet();
  run("iptables", "-I", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT");
  const network = gateway.replace(/\.1\/24$/, "");
  const parts: Part[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(parts.map((part) => part.close()));
    run("iptables", "-D", "FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT");
    run("ip", "link", "delete", bridge);
  };
  try {
    for (let number = 1; number <= count; number++) {
      parts.push(await startNode(number, bridge, network, flagsOf(number)));
    }
    return { nodes: parts.map(({ node }) => node), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startNode(
  number: number,
  bridge: string,
  network: string,
  flags: readonly string[],
): Promise<Part> {
  const dir = labDir(`s${number}`);
  const name = `node${number}`;
  const address = `${network}.${10 + number}`;
  const flavour = testFlavour();
  if (flavour === "podman") throw new Error("Cannot start such an Engine: Podman is none");
  const path = programs(flavour);
  const env = { PATH: path, HOME: dir, TMPDIR: process.env["TMPDIR"] };
  // A process holds the namespaces, also while the Engine does not run.
  const hold = join(dir, "hold");
  writeFileSync(hold, "");
  const holder = new Daemon(
    ["unshare", "--net", "--uts", "sh", "-c", `hostname ${name}; exec tail -f "$0"`, hold],
    join(dir, "hold.log"),
    env,
  );
  await holder.start(() => Promise.resolve(isHeldApart(holder.pid)));
  const inside = [
    "nsenter",
    `--net=/proc/${holder.pid}/ns/net`,
    `--uts=/proc/${holder.pid}/ns/uts`,
  ];
  const [outer, inner] = [`${bridge.slice(0, 12)}v${number}`, `${bridge.slice(0, 12)}w${number}`];
  run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner);
  run("ip", "link", "set", outer, "master", bridge, "up");
  run("ip", "link", "set", inner, "netns", String(holder.pid));
  run(...inside, "ip", "link", "set", inner, "name", "eth0");
  run(...inside, "ip", "link", "set", "lo", "up");
  // No default route: else each task waits for a registry that cannot be reached.
  run(...inside, "ip", "address", "add", `${address}/24`, "dev", "eth0");
  run(...inside, "ip", "link", "set", "eth0", "up");
  const containerd = containerdOf(dir, path, env);
  await containerd.start();
  const socket = join(dir, "docker.sock");
  const daemon = new Daemon(
    [...inside, ...daemonCommand(dir, path, containerd.socket), ...flags],
    join(dir, "dockerd.log"),
    env,
  );
  const startDaemon = (): Promise<void> => daemon.start(() => answers(socket));
  await startDaemon();
  const close = async (): Promise<void> => {
    await daemon.stop("SIGKILL");
    await containerd.stop();
    sweep(dir);
  };
  const node = {
    name,
    address,
    socket,
    dockerHost: `unix://${socket}`,
    docker: new Dockerode({ socketPath: socket }),
    inside: inside.slice(0, 2),
    lose: close,
    setNetwork: (state: "cut" | "joined") => {
      run("ip", "link", "set", outer, state === "cut" ? "down" : "up");
    },
    startDaemon,
    stopDaemon: (signal?: NodeJS.Signals) => daemon.stop(signal),
  };
  return { node, close };
}

/** Whether a process has left the network of this one. */
function isHeldApart(pid: number): boolean {
  const links = [String(pid), "self"].map((each) => run("readlink", `/proc/${each}/ns/net`));
  return links[0] !== links[1];
}

function run(...words: readonly string[]): string {
  const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const { success, stdout, stderr } = Bun.spawnSync([...words], { env: { PATH } });
  if (!success) {
    throw new Error(
      `Cannot make the network of Engines: "${words.join(" ")}": ${stderr.toString()}`,
    );
  }
  return stdout.toString();
}
