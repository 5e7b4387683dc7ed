// Proves that bytes are forwarded from ports of their own, and by the names that clients ask for by TLS.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { findTcpRoute } from "../../src/routing/lookup.ts";
import { freePort } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { labels } from "../lab/labels.ts";
import { Site, START_MS, type Service } from "../lab/proxy.ts";
import { Running } from "../lab/running.ts";
import { Daemon, dial, helloFrom, type DaemonOptions } from "../lab/tcp.ts";

/** A container that stands for a daemon. */
function of(
  { name, port }: Daemon,
  own: Record<string, string>,
  more: Partial<Service> = {},
): Service {
  return { image: name, name, address: "127.0.0.1", port, labels: labels(own), ...more };
}

describe.each(haproxyVersions())("ports of TCP, HAProxy %s", (version) => {
  let daemons: Daemon[] = [];
  let running: Running;

  async function daemon(name: string, options: DaemonOptions = {}): Promise<Daemon> {
    const made = await Daemon.start(name, options);
    daemons.push(made);
    return made;
  }

  async function start(services: readonly Service[]): Promise<void> {
    const made = await Site.make(version);
    running = await Running.start(made, made.render(services).files);
  }

  async function stop(): Promise<void> {
    await running.stop();
    for (const each of daemons.splice(0)) await each.stop();
    daemons = [];
  }

  describe("without names", () => {
    let [one, other]: Daemon[] = [];
    let ports: readonly [number, number];
    const both = (): Service[] => [
      of(one as Daemon, { tcp: String(ports[0]) }),
      of(other as Daemon, {
        tcp: String(ports[1]),
        "route.web.path": "/web",
        "route.web.port": String(other?.port),
      }),
    ];

    beforeAll(async () => {
      [one, other] = [await daemon("one"), await daemon("other")];
      ports = [await freePort(), await freePort()];
      await start(both());
    }, START_MS);
    afterAll(stop);

    test("each port leads to its container, who may speak first", async () => {
      expect(await helloFrom(ports[0])).toBe("one");
      expect(await helloFrom(ports[1])).toBe("other");
    });

    test("all bytes go on as they are, also after one side has ended", async () => {
      const bytes = Buffer.alloc(300_000, "\0\r\n\u00ff%");
      const connection = dial(ports[0]);
      await connection.line();
      connection.socket.end(bytes);
      expect(await connection.rest()).toEqual(bytes);
    });

    test("HTTP does not lead there, but a further route does", async () => {
      // The last one speaks no HTTP.
      const statuses = { "/one/": 403, "/other/": 403, "/web/": 502 };
      for (const [target, status] of Object.entries(statuses)) {
        expect((await running.site.ask({ target, headers: { Host: "h" } })).status).toBe(status);
      }
    });

    test("a further server needs no reload, and is used", async () => {
      const twin = await daemon("twin");
      const more = of(twin, { tcp: String(ports[0]) }, { image: "one" });
      expect(await running.serve([...both(), more])).toBe("commands");
      await eventually(async () => {
        const seen = [await helloFrom(ports[0]), await helloFrom(ports[0])];
        expect(seen.toSorted()).toEqual(["one", "twin"]);
      });
      await running.verify();
      expect(await running.serve(both())).toBe("commands");
      expect(await helloFrom(ports[0])).toBe("one");
    });

    test("who is told to stop keeps its connections, and gets no new ones", async () => {
      const twin = await daemon("twin");
      const more = { image: "one" };
      const next = of(twin, { tcp: String(ports[0]) }, more);
      const old = dial(ports[0]);
      expect(await old.line()).toBe("one");
      await running.serve([...both(), next]);
      const [first, second] = both() as [Service, Service];
      await running.serve([{ ...first, stopping: 1 }, second, next]);
      await eventually(async () => expect(await helloFrom(ports[0])).toBe("twin"));
      expect(await helloFrom(ports[0])).toBe("twin");
      old.socket.write("still here\n");
      expect(await old.line()).toBe("still here");
      old.socket.destroy();
      await running.serve(both());
    });

    test("where no container can take it, a connection is closed at once", async () => {
      const [first, second] = both() as [Service, Service];
      await running.serve([{ ...first, state: "paused" }, second]);
      const begun = Date.now();
      expect(await helloFrom(ports[0])).toBe("");
      expect(Date.now() - begun).toBeLessThan(1_000);
      await running.serve(both());
      expect(await helloFrom(ports[0])).toBe("one");
    });

    test("another service at a port that is open needs no reload", async () => {
      const [, second] = both() as [Service, Service];
      const twin = await daemon("next");
      expect(await running.serve([of(twin, { tcp: String(ports[0]) }), second])).toBe("commands");
      expect(await helloFrom(ports[0])).toBe("next");
      await running.verify();
      expect(await running.serve(both())).toBe("commands");
      expect(await helloFrom(ports[0])).toBe("one");
    });

    test("a new port is a reload with its reason, and is gone with its container", async () => {
      const more = await daemon("more");
      const port = await freePort();
      const old = dial(ports[0]);
      expect(await old.line()).toBe("one");
      expect(await running.serve([...both(), of(more, { tcp: String(port) })])).toBe("reload");
      expect(running.reloads.at(-1)?.join()).toContain(`frontend "_tcp_${port}" is new`);
      expect(await helloFrom(port)).toBe("more");
      expect(await running.serve(both())).toBe("reload");
      expect(await helloFrom(port)).toBe("");
      expect(await helloFrom(ports[0])).toBe("one");
      // A connection of before is still there, in the worker of before.
      old.socket.write("hello\n");
      expect(await old.line()).toBe("hello");
      old.socket.destroy();
    });

    test("who may come in", async () => {
      const [, second] = both() as [Service, Service];
      const seen = async (own: Record<string, string>): Promise<string> => {
        await running.serve([of(one as Daemon, { tcp: String(ports[0]), ...own }), second]);
        return helloFrom(ports[0]);
      };
      expect(await seen({ allow: "127.0.0.0/8" })).toBe("one");
      expect(await seen({ allow: "10.0.0.0/8" })).toBe("");
      expect(await seen({ allow: "::/0" })).toBe("");
      expect(await seen({ deny: "127.0.0.1" })).toBe("");
      expect(await seen({ deny: "10.0.0.0/8" })).toBe("one");
      expect(await seen({ allow: "127.0.0.0/8", deny: "127.0.0.1" })).toBe("");
      expect(await seen({})).toBe("one");
    });

    test("so many connections at a time, and so many that wait", async () => {
      const [, second] = both() as [Service, Service];
      const own = { tcp: String(ports[0]), maxconn: "1", queue: "1" };
      await running.serve([of(one as Daemon, own), second]);
      const first = dial(ports[0]);
      expect(await first.line()).toBe("one");
      const waiting = dial(ports[0]);
      const backend = running.applier.runningName(`one::tcp:${ports[0]}`);
      await eventually(async () => {
        const [head = "", line = ""] = (await running.ask(`show stat ${backend} 2 -1`)).split("\n");
        const names = head.replace("# ", "").split(",");
        expect(line.split(",")[names.indexOf("qcur")]).toBe("1");
      });
      expect(await helloFrom(ports[0])).toBe("");
      first.socket.destroy();
      expect(await waiting.line()).toBe("one");
      waiting.socket.destroy();
      await running.serve(both());
    });
  });

  describe("with names of TLS", () => {
    /** The names that each asks for. */
    const NAMES = {
      db: "db.example.com",
      all: "*.example.com",
      deep: "*.eu.example.com, one.example.org",
      rest: "*",
    };
    let port: number;
    let services: Record<string, Service> = {};

    beforeAll(async () => {
      port = await freePort();
      const made = Object.entries(NAMES).map(async ([name, sni]) => {
        const own = { tcp: String(port), "tcp.sni": sni };
        return [name, of(await daemon(name, { tls: name !== "rest" }), own)] as const;
      });
      services = Object.fromEntries(await Promise.all(made)) as Record<string, Service>;
      await start(Object.values(services));
    }, START_MS);
    afterAll(stop);

    test.each([
      ["db.example.com", "db"],
      ["DB.Example.com", "db"],
      ["x.example.com", "all"],
      ["a.b.example.com", "all"],
      ["a.b.c.d.e.f.g.h.example.com", "all"],
      ["eu.example.com", "all"],
      ["x.eu.example.com", "deep"],
      ["one.example.org", "deep"],
    ])("%s is %s's, whose certificate it is", async (servername, name) => {
      const connection = dial(port, { servername });
      expect(await connection.line()).toBe(name);
      expect(connection.certificate()).toBe(`CN=${name}`);
      connection.socket.destroy();
      // What explain says of it.
      const { model } = running.site.render(Object.values(services));
      const routes = model.services.flatMap((service) => service.routes);
      const found = findTcpRoute(routes, port, servername.toLowerCase());
      expect(found?.backend).toStartWith(`${name}::tcp`);
    });

    test("what has another name, or none, and what is no TLS, goes to the rest", async () => {
      expect(await helloFrom(port, { hello: "\0\0\0\b\u0004\u00d2\u0016/" })).toBe("rest");
      expect(await helloFrom(port, { hello: "GET / HTTP/1.0\r\n\r\n" })).toBe("rest");
      const silent = dial(port);
      const begun = Date.now();
      expect(await silent.line()).toBe("rest");
      expect(Date.now() - begun).toBeGreaterThan(4_000);
      silent.socket.destroy();
    });

    test("without the rest it is closed, and nothing of it needs a reload", async () => {
      const { rest, db, ...others } = services as Record<keyof typeof NAMES, Service>;
      expect(await running.serve([...Object.values(others), db])).toBe("commands");
      for (const servername of ["example.com", "two.example.org", "db.example.com.evil.test"]) {
        expect(await helloFrom(port, { servername })).toBe("");
      }
      expect(await helloFrom(port, { hello: "GET / HTTP/1.0\r\n\r\n" })).toBe("");
      expect(await running.serve(Object.values(others))).toBe("commands");
      expect(await helloFrom(port, { servername: "db.example.com" })).toBe("all");
      await running.verify();
      expect(await running.serve([...Object.values(others), db, rest])).toBe("commands");
      expect(await helloFrom(port, { servername: "db.example.com" })).toBe("db");
    });
  });
});
