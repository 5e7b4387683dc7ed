// Proves the label gateway.scheme and its kin: how HAProxy speaks to a container.

import { copyFileSync, readFileSync, rmSync } from "node:fs";
import {
  createServer,
  createSecureServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeCertificates } from "../e2e/certificates.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { labDir } from "../lab/leftovers.ts";
import { Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";

const dir = labDir("scheme");

interface Listener {
  readonly server: Server | Http2Server;
  readonly port: number;
}

/** A server with TLS that tells which name it was asked for. */
function startHttps(): Promise<Listener> {
  const server = createHttps(certificate(), (request, response) => {
    const { servername } = request.socket as TLSSocket;
    response.end(`${request.httpVersion} ${servername || "no name"}`);
  });
  return listen(server);
}

/** A server of HTTP/2, by TLS or not. */
function startHttp2(tls: boolean): Promise<Listener> {
  const server = tls ? createSecureServer(certificate()) : createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ":status": 200 });
    stream.end(`2.0 ${String(headers[":method"])} ${String(headers[":path"])}`);
  });
  return listen(server);
}

function certificate() {
  return {
    key: readFileSync(join(dir, "server-key.pem")),
    cert: readFileSync(join(dir, "server.pem")),
  };
}

async function listen(server: Server | Http2Server): Promise<Listener> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

