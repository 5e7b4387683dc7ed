// Proxies in front that are trusted say who their client is, and nobody else does.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled, type Labels } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

const SERVICES: Readonly<Record<string, Labels>> = {
  web: {},
  inside: { allow: "192.0.2.0/24" },
  limited: { rate: "1/1h" },
  moved: { redirect: "https" },
};

/** What the app got of a header, from all its lines. */
function received(site: Labelled, name: string): string[] {
  const [request] = site.app("web").received;
  return (request?.headers ?? [])
    .filter(([key]) => key.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
}

describe.each(haproxyVersions())("a client at a trusted proxy, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    const trusted = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
    site = await Labelled.start(version, SERVICES, { "trusted-proxies": trusted.join() });
  }, START_MS);

  beforeEach(() => site.forget());
  afterAll(() => site.stop());

  test.each<[string, string[], string]>([
    ["is what it says", ["192.0.2.7"], "192.0.2.7"],
    ["is the last one that is no such proxy", ["203.0.113.9, 192.0.2.7, 10.1.1.1"], "192.0.2.7"],
    ["is found in several lines", ["203.0.113.9", "192.0.2.7", "10.1.1.1"], "192.0.2.7"],
    ["may be an IPv6 address", ["2001:db8::7, fd00::1"], "2001:db8::7"],
    ["may have a port", ["192.0.2.7:4711"], "192.0.2.7"],
    ["may have brackets and a port", ["[2001:db8::7]:4711"], "2001:db8::7"],
    ["is the proxy itself where nobody is named", [], "127.0.0.1"],
    ["is the proxy itself where what it names is no address", ["unknown"], "127.0.0.1"],
    ["is not looked for beyond what is no address", ["192.0.2.7, x, 10.1.1.1"], "10.1.1.1"],
    ["is the farthest proxy where all are trusted", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"],
    ["is not looked for beyond five proxies", [`192.0.2.7${", 10.1.1.1".repeat(6)}`], "10.1.1.1"],
  ])("%s: %j", async (_, lines, client) => {
    const head = lines.map((line) => `X-Forwarded-For: ${line}\r\n`).join("");
    const answer = await raw(site.site.port, `GET /web/ HTTP/1.1\r\nHost: h\r\n${head}\r\n`);
    expect(answer).toStartWith("HTTP/1.1 200");
    expect(received(site, "X-Real-IP")).toEqual([client]);
    // The list goes on, with the proxy itself at its end.
    expect(received(site, "X-Forwarded-For").join(", ")).toBe([...lines, "127.0.0.1"].join(", "));
  });

  test("is another one for each request of a connection", async () => {
    const [one, two] = ["192.0.2.7", "192.0.2.8"].map(
      (client) => `GET /web/ HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: ${client}\r\n\r\n`,
    );
    await raw(site.site.port, `${one}${two}`, 2);
    const clients = site
      .app("web")
      .received.map(
        ({ headers }) => headers.find(([key]) => key.toLowerCase() === "x-real-ip")?.[1],
      );
    expect(clients).toEqual(["192.0.2.7", "192.0.2.8"]);
  });

  test("is whom allow lets in, and rate counts", async () => {
    const answers: number[] = [];
    for (const [target, client] of [
      ["/inside/", "192.0.2.7"],
      ["/inside/", "203.0.113.9"],
      ["/limited/", "192.0.2.7"],
      ["/limited/", "192.0.2.8"],
      ["/limited/", "192.0.2.7"],
    ] as const) {
      answers.push((await site.ask(target, { "X-Forwarded-For": client })).status);
    }
    expect(answers).toEqual([200, 403, 200, 200, 429]);
  });

  test("has come by https if the proxy says so, and is not sent there again", async () => {
    const answers: (readonly [number, string | undefined])[] = [];
    for (const proto of ["https", "wss", "http", "javascript"]) {
      const answer = await site.ask("/moved/", { "X-Forwarded-Proto": proto });
      answers.push([answer.status, answer.header("Location")]);
    }
    const moved = [307, "https://h/moved/"] as const;
    expect(answers).toEqual([[200, undefined], [200, undefined], moved, moved]);
  });

  test("what the proxy says of host, port and scheme reaches the container", async () => {
    await site.ask("/web/", {
      "X-Forwarded-Host": "shop.test",
      "X-Forwarded-Port": "8443",
      "X-Forwarded-Proto": "https",
      "X-Forwarded-Prefix": "/x",
      "X-Forwarded-Server": "front",
      "X-Real-IP": "6.6.6.6",
    });
    const names = ["Host", "Port", "Proto", "Prefix", "Server"];
    expect(names.map((name) => received(site, `X-Forwarded-${name}`).join())).toEqual([
      "shop.test",
      "8443",
      "https",
      "/web",
      "",
    ]);
    expect(received(site, "X-Real-IP")).toEqual(["127.0.0.1"]);
  });
});

