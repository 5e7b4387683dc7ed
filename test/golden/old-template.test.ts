// The template of the program of 2018, translated: it does in a real HAProxy what it did then.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { cli, haproxyVersions, startHaproxy, type Haproxy } from "../lab/haproxy.ts";
import { eventually, request } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { at, container } from "../lab/make.ts";
import { goldenCases } from "./cases.ts";

// Loopback addresses of their own, for the ports are the template's.
const CONTAINERS = [
  container("one", { image: "foo/bar:1.2", attachments: [at("bridge", "127.0.18.1")] }),
  container("two", { image: "foo/bar:1.2", attachments: [at("bridge", "127.0.18.2")] }),
  container("three", { image: "nginx", attachments: [at("bridge", "127.0.18.3")] }),
];

/** How many servers HAProxy has found dead. */
async function deadServers({ masterSocket }: Haproxy): Promise<number> {
  const states = await cli(masterSocket, "@1 show servers state");
  return states.split("\n").filter((line) => line.split(" ")[5] === "0").length;
}

const servers: Bun.Server<undefined>[] = [];

beforeAll(() => {
  // The third one listens where the template's second server line says.
  for (const [name, hostname, port] of [
    ["one", "127.0.18.1", 8000],
    ["two", "127.0.18.2", 8000],
    ["three", "127.0.18.3", 80],
  ] as const) {
    const fetch = ({ method, url }: Request): Response => {
      const { pathname, search } = new URL(url);
      return new Response(`${name} ${method} ${pathname}${search}`);
    };
    servers.push(Bun.serve({ hostname, port, fetch }));
  }
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop(true)));
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let haproxy: Haproxy;
  let port: number;

  beforeAll(async () => {
    const golden = goldenCases().find(({ name }) => name === "old-template");
    if (golden === undefined) throw new Error("there is no case old-template");
    const dir = labDir("old");
    port = await freePort();
    const { files } = golden.render(CONTAINERS, version);
    const config = files.config
      .replace("bind *:80", `bind 127.0.0.1:${port}`)
      .replace("/run/haproxy/admin.sock", join(dir, "admin.sock"))
      .replaceAll("check inter 2000", "check inter 50")
      // The lab looks after the process itself.
      .replace(/^ *daemon\n/m, "");
    haproxy = await startHaproxy({ version, config, dir });
    // Each container has a dead port besides the live one: the checks find that out.
    await eventually(async () => expect(await deadServers(haproxy)).toBe(CONTAINERS.length));
  }, 30_000);

  afterAll(() => haproxy.stop());

  const ask = async (target: string, method = "GET") => {
    const { status, body } = await request({ host: "127.0.0.1", port, target, method });
    return `${status} ${body}`;
  };

  test("both containers of one image get requests, without the prefix", async () => {
    const seen = new Set<string>();
    for (let count = 0; count < 8; count++) seen.add(await ask("/foo/bar:1.2/x?y=1"));
    expect(seen).toEqual(new Set(["200 one GET /x?y=1", "200 two GET /x?y=1"]));
  });

  test.each([
    ["/nginx", "GET", "200 three GET /"],
    ["/nginx/", "GET", "200 three GET /"],
    ["/nginx/a/b%20c?d", "GET", "200 three GET /a/b%20c?d"],
    // Which kept their prefix then.
    ["/nginx/a", "PUT", "200 three PUT /a"],
    ["/nginx/a", "DELETE", "200 three DELETE /a"],
  ])("%s %s", async (target, method, expected) => {
    expect(await ask(target, method)).toBe(expected);
  });

  test.each(["/", "/other", "/foo"])("%s is denied", async (target) => {
    expect(await ask(target)).toStartWith("403 ");
  });
});
