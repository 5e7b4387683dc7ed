// The address and the ports at which HAProxy reaches a container.

import { BlockList } from "node:net";
import type { Attachment, Container, Reach, Snapshot } from "./model.ts";

export interface AddressOptions {
  /** The ports to look for, the preferred first. */
  readonly ports: readonly number[];
  /** The network to prefer. */
  readonly network: string | undefined;
  /** The ports HAProxy itself listens on, so that it is never its own server. */
  readonly ownPorts: readonly number[];
}

export interface Address {
  /** IPv6 in brackets; never empty, which HAProxy would take for the client's own destination. */
  readonly address: string;
  /** Whether it is a host, whose ports are not the container's alone: HAProxy's own or another. */
  readonly host: "own" | "other" | undefined;
}

/** Why there is no address or no port. */
export interface Unreachable {
  readonly reason: string;
}

/** Docker's and Podman's default networks. */
const DEFAULT_NETWORKS = ["bridge", "podman"];
/** Drivers whose containers their own host cannot talk to, though the subnet is the same. */
const APART_FROM_HOST = ["macvlan", "ipvlan"];

/** Makes the function that chooses a container's address among those that can be reached. */
export function addressChooser(snapshot: Snapshot, reach: Reach, options: AddressOptions) {
  const reachable = reachTest(reach, snapshot.drivers);

  return choose;

  /** @param wanted the network that the container's own label names */
  function choose(container: Container, wanted: string | undefined): Address | Unreachable {
    const { networkMode } = container;
    if (networkMode === "host") {
      return reach.hostAddress === undefined
        ? { reason: "it uses the host's network, which the gateway's own container cannot reach" }
        : { address: reach.hostAddress, host: reach.local ? "own" : "other" };
    }
    if (networkMode === "none") return { reason: "it has no network (network mode none)" };
    if (networkMode.startsWith("container:")) {
      const id = networkMode.slice("container:".length);
      const other = snapshot.containers.find((each) => each.id === id);
      if (other === undefined || other.networkMode.startsWith("container:")) {
        return { reason: "it uses the network of a container that is not running" };
      }
      return choose(other, wanted);
    }
    return chooseAttachment(container.attachments, wanted);
  }

  function chooseAttachment(
    attachments: readonly Attachment[],
    wanted: string | undefined,
  ): Address | Unreachable {
    if (attachments.every(({ ipv4, ipv6 }) => ipv4 === "" && ipv6 === "")) {
      return { reason: "it has no address" };
    }
    const names = attachments.map(({ network }) => network).toSorted();
    const usable = attachments
      .map((attachment) => ({ network: attachment.network, address: reachable(attachment) }))
      .filter(({ address }) => address !== "")
      .toSorted((a, b) => (a.network < b.network ? -1 : 1));
    if (wanted !== undefined) {
      const found = usable.find(({ network }) => network === wanted);
      if (found !== undefined) return { address: found.address, host: undefined };
      return names.includes(wanted)
        ? { reason: `its network ${wanted} (label gateway.network) cannot be reached from here` }
        : { reason: `it is not on network ${wanted} (label gateway.network)` };
    }
    const chosen =
      usable.find(({ network }) => network === options.network) ??
      usable.find(({ network }) => DEFAULT_NETWORKS.includes(network)) ??
      usable[0];
    if (chosen !== undefined) return { address: chosen.address, host: undefined };
    return { reason: `none of its networks (${names.join(", ")}) can be reached from here` };
  }
}

/**
 * The ports to try, the preferred first; HAProxy's checks find the live one.
 * @param label the port that the container's own label names
 */
export function choosePorts(
  container: Container,
  label: number | undefined,
  address: Address,
  options: AddressOptions,
): readonly number[] | Unreachable {
  const known = knownPorts(container, label, options.ports);
  if (address.host === undefined) return known.length > 0 ? known : options.ports;
  if (known.length === 0) {
    return {
      reason: "it uses the host's network and none of its ports is known (set label gateway.port)",
    };
  }
  const others = known.filter(
    (port) => address.host === "other" || !options.ownPorts.includes(port),
  );
  if (others.length > 0) return others;
  return { reason: `port ${known.join(", ")} of the host is the gateway's own` };
}

function knownPorts(container: Container, label: number | undefined, ports: readonly number[]) {
  if (label !== undefined) return [label];
  const expected = ports.filter((port) => container.exposed.includes(port));
  return expected.length > 0 ? expected : container.exposed.slice(0, 1);
}

/** A test that gives the address of an attachment that can be reached, IPv4 first, or "". */
function reachTest(reach: Reach, drivers: Snapshot["drivers"]): (at: Attachment) => string {
  const own = new BlockList();
  for (const cidr of reach.interfaces) {
    const [address = "", prefix = ""] = cidr.split("/");
    own.addSubnet(address, Number(prefix), address.includes(":") ? "ipv6" : "ipv4");
  }
  return ({ network, ipv4, ipv6 }) => {
    const apart = APART_FROM_HOST.includes(drivers[network] ?? "");
    if (apart && reach.local && !reach.inContainer) return "";
    if (ipv4 !== "" && (!reach.local || own.check(ipv4, "ipv4"))) return ipv4;
    if (ipv6 !== "" && (!reach.local || own.check(ipv6, "ipv6"))) return `[${ipv6}]`;
    return "";
  };
}
