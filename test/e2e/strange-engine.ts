// A real Engine behind a server that answers some requests in its own way.

import type { Engine } from "../lab/engine.ts";

export interface Strangeness {
  /** The oldest and the newest API version that it takes, whatever the real one takes. */
  versions?: { oldest: string; newest: string };
  /** Containers whose inspection fails, by their ID; may change meanwhile. */
  failing?: Set<string>;
}

/** An Engine that differs from the real one behind it. */
export class StrangeEngine {
  readonly dockerHost: string;
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  readonly #server: Bun.Server<undefined>;

  constructor(
    private readonly engine: Engine,
    socket: string,
    private readonly strangeness: Strangeness,
  ) {
    this.dockerHost = `unix://${socket}`;
    this.#server = Bun.serve({
      unix: socket,
      fetch: (request, server) => {
        // Event streams are silent for as long as nothing happens.
        server.timeout(request, 0);
        return this.#answer(request);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    this.asked.push(pathname);
    const { versions, failing } = this.strangeness;
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
    if (versions === undefined)
      return new Response(answer.body, { status: answer.status, headers });
    headers.set("Api-Version", versions.newest);
    if (pathname !== "/version")
      return new Response(answer.body, { status: answer.status, headers });
    const { oldest, newest } = versions;
    const body = (await answer.json()) as Record<string, unknown>;
    return Response.json({ ...body, ApiVersion: newest, MinAPIVersion: oldest }, { headers });
  }
}

function refusal(status: number, message: string): Response {
  return Response.json({ message }, { status });
}

function isOlder(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => Number(version.split(".")[1]));
  return (left ?? 0) < (right ?? 0);
}