describe.each(haproxyVersions())("a client at no trusted proxy, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, SERVICES, { "trusted-proxies": "10.0.0.0/8" });
  }, START_MS);

  beforeEach(() => site.forget());
  afterAll(() => site.stop());

  test("says nothing of itself", async () => {
    await site.ask("/web/", {
      "X-Forwarded-For": "192.0.2.7",
      "X-Forwarded-Host": "evil.test",
      "X-Forwarded-Port": "1",
      "X-Forwarded-Proto": "https",
    });
    expect(received(site, "X-Real-IP")).toEqual(["127.0.0.1"]);
    expect(received(site, "X-Forwarded-For")).toEqual(["127.0.0.1"]);
    expect(received(site, "X-Forwarded-Host")).toEqual(["h"]);
    expect(received(site, "X-Forwarded-Port")).toEqual([String(site.site.port)]);
    expect(received(site, "X-Forwarded-Proto")).toEqual(["http"]);
    const inside = await site.ask("/inside/", { "X-Forwarded-For": "192.0.2.7" });
    expect(inside.status).toBe(403);
    expect((await site.ask("/moved/", { "X-Forwarded-Proto": "https" })).status).toBe(307);
  });
});

describe.each(haproxyVersions())("the PROXY protocol, HAProxy %s", (version) => {
  const line = "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n";
  const question = "GET /web/ HTTP/1.1\r\nHost: h\r\n\r\n";

  async function withSite(
    flags: Readonly<Record<string, string | boolean>>,
    use: (site: Labelled) => Promise<void>,
  ): Promise<void> {
    const site = await Labelled.start(version, { web: {} }, { "proxy-protocol": true, ...flags });
    try {
      await use(site);
    } finally {
      await site.stop();
    }
  }

  test("is expected of everybody", async () => {
    await withSite({}, async (site) => {
      expect(await raw(site.site.port, line + question)).toStartWith("HTTP/1.1 200");
      expect(received(site, "X-Real-IP")).toEqual(["192.0.2.7"]);
      expect(await raw(site.site.port, question)).not.toStartWith("HTTP/1.1 200");
    });
  });

  test("is expected of trusted proxies only, where there are such", async () => {
    await withSite({ "trusted-proxies": "10.0.0.0/8" }, async (site) => {
      expect(await raw(site.site.port, question)).toStartWith("HTTP/1.1 200");
      expect(await raw(site.site.port, line + question)).not.toStartWith("HTTP/1.1 200");
    });
    await withSite({ "trusted-proxies": "127.0.0.1" }, async (site) => {
      expect(await raw(site.site.port, line + question)).toStartWith("HTTP/1.1 200");
      expect(received(site, "X-Real-IP")).toEqual(["192.0.2.7"]);
    });
  });
});

/** Sends bytes, and returns what comes until so many answers are there, or for two seconds. */
function raw(port: number, bytes: string, answers = 1): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(end, 2_000);
    socket.on("data", (data) => {
      text += data.toString();
      if (text.split("HTTP/1.1 ").length > answers) end();
    });
    socket.on("close", end);
    socket.on("error", end);
  });
}