describe.each(haproxyVersions())("schemes, HAProxy %s", (version) => {
  let https: Listener;
  let h2: Listener;
  let h2c: Listener;
  let site: Site;
  let running: Running;

  beforeAll(async () => {
    makeCertificates(dir);
    [https, h2, h2c] = [await startHttps(), await startHttp2(true), await startHttp2(false)];
    copyFileSync(join(dir, "ca.pem"), join(dir, "label.pem"));
    site = await Site.make(version, { flags: { "label-files": dir } });
    running = await Running.start(site, site.render([]).files);
  }, START_MS);

  afterAll(async () => {
    await running.stop();
    for (const { server } of [https, h2, h2c]) server.close();
  });

  const container = (
    { port }: Listener,
    name: string,
    labels: Record<string, string>,
  ): Service => ({
    image: name,
    name,
    address: "127.0.0.1",
    port,
    labels: Object.fromEntries(
      Object.entries(labels).map(([key, text]) => [`gateway.${key}`, text]),
    ),
  });
  const statusOf = async (name: string): Promise<string | undefined> => {
    const backend = running.applier.runningName(name);
    const states = Object.entries(await running.servers());
    return states.find(([key]) => key.startsWith(`${backend}/`))?.[1].status;
  };
  const isUp = (name: string): Promise<void> =>
    eventually(async () => expect(await statusOf(name)).toBe("UP"));
  const bodyOf = async (name: string, method = "GET"): Promise<string> => {
    const { status, body } = await site.ask({ target: `/${name}/x`, method });
    return `${status} ${body}`;
  };
  /** Serves it twice: by a reload, and then a second one by commands. */
  const serveTwice = async (listener: Listener, labels: Record<string, string>): Promise<void> => {
    expect(await running.serve([container(listener, "a", labels)])).toBe("reload");
    const both = ["a", "b"].map((name) => container(listener, name, labels));
    expect(await running.serve(both)).toBe("commands");
  };

  test("https, with any certificate and without a name", async () => {
    await serveTwice(https, { scheme: "https" });
    for (const name of ["a", "b"]) {
      await isUp(name);
      expect(await bodyOf(name)).toBe("200 1.1 no name");
      expect(await bodyOf(name, "POST")).toBe("200 1.1 no name");
    }
    await running.verify();
    expect(running.applier.applied.doubt).toBeUndefined();
  });

  test("https with a name", async () => {
    await serveTwice(https, { scheme: "https", "https.sni": "a.org" });
    for (const name of ["a", "b"]) {
      await isUp(name);
      expect(await bodyOf(name)).toBe("200 1.1 a.org");
    }
  });

  describe("a certificate that is verified", () => {
    const TRUSTED = { scheme: "https", "https.ca": join(dir, "label.pem") };

    test.each(["https", "h2"] as const)("%s, with the right name", async (scheme) => {
      await serveTwice({ https, h2 }[scheme], { ...TRUSTED, scheme, "https.sni": "a.org" });
      for (const name of ["a", "b"]) {
        await isUp(name);
        for (const method of ["GET", "POST"]) {
          expect(await bodyOf(name, method)).toStartWith("200 ");
        }
      }
      await running.verify();
      expect(running.applier.applied.doubt).toBeUndefined();
    });

    test.each([
      ["another name", { ...TRUSTED, "https.sni": "b.org" }],
      ["another CA", { scheme: "https", "https.verify": "true", "https.sni": "a.org" }],
    ])("%s gets no requests, with checks by HTTP neither", async (_, labels) => {
      for (const more of [{}, { check: "/health" }]) {
        await serveTwice(https, { ...labels, ...more });
        for (const name of ["a", "b"]) {
          await eventually(async () => expect(await statusOf(name)).toMatch(/^DOWN/));
          expect((await site.ask({ target: `/${name}/x` })).status).toBe(503);
        }
      }
    });

    test("no request goes to another name, even while its check is not done", async () => {
      await serveTwice(https, { ...TRUSTED, "https.sni": "b.org" });
      const backend = running.applier.runningName("a");
      const [key] = Object.keys(await running.servers()).filter((each) =>
        each.startsWith(`${backend}/`),
      );
      await running.ask(`set server ${key} health up`);
      expect((await site.ask({ target: "/a/x" })).status).toBe(503);
    });

    test("a CA that is gone closes the route, and another one is a reload", async () => {
      const labels = { ...TRUSTED, "https.sni": "a.org" };
      await running.serve([container(https, "a", labels)]);
      await isUp("a");
      rmSync(join(dir, "label.pem"));
      expect(await running.serve([container(https, "a", labels)])).toBe("reload");
      const { status, body } = await site.ask({ target: "/a/x" });
      expect([status, body]).toEqual([503, "A setting of this route is not right.\n"]);
      copyFileSync(join(dir, "ca.pem"), join(dir, "label.pem"));
      expect(await running.serve([container(https, "a", labels)])).toBe("reload");
      await isUp("a");
      expect(await bodyOf("a")).toBe("200 1.1 a.org");
    });
  });

  test("what does not speak TLS gets no requests", async () => {
    await serveTwice(h2c, { scheme: "https" });
    for (const name of ["a", "b"]) {
      await eventually(async () => expect(await statusOf(name)).toMatch(/^DOWN/));
      expect((await site.ask({ target: `/${name}/x` })).status).toBe(503);
    }
  });

  test("h2 and h2c", async () => {
    for (const [listener, scheme] of [
      [h2, "h2"],
      [h2c, "h2c"],
    ] as const) {
      await serveTwice(listener, { scheme });
      for (const name of ["a", "b"]) {
        await isUp(name);
        expect(await bodyOf(name)).toBe("200 2.0 GET /x");
        expect(await bodyOf(name, "POST")).toBe("200 2.0 POST /x");
      }
    }
  });

  test.each(["https", "h2", "h2c"] as const)("a check by %s", async (scheme) => {
    const listener = { https, h2, h2c }[scheme];
    await serveTwice(listener, { scheme, check: "/health", "check.status": "200" });
    for (const name of ["a", "b"]) {
      await isUp(name);
      expect(await bodyOf(name)).toStartWith("200 ");
    }
  });

  test("without the label it is http again", async () => {
    await running.serve([container(https, "a", {})]);
    const failure = await site.ask({ target: "/a/x" }).catch((error: unknown) => error);
    expect(String(failure)).toContain("closed the connection");
  });
});
