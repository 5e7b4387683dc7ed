// Networks of the user's own, in which a container can be given an address.

import type { Engine } from "../lab/engine.ts";

/** Makes a network with a subnet that nothing else uses. */
export async function createNetwork(engine: Engine, name: string): Promise<void> {
  // The engine finds a free subnet; only one that was asked for lets containers choose addresses.
  const found = await engine.docker.createNetwork({ Name: `${name}-found` });
  const { IPAM } = await found.inspect();
  await found.remove();
  const subnet = IPAM?.Config?.[0]?.["Subnet"];
  if (subnet === undefined) throw new Error(`Cannot find a subnet for network "${name}"`);
  await engine.docker.createNetwork({ Name: name, IPAM: { Config: [{ Subnet: subnet }] } });
}

/** Puts a container into a network while it runs. */
export async function connect(engine: Engine, network: string, container: string): Promise<void> {
  await engine.docker.getNetwork(network).connect({ Container: container });
}

/** Takes a container out of a network while it runs. */
export async function disconnect(
  engine: Engine,
  network: string,
  container: string,
): Promise<void> {
  await engine.docker.getNetwork(network).disconnect({ Container: container, Force: true });
}
