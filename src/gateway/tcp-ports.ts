// The ports from which bytes are forwarded, and whether the gateway can listen at them. One that somebody
// else has must not keep HAProxy from anything else.

import { bindAddresses, portOf } from "../config/bind-addresses.ts";
import { parseConfig, sectionsOf, type Section } from "../config/sections.ts";
import { whyNotFree } from "../lib/listeners.ts";
import type { GatewayError } from "../lib/errors.ts";
import { isForwarded, type Files, type Model, type Reach, type Service } from "../model.ts";
import { bindsOf } from "../template/tcp.ts";

/** Reasons by port. */
type Reasons = Readonly<Record<string, string>>;

/** The first and the longest pause until a port is tried again with which HAProxy failed, in milliseconds. */
const [FIRST_RETRY, LONGEST_RETRY] = [60_000, 3_600_000];

/** Why a port cannot be had. */
interface Taken {
  readonly problem: string;
  /** Its addresses: when they are free, it is tried again. */
  readonly addresses: readonly string[];
  /** When it is tried again whatever else, in milliseconds since 1970. */
  readonly retryAt: number;
}

/** Remembers the ports that cannot be had. */
export class TcpPorts {
  readonly #taken = new Map<string, Taken>();
  /** How long the next pause is, by port, in milliseconds. */
  readonly #pauses = new Map<string, number>();
  #reasons: Reasons = {};

  /** Why ports cannot be had, by port. It is the same object as long as nothing has changed. */
  get taken(): Reasons {
    return this.#reasons;
  }

  /** Notes that somebody else has an address. */
  note(address: string, problem: string): void {
    const port = portOf(address);
    const { addresses = [] } = this.#taken.get(port) ?? {};
    const all = [...new Set([...addresses, address])];
    this.#set(port, { problem, addresses: all, retryAt: Infinity });
  }

  /** Notes that HAProxy failed with ports. @param now in milliseconds since 1970 */
  blame(ports: readonly string[], error: GatewayError, now: number): void {
    for (const port of ports) {
      const wait = this.#pauses.get(port) ?? FIRST_RETRY;
      this.#pauses.set(port, Math.min(wait * 2, LONGEST_RETRY));
      const problem = `HAProxy fails with it: ${reasonIn(error)}`;
      this.#set(port, { problem, addresses: [], retryAt: now + wait });
    }
  }

  /**
   * Looks whether ports can be had by now.
   * @param now in milliseconds since 1970
   * @returns whether one is worth another try
   */
  async look(now: number): Promise<boolean> {
    let isAny = false;
    for (const [port, { addresses, retryAt }] of this.#taken) {
      if (
        retryAt > now &&
        (addresses.length === 0 || (await firstTaken(addresses, true)) !== undefined)
      ) {
        continue;
      }
      this.#taken.delete(port);
      isAny = true;
    }
    if (isAny) this.#reasons = this.#toReasons();
    return isAny;
  }

  #set(port: string, taken: Taken): void {
    this.#taken.set(port, taken);
    this.#reasons = this.#toReasons();
  }

  #toReasons(): Reasons {
    return Object.fromEntries([...this.#taken].map(([port, { problem }]) => [port, problem]));
  }
}

/** What HAProxy complains of, without the numbers of its processes: they differ at each try. */
function reasonIn({ message, lines }: GatewayError): string {
  const line = lines.find((each) => /\bbind\b/i.test(each)) ?? message;
  return line.replace(/^\[\w+\]\s*\(\d+\)\s*:\s*/, "");
}

/** @param hasOurRights whether HAProxy may listen at no more ports than this process */
async function firstTaken(
  addresses: readonly string[],
  hasOurRights = false,
): Promise<string | undefined> {
  for (const address of addresses) {
    const { problem } = (await whyNotFree(address, () => false, hasOurRights)) ?? {};
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** The ports from which the bytes of services are forwarded. */
export function tcpPortsOf(services: readonly Service[]): string[] {
  const routes = services.filter(isForwarded).flatMap((service) => service.routes);
  return [...new Set(routes.map(({ tcp }) => String(tcp)))];
}

/** The ports of services at which HAProxy does not listen yet. @param running what it has */
export function newTcpPorts(
  services: readonly Service[],
  running: readonly Section[],
): readonly string[] {
  const held = new Set(bindAddresses(running).map(portOf));
  return tcpPortsOf(services).filter((port) => !held.has(port));
}

/**
 * Finds out which ports of services somebody else has, for a command that runs beside the gateway.
 * @param listen the addresses where HTTP is served
 * @param config the text of the configuration that HAProxy has; empty: none
 */
export async function findTaken(
  services: readonly Service[],
  listen: readonly string[],
  config: string,
): Promise<Reasons> {
  const found: Record<string, string> = {};
  for (const port of newTcpPorts(services, parseConfig(config))) {
    const problem = await firstTaken(bindsOf(listen, Number(port)));
    if (problem !== undefined) found[port] = problem;
  }
  return found;
}

/**
 * The ports that a container in the host's network has for itself: its server would be the gateway.
 * @returns the reasons by port
 */
export function takenAtHost({ services }: Model, { hostAddress, local }: Reach): Reasons {
  if (!local || hostAddress === undefined) return {};
  const ports = new Set(tcpPortsOf(services));
  if (ports.size === 0) return {};
  const servers = services.flatMap((service) => service.servers);
  return Object.fromEntries(
    servers
      .filter(({ address, port }) => address === hostAddress && ports.has(String(port)))
      .map(({ container, port }) => [port, `container ${container} has it in the host's network`]),
  );
}

/**
 * The containers whose bytes a template does not forward.
 * @param template its name
 * @returns the reason by container ID
 */
export function notForwarded(
  services: readonly Service[],
  files: Files,
  template: string,
): Readonly<Record<string, string>> {
  const forwarded = services.filter(isForwarded);
  if (forwarded.length === 0) return {};
  const bound = sectionsOf(files).flatMap((section) => [
    ...new Set(bindAddresses([section]).map(portOf)),
  ]);
  return Object.fromEntries(
    forwarded.flatMap(({ routes, servers, waiting }) => {
      const port = String(routes[0]?.tcp);
      const count = bound.filter((each) => each === port).length;
      if (count === 1) return [];
      const why =
        count === 0
          ? `template ${template} does not listen at tcp port ${port} (see {{> tcp}} in docs/templates.md)`
          : `template ${template} listens at port ${port} for something else`;
      return [...servers, ...waiting].map(({ id }) => [id, why]);
    }),
  );
}

/** Services without those that only held routes at ports which cannot be had. */
export function withoutTaken(services: readonly Service[], taken: Reasons): readonly Service[] {
  if (Object.keys(taken).length === 0) return services;
  return services.filter(({ routes }) => taken[String(routes[0]?.tcp)] === undefined);
}
