// Plays an Engine: it has an API on a unix socket, and its containers are servers on loopback.

import { rmSync } from "node:fs";

/** A container of the played Engine: the parts of `inspect` that a test or a demo sets. */
export interface PlayedContainer {
  id: string;
  name: string;
  image: string;
  /** The address of its server. Take one on loopback, which this machine reaches. */
  ip: string;
  port: number;
  labels?: Record<string, string>;
}

const API_VERSION = "1.41";
/** Bun ends an answer that is silent for 10 s. Its types lack this option for unix sockets. */
const NO_IDLE_TIMEOUT: object = { idleTimeout: 0 };

/** Answers the gateway's requests to an Engine from a list of containers. */
export class PlayedEngine {
  readonly dockerHost: string;
  /** The paths that were asked for, without the version. */
  readonly asked: string[] = [];
  /** The queries of the same. */
  readonly queries: URLSearchParams[] = [];
  /** Answers other than an Engine's, by their paths. */
  readonly odd = new Map<string, () => Promise<Response>>();
  readonly #containers = new Map<string, PlayedContainer>();
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  readonly #server: Bun.Server<undefined>;

  constructor(private readonly socket: string) {
    rmSync(socket, { force: true });
    this.dockerHost = `unix://${socket}`;
    this.#server = Bun.serve({
      unix: socket,
      ...NO_IDLE_TIMEOUT,
      fetch: (request) => this.#answer(new URL(request.url)),
    });
  }

  /** Adds a container and tells of its start. */
  add(container: PlayedContainer): void {
    this.#containers.set(container.id, container);
    this.#tell("start", container);
  }

  /** Tells that a container gets the signal to end, removes it, and tells of its end. */
  remove(id: string): void {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    this.#tell("kill", container, { signal: "15" });
    this.#containers.delete(id);
    this.#tell("die", container, { exitCode: "0" });
  }

  async stop(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await this.#server.stop(true);
    rmSync(this.socket, { force: true });
  }

  #answer({ pathname, searchParams }: URL): Response | Promise<Response> {
    const path = pathname.replace(/^\/v[\d.]+(?=\/)/, "");
    this.asked.push(path);
    this.queries.push(searchParams);
    const odd = this.odd.get(path);
    if (odd !== undefined) return odd();
    if (path === "/_ping") return new Response("OK", { headers: { "Api-Version": API_VERSION } });
    if (path === "/version")
      return Response.json({ ApiVersion: API_VERSION, MinAPIVersion: "1.12" });
    if (path === "/events") return new Response(this.#events());
    if (path === "/networks") {
      return Response.json([{ Name: "bridge", Driver: "bridge", IPAM: { Config: [] } }]);
    }
    if (path === "/containers/json") {
      return Response.json([...this.#containers.values()].map(listing));
    }
    const id = /^\/containers\/([^/]+)\/json$/.exec(path)?.[1];
    const container = id === undefined ? undefined : this.#containers.get(id);
    if (container !== undefined) return Response.json(inspection(container));
    return Response.json({ message: `no such thing: ${path}` }, { status: 404 });
  }

  #events(): ReadableStream<Uint8Array> {
    const listeners = this.#listeners;
    let own: ReadableStreamDefaultController<Uint8Array> | undefined;
    return new ReadableStream({
      start(controller) {
        own = controller;
        listeners.add(controller);
        // Without a byte the head of the answer would wait for the first event.
        controller.enqueue(new TextEncoder().encode("\n"));
      },
      cancel() {
        if (own !== undefined) listeners.delete(own);
      },
    });
  }

  #tell(action: string, { id, name, image }: PlayedContainer, more: Record<string, string> = {}) {
    const event = {
      Type: "container",
      Action: action,
      Actor: { ID: id, Attributes: { name, image, ...more } },
    };
    const line = new TextEncoder().encode(`${JSON.stringify(event)}\n`);
    for (const listener of this.#listeners) listener.enqueue(line);
  }
}

function listing({ id, name, image, ip, port, labels = {} }: PlayedContainer) {
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image,
    Labels: labels,
    State: "running",
    Status: "Up 5 minutes",
    Ports: [{ PrivatePort: port, Type: "tcp" }],
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Networks: { bridge: { IPAddress: ip, GlobalIPv6Address: "" } } },
  };
}

function inspection({ id, name, image, ip, port, labels = {} }: PlayedContainer) {
  return {
    Id: id,
    Name: `/${name}`,
    Created: new Date(0).toISOString(),
    Image: `sha256:${"0".repeat(64)}`,
    State: { Status: "running" },
    Config: { Image: image, Labels: labels, ExposedPorts: { [`${port}/tcp`]: {} } },
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Ports: {}, Networks: { bridge: { IPAddress: ip, GlobalIPv6Address: "" } } },
  };
}
