// Chooses the address and the ports at which HAProxy reaches a container.

import { BlockList } from "node:net";
import type {
  Attachment,
  Container,
  Elsewhere,
  Publication,
  PublishedPort,
  Reach,
  Snapshot,
  Task,
} from "../model.ts";
import { otherProtocolAt } from "./other-protocols.ts";

export interface AddressOptions {
  /** The ports to look for, the preferred first. */
  readonly ports: readonly number[];
  /** The network to prefer. */
  readonly network: string | undefined;
  /** The ports that HAProxy itself listens on. They are left out, so it is never its own server. */
  readonly ownPorts: readonly number[];
  /** What all labels begin with. */
  readonly labelPrefix: string;
}

export interface Address {
  /** IPv6 in brackets. Never empty: HAProxy would then use the destination of the client. */
  readonly address: string;
  /** Why it was chosen, as text for a person. */
  readonly why: string;
  /**
   * Set for the address of a host, whose ports the container shares with others: `own` for
   * HAProxy's host, `other` for another one. Undefined for an address of the container alone.
   */
  readonly host: "own" | "other" | undefined;
  /** The container whose network it uses, if it has none of its own. */
  readonly provider?: Container;
  /** The ports that it has there, those of a task all of one mode; undefined: those of the container itself. */
  readonly published?: readonly (PublishedPort | Publication)[];
}

/** What a container's labels say of its address. */
export interface AddressWishes {
  /** `gateway.network`. */
  readonly network: string | undefined;
  /** `gateway.address`, which counts where it is reached by ports that it publishes. */
  readonly address: string | undefined;
}

/** The ports to try, the preferred first. HAProxy's checks find the one that answers. */
export interface Ports {
  readonly ports: readonly number[];
  /** Why they were chosen, as text for a person. */
  readonly why: string;
}

/** Why there is no address or no port. */
export interface Unreachable {
  readonly reason: string;
  /** Set if nothing is wrong: the container is no web server. */
  readonly expected?: true;
}

/** The default networks of Docker and Podman. */
const DEFAULT_NETWORKS = ["bridge", "podman"];
/** With these drivers, a host cannot reach its own containers, even in the same subnet. */
const HOST_ISOLATING_DRIVERS = ["macvlan", "ipvlan"];

