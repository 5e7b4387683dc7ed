// A real Engine behind a server that answers some requests in its own way.

import type { Engine } from "../lab/engine.ts";

export interface Strangeness {
  /** The oldest and the newest API version that it takes, whatever the real one takes. */
  versions?: { oldest: string; newest: string };
  /** Containers whose inspection fails, by their ID; may change meanwhile. */
  failing?: Set<string>;
  /** How far its clock is ahead of the real one's, in seconds. */
  ahead?: number;
}

/**
 * What it does with a request instead of answering it: `hold` it back until it is let go, `refuse` it
 * as a socket proxy does, `cut` the answer off in the middle, or `repeat` what it answered before.
 */
export type Trick = "hold" | "refuse" | "cut" | "repeat";

/** Bun ends an answer that is silent for 10 s. Its types lack this option for unix sockets. */
const NO_IDLE_TIMEOUT: object = { idleTimeout: 0 };

/** An Engine that differs from the real one behind it. */
export class StrangeEngine {
  readonly dockerHost: string;
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  /** The tricks by their paths, without the API version; may change meanwhile. */
  readonly tricks = new Map<string, Trick>();
  /** The last answers of the real one about containers, by their paths. */
  readonly #answers = new Map<string, string>();
  #released = Promise.withResolvers<void>();
  readonly #server: Bun.Server<undefined>;

  constructor(
    private readonly engine: Engine,
    socket: string,
    private readonly strangeness: Strangeness = {},
  ) {
    this.dockerHost = `unix://${socket}`;
    this.#server = Bun.serve({
      unix: socket,
      // Event streams are silent for as long as nothing happens.
      ...NO_IDLE_TIMEOUT,
      fetch: (request) => this.#answer(request),
    });
  }

  /** Plays no tricks any more, and answers what was held back. */
  release(): void {
    this.tricks.clear();
    this.#released.resolve();
    this.#released = Promise.withResolvers();
  }

  async stop(): Promise<void> {
    this.release();
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const { pathname } = url;
    this.asked.push(pathname);
    const bare = pathname.replace(/^\/v[\d.]+(?=\/)/, "");
    const trick = this.tricks.get(bare);
    if (trick === "hold") await this.#released.promise;
    if (trick === "refuse") return refusal(403, "not allowed here");
    if (trick === "cut") return cutOff();
    if (trick === "repeat") return new Response(this.#answers.get(bare));
    const { versions, failing, ahead = 0 } = this.strangeness;
    // Its own clock decides what happened since then.
    const since = url.searchParams.get("since");
    if (since !== null) url.searchParams.set("since", String(Number(since) - ahead));
    const { search } = url;
    const [, version, rest] = /^\/v(\d+\.\d+)(\/.*)$/.exec(pathname) ?? [];
    if (versions !== undefined && version !== undefined && isOlder(version, versions.oldest)) {
      return refusal(
        400,
        `client version ${version} is too old. Minimum supported API version is ${versions.oldest}`,
      );
    }
    const id = /\/containers\/([0-9a-f]+)\/json$/.exec(pathname)?.[1];
    if (id !== undefined && failing?.has(id)) return refusal(500, "something went wrong in here");

    // Without a version the real one takes its newest.
    const path = versions === undefined ? pathname : (rest ?? pathname);
    const answer = await fetch(`http://engine${path}${search}`, {
      unix: this.engine.socket,
      signal: request.signal,
      timeout: false,
    } as BunFetchRequestInit);
    const headers = new Headers(answer.headers);
    for (const name of ["Content-Length", "Transfer-Encoding"]) headers.delete(name);
    const date = Date.parse(headers.get("Date") ?? "") + ahead * 1_000;
    headers.set("Date", new Date(date).toUTCString());
    if (id !== undefined) this.#answers.set(bare, await answer.clone().text());
    if (versions === undefined) {
      const body = pathname.endsWith("/events") ? withFirstByte(answer.body) : answer.body;
      return new Response(body, { status: answer.status, headers });
    }
    headers.set("Api-Version", versions.newest);
    if (pathname !== "/version")
      return new Response(answer.body, { status: answer.status, headers });
    const { oldest, newest } = versions;
    const body = (await answer.json()) as Record<string, unknown>;
    return Response.json({ ...body, ApiVersion: newest, MinAPIVersion: oldest }, { headers });
  }
}

/** Without a byte the head of an answer would wait for the first event. */
function withFirstByte(events: Response["body"]): Response["body"] {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("\n")),
  });
  void events?.pipeTo(writable).catch(() => undefined);
  return readable;
}

/** An answer that ends in the middle. */
function cutOff(): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('[{"Id":'));
      controller.close();
    },
  });
  return new Response(body);
}

function refusal(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

function isOlder(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => Number(version.split(".")[1]));
  return (left ?? 0) < (right ?? 0);
}
