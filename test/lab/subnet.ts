// Finds networks for an engine that nothing else on this host uses.

import { bridgeName, labBridges } from "./leftovers.ts";

// This many engines can run at a time, each with a bridge 10.201.N.0/24 and 16 more networks.
const SUBNETS = 128;
const TRIES = 20;

/** A bridge that was made, and the room for more networks. */
export interface Subnet {
  bridge: string;
  /** The address of the bridge with its prefix length. */
  gateway: string;
  network: string;
  /** The range for more networks, each a /24. */
  pool: string;
}

/** Makes a bridge with its own subnet for an engine. */
export function claimSubnet(): Subnet {
  for (let tries = 0; tries < TRIES; tries++) {
    // It is random, so that two processes that clash once do not clash again.
    const index = Math.floor(Math.random() * SUBNETS);
    const subnet = describe(index);
    if (routes().some((route) => overlaps(route, index))) continue;
    ip("link", "add", subnet.bridge, "type", "bridge");
    // If two processes have the same number, both give way: nobody knows who was first.
    if (labBridges().filter((name) => name.endsWith(`-${index}`)).length > 1) {
      ip("link", "delete", subnet.bridge);
      continue;
    }
    ip("address", "add", subnet.gateway, "dev", subnet.bridge);
    ip("link", "set", subnet.bridge, "up");
    return subnet;
  }
  throw new Error("Cannot find a free subnet for the test engine: 10.201.0.0/16 is in use");
}

function describe(index: number): Subnet {
  return {
    bridge: bridgeName(index),
    gateway: `10.201.${index}.1/24`,
    network: `10.201.${index}.0/24`,
    pool: `10.${202 + Math.floor(index / 16)}.${(index % 16) * 16}.0/20`,
  };
}

function routes(): string[] {
  return ip("-4", "route", "show", "table", "all").split("\n");
}

function overlaps(route: string, index: number): boolean {
  return route.includes(`10.201.${index}.`);
}

function ip(...args: string[]): string {
  const program = Bun.which("ip", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
  if (program === null) {
    throw new Error("Cannot find ip: not installed; run test/lab/setup engine");
  }
  const { success, stdout, stderr } = Bun.spawnSync([program, ...args]);
  if (!success) {
    throw new Error(
      `Cannot make a network for the test engine: ip ${args.join(" ")}: ${stderr.toString().trim()}; ` +
        "the tests need root and the right to administer the network (in a container: --privileged)",
    );
  }
  return stdout.toString();
}
