// An Engine that is played word by word: what it says of containers, and when it says what happened.

import { join } from "node:path";
import { gatewayDir } from "./gateway.ts";

/** A container as the Engine describes it; what is left out is as usual. */
export interface Part {
  image: string;
  ip: string;
  port: number;
  status?: "created" | "running" | "paused" | "restarting" | "exited";
  health?: "starting" | "healthy" | "unhealthy";
  /** In seconds. */
  stopTimeout?: number;
  stopSignal?: string;
  labels?: Record<string, string>;
}

const NETWORK_ID = "b".repeat(64);
const API_VERSION = "1.41";
/** Bun ends an answer that is silent for 10 s, on unix sockets too, though its types know of none. */
const PATIENT: object = { idleTimeout: 0 };

export class Stage {
  readonly dockerHost: string;
  /** How long the answer to a question about a container or the networks takes, in milliseconds. */
  patience = 0;
  /** The same for single containers, by their names. */
  readonly patienceFor = new Map<string, number>();
  /** Containers that cannot be described, by their names. */
  readonly failing = new Set<string>();
  /** How often each container was asked for, by its ID. */
  readonly asked = new Map<string, number>();
  /** Whether an answer tells what was true when it was asked for, not when it is given. */
  tellsOldNews = false;
  readonly #parts = new Map<string, Part>();
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #server: Bun.Server<undefined>;

  constructor() {
    const socket = join(gatewayDir(), "engine.sock");
    this.dockerHost = `unix://${socket}`;
    this.#server = Bun.serve({
      unix: socket,
      ...PATIENT,
      fetch: (request) => this.#answer(new URL(request.url)),
    });
  }

  /** Describes a container from now on; its name is also what its ID is made of. */
  set(name: string, part: Part): void {
    this.#parts.set(name, part);
  }

  /** Describes a container otherwise than before. */
  change(name: string, change: Partial<Part>): void {
    const part = this.#parts.get(name);
    if (part === undefined) throw new Error(`there is no container "${name}"`);
    this.#parts.set(name, { ...part, ...change });
  }

  /** It is there no more. */
  drop(name: string): void {
    this.#parts.delete(name);
  }

  /** Says that something happened to a container. */
  tell(name: string, action: string, attributes: Record<string, string> = {}): void {
    this.#send("container", action, idOf(name), { name, ...attributes });
  }

  /** Says that a container was connected to the network, or disconnected from it. */
  tellNetwork(name: string, action: "connect" | "disconnect"): void {
    this.#send("network", action, NETWORK_ID, { container: idOf(name), name: "bridge" });
  }

  /** Creates a container, which is about to start then. */
  announce(name: string, part: Part): void {
    this.set(name, { ...part, status: "created" });
    this.tell(name, "create");
    this.tellNetwork(name, "connect");
  }

  #send(kind: string, action: string, id: string, attributes: Record<string, string>): void {
    const event = { Type: kind, Action: action, Actor: { ID: id, Attributes: attributes } };
    const line = new TextEncoder().encode(`${JSON.stringify(event)}\n`);
    for (const listener of this.#listeners) listener.enqueue(line);
  }

  /** Describes a container and says that it started. */
  start(name: string, part: Part): void {
    this.set(name, part);
    this.tell(name, "start");
  }

  /** Says that a container was told to end. */
  kill(name: string, signal = "15"): void {
    this.tell(name, "kill", { signal });
  }

  /** A container ends. */
  end(name: string): void {
    this.drop(name);
    this.tell(name, "die", { exitCode: "0" });
  }

  async stop(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
    await this.#server.stop(true);
  }

  async #answer({ pathname, searchParams }: URL): Promise<Response> {
    const path = pathname.replace(/^\/v[\d.]+/, "");
    if (path === "/_ping") return new Response("OK", { headers: { "Api-Version": API_VERSION } });
    if (path === "/version") {
      return Response.json({ ApiVersion: API_VERSION, MinAPIVersion: "1.12" });
    }
    if (path === "/events") return new Response(this.#events());
    if (path === "/networks") {
      await Bun.sleep(this.patience);
      return Response.json([{ Name: "bridge", Driver: "bridge", IPAM: { Config: [] } }]);
    }
    if (path === `/networks/${NETWORK_ID}`) {
      const members = [...this.#parts].map(([name, { ip }]) => [
        idOf(name),
        { IPv4Address: `${ip}/16`, IPv6Address: "" },
      ]);
      return Response.json({ Name: "bridge", Containers: Object.fromEntries(members) });
    }
    if (path === "/containers/json") {
      const all = [...this.#parts].filter(([, { status }]) => {
        return searchParams.has("all") || status !== "created";
      });
      return Response.json(all.map(([name, part]) => listing(name, part)));
    }
    const image = [...this.#parts].find(([name]) => path === `/images/${imageOf(name)}/json`);
    if (image !== undefined) {
      const [, { port }] = image;
      return Response.json({ Config: { ExposedPorts: { [`${port}/tcp`]: {} } } });
    }
    const id = /^\/containers\/([^/]+)\/json$/.exec(path)?.[1];
    // As the real one does while it starts or ends a container.
    const held = [...this.patienceFor].find(([name]) => idOf(name) === id);
    const patience = held?.[1] ?? this.patience;
    if (id !== undefined) this.asked.set(id, (this.asked.get(id) ?? 0) + 1);
    const find = () => [...this.#parts].find(([name]) => idOf(name) === id);
    const before = find();
    if (id !== undefined && patience > 0) await Bun.sleep(patience);
    const found = this.tellsOldNews ? before : find();
    if (found !== undefined && this.failing.has(found[0])) {
      return Response.json({ message: "something went wrong in here" }, { status: 500 });
    }
    if (found !== undefined) return Response.json(inspection(...found));
    return Response.json({ message: `no such thing: ${path}` }, { status: 404 });
  }

  #events(): ReadableStream<Uint8Array> {
    const listeners = this.#listeners;
    let own: ReadableStreamDefaultController<Uint8Array> | undefined;
    return new ReadableStream({
      start(controller) {
        own = controller;
        listeners.add(controller);
        // An answer without a byte would not be sent before the first event.
        controller.enqueue(new TextEncoder().encode("\n"));
      },
      cancel() {
        if (own !== undefined) listeners.delete(own);
      },
    });
  }
}