/** Makes the function that chooses the address of a container. */
export function createAddressChooser(snapshot: Snapshot, reach: Reach, options: AddressOptions) {
  const reachableAddress = createAddressFinder(reach, snapshot.drivers);
  const label = `${options.labelPrefix}network`;

  const own = new Set(reach.interfaces.map((cidr) => cidr.replace(/\/.*$/, "")));
  const isOwn = (address: string): boolean => own.has(address) || /^(127\.|::1$)/.test(address);
  const isOfContainers = createContainerCheck(snapshot.gateways, reach);

  return choose;

  /** @param wanted what the container's labels say */
  function choose(container: Container, wished: AddressWishes): Address | Unreachable {
    const { networkMode, elsewhere } = container;
    const wanted = wished.network;
    if (elsewhere !== undefined && !networkMode.startsWith("container:")) {
      return chooseElsewhere(container, elsewhere, wished.address);
    }
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
      const address = choose(other, wished);
      if ("reason" in address) return address;
      return {
        ...address,
        provider: other,
        why: `${address.why}, as container ${other.name}, whose network it uses`,
      };
    }
    const { task } = container;
    if (task === undefined) return chooseAttachment(container.attachments, wanted);
    // A subnet may be one of this host's, too: what counts is whether the gateway is on that very network.
    const near = container.attachments.filter(
      ({ network }) => reach.overlays.includes(network) && (wanted ?? network) === network,
    );
    if (near.length > 0) return chooseAttachment(near, wanted);
    const published = wanted === undefined ? publishedAddress(task) : undefined;
    return published ?? { reason: whyNoTask(container, label, wanted) };
  }

  /** On another machine it is reached by the ports that it publishes, as its networks are not this one's. */
  function chooseElsewhere(
    { networkMode, engine = "" }: Container,
    { address, published }: Elsewhere,
    wanted: string | undefined,
  ): Address | Unreachable {
    if (networkMode === "none") return { reason: "it has no network (network mode none)" };
    if (networkMode === "host") {
      return isOwn(address)
        ? { reason: `it uses the host's network of Engine ${engine}, which may not be this host's` }
        : {
            address: bracketed(address),
            why: `that of Engine ${engine}, whose host's network it uses`,
            host: "other",
          };
    }
    const place = wanted ?? address;
    if (wanted !== undefined && wanted !== address && (isOwn(wanted) || isOfContainers(wanted))) {
      return {
        reason: `label ${options.labelPrefix}address=${wanted} is an address of this machine or its containers`,
      };
    }
    const there = published.filter(
      ({ at }) => at === place || (wanted === undefined && isAny(at, place)),
    );
    if (there.length === 0) return { reason: whyNotPublished(published, place, engine, wanted) };
    const usable = there.filter(({ port }) => !isOwn(place) || !options.ownPorts.includes(port));
    if (usable.length === 0) {
      const ports = there.map(({ port }) => port).join(", ");
      return { reason: `port ${ports} of the host, which it publishes, is the gateway's own` };
    }
    return {
      address: bracketed(place),
      why:
        wanted === undefined
          ? `that of Engine ${engine}, where it publishes ports`
          : `which label ${options.labelPrefix}address names, and where it publishes ports`,
      host: undefined,
      published: usable,
    };
  }

  /** With the way out. */
  function whyNotPublished(
    published: Elsewhere["published"],
    place: string,
    engine: string,
    wanted: string | undefined,
  ): string {
    const name = `${options.labelPrefix}address`;
    if (wanted !== undefined) {
      return `it publishes no port at that very address ${wanted} (label ${name})`;
    }
    const [first] = published;
    if (first === undefined) {
      return `it publishes no port, and its networks are those of Engine ${engine}: publish one (-p PORT)`;
    }
    const others = [...new Set(published.map(({ at }) => at))].join(", ");
    return (
      `it publishes ports at ${others} and not at ${place}, where Engine ${engine} is reached ` +
      `(label ${name}=${first.at} if the gateway reaches that)`
    );
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
      .map((attachment) => ({ network: attachment.network, address: reachableAddress(attachment) }))
      .filter(({ address }) => address !== "")
      .toSorted((a, b) => (a.network < b.network ? -1 : 1));
    if (wanted !== undefined) {
      const found = usable.find(({ network }) => network === wanted);
      if (found !== undefined) return onNetwork(found, `which label ${label} names`);
      return names.includes(wanted)
        ? { reason: `its network ${wanted} (label ${label}) cannot be reached from here` }
        : { reason: `it is not on network ${wanted} (label ${label})` };
    }
    const preferred = usable.find(({ network }) => network === options.network);
    if (preferred !== undefined) return onNetwork(preferred, "which --network names");
    const [first, ...others] = usable;
    if (first === undefined) {
      return { reason: `none of its networks (${names.join(", ")}) can be reached from here` };
    }
    if (others.length === 0) {
      return onNetwork(first, "the only one of its networks that this host reaches");
    }
    const standard = usable.find(({ network }) => DEFAULT_NETWORKS.includes(network));
    if (standard !== undefined) return onNetwork(standard, "Docker's default network");
    const usableNames = usable.map(({ network }) => network).join(", ");
    return onNetwork(first, `the first by name of ${usableNames}`);
  }
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

/** Makes the function that says whether an address may be that of a container of this machine. */
function createContainerCheck(
  gateways: readonly string[],
  { interfaces }: Reach,
): (address: string) => boolean {
  const subnets = new BlockList();
  for (const cidr of interfaces) {
    const [address = "", prefix = ""] = cidr.split("/");
    const subnet = new BlockList();
    subnet.addSubnet(address, Number(prefix), familyOf(address));
    if (!gateways.some((each) => subnet.check(each, familyOf(each)))) continue;
    subnets.addSubnet(address, Number(prefix), familyOf(address));
  }
  return (address) => subnets.check(address, familyOf(address));
}

