// The address and the ports at which HAProxy reaches a container.

import { BlockList } from "node:net";
import type { Attachment, Container, Reach, Snapshot } from "../model.ts";

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
  /** Why this one, for a person. */
  readonly why: string;
  /** Whether it is a host, whose ports are not the container's alone: HAProxy's own or another. */
  readonly host: "own" | "other" | undefined;
}

/** The ports to try, the preferred first; HAProxy's checks find the live one. */
export interface Ports {
  readonly ports: readonly number[];
  /** Why these, for a person. */
  readonly why: string;
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
        : {
            address: reach.hostAddress,
            why: "it uses the host's network",
            host: reach.local ? "own" : "other",
          };
    }
    if (networkMode === "none") return { reason: "it has no network (network mode none)" };
    if (networkMode.startsWith("container:")) {
      const id = networkMode.slice("container:".length);
      const other = snapshot.containers.find((each) => each.id === id);
      if (other === undefined || other.networkMode.startsWith("container:")) {
        return { reason: "it uses the network of a container that is not running" };
      }
      const address = choose(other, wanted);
      if ("reason" in address) return address;
      return {
        ...address,
        why: `${address.why}, as container ${other.name}, whose network it uses`,
      };
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
      if (found !== undefined) return onNetwork(found, "which label gateway.network names");
      return names.includes(wanted)
        ? { reason: `its network ${wanted} (label gateway.network) cannot be reached from here` }
        : { reason: `it is not on network ${wanted} (label gateway.network)` };
    }
    const preferred = usable.find(({ network }) => network === options.network);
    if (preferred !== undefined) return onNetwork(preferred, "which --network names");
    const [first, ...others] = usable;
    if (first !== undefined && others.length === 0) {
      return onNetwork(first, "the only one of its networks that this host reaches");
    }
    const usual = usable.find(({ network }) => DEFAULT_NETWORKS.includes(network));
    if (usual !== undefined) return onNetwork(usual, "Docker's default network");
    if (first !== undefined) {
      return onNetwork(
        first,
        `the first by name of ${usable.map(({ network }) => network).join(", ")}`,
      );
    }
    return { reason: `none of its networks (${names.join(", ")}) can be reached from here` };
  }
}

function onNetwork(usable: { network: string; address: string }, why: string): Address {
  return { address: usable.address, why: `on network ${usable.network}, ${why}`, host: undefined };
}

/**
 * Chooses the ports to try.
 * @param label the port that the container's own label names
 */
export function choosePorts(
  container: Container,
  label: number | undefined,
  address: Address,
  options: AddressOptions,
): Ports | Unreachable {
  const known = knownPorts(container, label, options.ports);
  if (address.host === undefined) {
    const wanted = options.ports.join(", ");
    return (
      known ?? { ports: options.ports, why: `nothing is exposed: --ports (${wanted}) are tried` }
    );
  }
  if (known === undefined) {
    return {
      reason: "it uses the host's network and none of its ports is known (set label gateway.port)",
    };
  }
  const others = known.ports.filter(
    (port) => address.host === "other" || !options.ownPorts.includes(port),
  );
  if (others.length > 0) return { ...known, ports: others };
  return { reason: `port ${known.ports.join(", ")} of the host is the gateway's own` };
}

function knownPorts(
  { exposed }: Container,
  label: number | undefined,
  ports: readonly number[],
): Ports | undefined {
  if (label !== undefined) return { ports: [label], why: "label gateway.port names it" };
  const expected = ports.filter((port) => exposed.includes(port));
  if (expected.length > 0) return { ports: expected, why: "exposed, and one of --ports" };
  const [lowest] = exposed;
  return lowest === undefined ? undefined : { ports: [lowest], why: "the lowest that is exposed" };
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