/** The ID of the container of that name. */
export function idOf(name: string): string {
  return new Bun.CryptoHasher("sha256").update(name).digest("hex");
}

/** Each container has an image of its own. */
function imageOf(name: string): string {
  return `sha256:${idOf(`image of ${name}`)}`;
}

function listing(name: string, { image, status = "running", labels = {} }: Part) {
  return {
    Id: idOf(name),
    Names: [`/${name}`],
    Image: image,
    ImageID: imageOf(name),
    Labels: labels,
    State: status,
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Networks: { bridge: { IPAddress: "", GlobalIPv6Address: "" } } },
    Ports: [],
  };
}

function inspection(name: string, part: Part) {
  const { image, ip, port, status = "running", health, stopTimeout, stopSignal } = part;
  return {
    Id: idOf(name),
    Name: `/${name}`,
    Created: new Date(0).toISOString(),
    Image: imageOf(name),
    State: { Status: status, ...(health && { Health: { Status: health } }) },
    Config: {
      Image: image,
      Labels: part.labels ?? {},
      ExposedPorts: { [`${port}/tcp`]: {} },
      ...(stopTimeout !== undefined && { StopTimeout: stopTimeout }),
      ...(stopSignal !== undefined && { StopSignal: stopSignal }),
    },
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Ports: {}, Networks: { bridge: { IPAddress: ip, GlobalIPv6Address: "" } } },
  };
}