/** Whether a port is published at all addresses of its machine of this one's family. */
function isAny(at: string, address: string): boolean {
  return at === (address.includes(":") ? "::" : "0.0.0.0");
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

/** Where a task is reached without its networks: on its node, else by the routing mesh. */
function publishedAddress({ published }: Task): Address | undefined {
  const own = published.filter(({ mode }) => mode === "host");
  const [first] = own.length > 0 ? own : published;
  if (first === undefined) return undefined;
  const { address, mode } = first;
  return {
    address: bracketed(address),
    why:
      mode === "host"
        ? "that of its node, where it publishes ports (mode host)"
        : "where the routing mesh listens: the swarm picks the task, so none is drained and no client sticks to one",
    host: undefined,
    published: published.filter((each) => each.mode === mode),
  };
}

/** Why a task cannot be reached, with the way out. */
function whyNoTask({ attachments }: Container, label: string, wanted: string | undefined): string {
  const names = attachments.map(({ network }) => network);
  const ways =
    "publish its port (mode=host), or run the gateway in a container on one of its networks";
  if (wanted !== undefined) {
    return names.includes(wanted)
      ? `the gateway is not on its network ${wanted} (label ${label})`
      : `it is not on network ${wanted} (label ${label})`;
  }
  return names.length === 0
    ? `it publishes no port and is on no network: ${ways}`
    : `it publishes no port, and the gateway is on none of its networks (${names.join(", ")}): ${ways}`;
}

function onNetwork(usable: { network: string; address: string }, why: string): Address {
  return { address: usable.address, why: `on network ${usable.network}, ${why}`, host: undefined };
}

/** The port of the official image of PHP, and of whatever else speaks FastCGI. */
const FASTCGI_PORT = 9_000;

/**
 * Chooses the ports to try.
 * @param label the port in the container's label `gateway.port`
 * @param isFastCgi whether FastCGI is spoken there, and not HTTP
 */
export function choosePorts(
  container: Container,
  label: number | undefined,
  address: Address,
  options: AddressOptions,
  isFastCgi = false,
): Ports | Unreachable {
  const reached = asPublished(container, address);
  const found = chooseOwnPorts(reached, label, address, options, isFastCgi);
  return withPublished(found, address);
}

/** A container as it is seen where it publishes ports: what it exposes besides is of no use. */
function asPublished(container: Container, { published }: Address): Container {
  if (published === undefined) return container;
  const ports = [...new Set(published.map(({ target }) => target))].toSorted((a, b) => a - b);
  const exposed = container.exposed.filter((port) => ports.includes(port));
  return { ...container, exposed: exposed.length > 0 ? exposed : ports };
}

/** Leaves out the ports that nobody reaches there. */
function withPublished(found: Ports | Unreachable, { published }: Address): Ports | Unreachable {
  if (published === undefined || "reason" in found) return found;
  const ports = found.ports.filter((port) => published.some(({ target }) => target === port));
  if (ports.length > 0) return { ...found, ports };
  const names = [...new Set(published.map(({ target }) => target))].join(", ");
  return {
    reason: `port ${found.ports.join(", ")} is not published, only ${names}, and the gateway is on none of its networks`,
  };
}

/** The port at an address that is one of the container's own. */
export function portAt({ published }: Address, own: number): number {
  return published?.find(({ target }) => target === own)?.port ?? own;
}

function chooseOwnPorts(
  container: Container,
  label: number | undefined,
  address: Address,
  options: AddressOptions,
  isFastCgi: boolean,
): Ports | Unreachable {
  const wanted = isFastCgi ? { ...options, ports: [FASTCGI_PORT] } : options;
  const known = knownPorts(container, label, wanted, isFastCgi ? "FastCGI's" : "one of --ports");
  if (known !== undefined && "reason" in known) return known;
  if (address.host === undefined) {
    const { ports } = options;
    if (known !== undefined) return known;
    if (isFastCgi) return { ports: [FASTCGI_PORT], why: "nothing is exposed: FastCGI's is tried" };
    return { ports, why: `nothing is exposed: --ports (${ports.join(", ")}) are tried` };
  }
  if (known === undefined) {
    return {
      reason: `it uses the host's network and none of its ports is known (set label ${options.labelPrefix}port)`,
    };
  }
  const usable = known.ports.filter(
    (port) => address.host === "other" || !options.ownPorts.includes(port),
  );
  if (usable.length > 0) return { ...known, ports: usable };
  return { reason: `port ${known.ports.join(", ")} of the host is the gateway's own` };
}

/**
 * Chooses the port to which bytes are forwarded.
 * @param label the port in the container's label `gateway.port`
 * @param tcp the port of the gateway
 */
export function chooseTcpPorts(
  container: Container,
  label: number | undefined,
  tcp: number,
  address: Address,
  options: AddressOptions,
): Ports | Unreachable {
  const { exposed } = asPublished(container, address);
  const known = knownTcpPort(exposed, label, tcp, options);
  const found =
    known === undefined
      ? choosePorts(container, label, address, options)
      : withPublished(known, address);
  if ("reason" in found) {
    if (known !== undefined) return found;
    const names = `label ${options.labelPrefix}port names the one that is meant`;
    return {
      reason: `it exposes the ports ${exposed.join(", ")}, and ${tcp} is none of them: ${names}`,
    };
  }
  if (address.host !== "own") return found;
  // HAProxy would be its own server.
  const ports = found.ports.filter((port) => port !== tcp && !options.ownPorts.includes(port));
  if (ports.length > 0) return { ...found, ports };
  return {
    reason: `it uses the host's network, and port ${found.ports.join(", ")} of the host is the gateway's own`,
  };
}

/** The port that a label or the exposed ports tell; undefined if that takes more. */
function knownTcpPort(
  exposed: readonly number[],
  label: number | undefined,
  tcp: number,
  { labelPrefix }: AddressOptions,
): Ports | undefined {
  if (label !== undefined) return { ports: [label], why: `label ${labelPrefix}port names it` };
  if (exposed.length === 1) return { ports: exposed, why: "the only one that is exposed" };
  if (exposed.includes(tcp))
    return { ports: [tcp], why: `exposed, and that of label ${labelPrefix}tcp` };
  return exposed.length === 0
    ? { ports: [tcp], why: `nothing is exposed: that of label ${labelPrefix}tcp` }
    : undefined;
}

/**
 * The ports that a label or the exposed ports tell; undefined if neither does. Of the exposed ports
 * that are not in `--ports`, those of other protocols than HTTP are left alone.
 * @param whose what the ports in the options are, as the end of a reason
 */
function knownPorts(
  { exposed }: Container,
  label: number | undefined,
  { ports, labelPrefix }: AddressOptions,
  whose: string,
): Ports | Unreachable | undefined {
  const name = `${labelPrefix}port`;
  if (label !== undefined) return { ports: [label], why: `label ${name} names it` };
  const expected = ports.filter((port) => exposed.includes(port));
  if (expected.length > 0) return { ports: expected, why: `exposed, and ${whose}` };
  if (exposed.length === 0) return undefined;
  const lowest = exposed.find((port) => otherProtocolAt(port, exposed) === undefined);
  if (lowest === undefined) return { reason: whyNotHttp(exposed, labelPrefix), expected: true };
  const lower = exposed.filter((port) => port < lowest);
  const others = lower.length === 0 ? "" : ` (${whosePorts(lower, exposed)})`;
  return { ports: [lowest], why: `the lowest that is exposed${others}` };
}

/**
 * Why a container is not routed that exposes only ports of other protocols.
 * @param labelPrefix what labels begin with
 */
function whyNotHttp(exposed: readonly number[], labelPrefix: string): string {
  const [port, which] =
    exposed.length === 1 ? [exposed.join(), "it does"] : ["PORT", "one of them does"];
  const help =
    `label ${labelPrefix}port=${port} if ${which} speak HTTP, ` +
    `label ${labelPrefix}tcp=${port} to forward its bytes`;
  return `${whosePorts(exposed, exposed)}; ${help}`;
}

/** Such as `4369 is Erlang's port, 5671 and 5672 are AMQP's ports`. */
function whosePorts(ports: readonly number[], exposed: readonly number[]): string {
  const byName = Map.groupBy(ports, (port) => otherProtocolAt(port, exposed));
  return [...byName]
    .map(([name, own]) => {
      const last = own.slice(-1).join();
      const others = own.slice(0, -1).join(", ");
      return others === ""
        ? `${last} is ${name}'s port`
        : `${others} and ${last} are ${name}'s ports`;
    })
    .join(", ");
}

/** Makes the function that gives an address to reach in a network, IPv4 first; empty if none is. */
function createAddressFinder(
  reach: Reach,
  drivers: Snapshot["drivers"],
): (attachment: Attachment) => string {
  const subnets = new BlockList();
  for (const cidr of reach.interfaces) {
    const [address = "", prefix = ""] = cidr.split("/");
    subnets.addSubnet(address, Number(prefix), familyOf(address));
  }
  return ({ network, ipv4, ipv6 }) => {
    const isIsolated = HOST_ISOLATING_DRIVERS.includes(drivers[network] ?? "");
    if (isIsolated && reach.local && !reach.inContainer) return "";
    if (ipv4 !== "" && (!reach.local || subnets.check(ipv4, "ipv4"))) return ipv4;
    if (ipv6 !== "" && (!reach.local || subnets.check(ipv6, "ipv6"))) return `[${ipv6}]`;
    return "";
  };
}
