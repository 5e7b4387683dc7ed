// One container: whether it is routed, and which servers it is.

import { addressChooser, choosePorts, type AddressOptions } from "./address.ts";
import { readIntent, type Intent } from "./intent.ts";
import type { Container, Reach, Server, Snapshot } from "../model.ts";

/** A routed container: what it asks for and its servers, of which a restarting one has none. */
export interface Member {
  readonly container: Container;
  readonly intent: Intent;
  readonly servers: readonly Server[];
  readonly decisions: readonly Decision[];
}

/** Why a container is not routed, and what was decided before. */
export interface NotRouted {
  readonly container: Container;
  readonly reason: string;
  /** Whether the container itself asked for it. */
  readonly asked: boolean;
  readonly decisions: readonly Decision[];
}

/** Something that was decided about a container, for a person. */
interface Decision {
  readonly about: "state" | "path" | "address" | "port" | "health";
  readonly text: string;
}

/** Makes the function that places a container. */
export function placer(
  snapshot: Snapshot,
  reach: Reach,
  options: AddressOptions,
): (container: Container) => Member | NotRouted {
  const chooseAddress = addressChooser(snapshot, reach, options);
  return place;

  function place(container: Container): Member | NotRouted {
    const decisions: Decision[] = [];
    const no = (reason: string, asked = false): NotRouted => {
      return { container, reason, asked, decisions };
    };
    if (!["running", "paused", "restarting"].includes(container.state)) {
      return no(`it is ${container.state}`);
    }
    decisions.push({ about: "state", text: describeState(container) });
    const intent = readIntent(container);
    if ("reason" in intent) return no(intent.reason, intent.asked);
    for (const { path } of intent.routes.value) {
      decisions.push({ about: "path", text: `${path}, from ${intent.routes.by}` });
    }
    // Docker will start it again: the route stays, and answers 503 until then.
    if (container.state === "restarting") return { container, intent, servers: [], decisions };

    const address = chooseAddress(container, intent.network?.value);
    if ("reason" in address) return no(address.reason);
    decisions.push({ about: "address", text: `${address.address}, ${address.why}` });
    const candidates = choosePorts(container, intent.port?.value, address, options);
    if ("reason" in candidates) return no(candidates.reason);
    const numbers = candidates.ports.join(", then ");
    decisions.push({ about: "port", text: `${numbers}, ${candidates.why}` });
    decisions.push({ about: "health", text: describeHealth(container) });
    const servers = candidates.ports.map((port, index) => ({
      ...toServer(container, address.address, port, index > 0),
      name: serverName(container, candidates.ports.length > 1 ? port : undefined),
    }));
    return { container, intent, servers, decisions };
  }
}

function describeState({ state, stopping }: Container): string {
  if (state === "paused") return "paused: it gets no requests";
  if (state === "restarting") return "restarting: its route answers 503 until it runs";
  return stopping > 0 ? "told to stop: no new requests while others serve" : state;
}

function describeHealth({ health }: Container): string {
  if (health === "none") return "no HEALTHCHECK: it gets requests while its port answers";
  return health === "healthy" ? "healthy" : `${health}: it gets no requests`;
}

/**
 * A server's name holds its container's ID: a container that is made anew under the same name must
 * not inherit what HAProxy knew of the old one.
 */
function serverName(container: Container, port: number | undefined): string {
  const name = container.name.replaceAll(/[^A-Za-z0-9_.-]/g, "_");
  const id = container.id.slice(0, 12);
  return port === undefined ? `${name}:${id}` : `${name}:${id}:${port}`;
}

function toServer(container: Container, address: string, port: number, backup: boolean) {
  const why = whyDisabled(container);
  const { name, id, image, labels, stopTimeout } = container;
  const disabled = why !== "";
  return { container: name, id, image, labels, stopTimeout, address, port, backup, disabled, why };
}

function whyDisabled(container: Container): string {
  if (container.state === "paused") return "paused";
  if (container.health === "starting" || container.health === "unhealthy") return container.health;
  return container.stopping > 0 ? "stopping" : "";
}
