// HTTPS by HTTP/2 in a real browser: an application below its prefix, its cookies and its websockets, and hosts
// that a browser asks for over another one's connection.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { join } from "node:path";
import { closeGateways, startGateway, type Gateway } from "../e2e/gateway.ts";
import { ask } from "../e2e/running-haproxy.ts";
import { Stage } from "../e2e/stage.ts";
import { reply, startApp, type App, type Received } from "../lab/app.ts";
import { Authority, place } from "../lab/authority.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { HOST, Visitor } from "./visitor.ts";

setDefaultTimeout(120_000);

/** Of another certificate, which the one of `HOST` is for, too. */
const OTHER = `other.${HOST}`;

describe.each(haproxyVersions())("HTTPS in a browser, HAProxy %s", (version) => {
  let stage: Stage;
  let app: App;
  let gateway: Gateway;
  let visitor: Visitor;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp({ answerer: answer });
    const authority = await Authority.make();
    const certs = labDir("certs");
    const port = await freePort();
    place(join(certs, "host.pem"), (await authority.issue([HOST, OTHER])).both);
    // It is valid longer, so it is the one for its name.
    place(join(certs, "other.pem"), (await authority.issue([OTHER], { days: [-1, 99] })).both);
    stage.set("desk", { image: "acme/desk", ip: app.address, port: app.port });
    gateway = await startGateway({
      version,
      dockerHost: stage.dockerHost,
      flags: [`--certs=${certs}`, `--listen-https=127.0.0.1:${port}`],
    });
    await gateway.until(async () => {
      const wish = { port, name: HOST, path: "/acme/desk/", ca: authority.root };
      const { problem, status } = await requestTls(wish);
      expect([problem, status]).toEqual(["", 200]);
    });
    visitor = await Visitor.arrive(gateway, { port, issuer: authority.issuer });
  });

  afterEach(async () => {
    await visitor.leave();
    closeGateways();
    await stage.stop();
    await app.stop();
    expect(visitor.problems).toEqual([]);
  });

  test("an application is used below its prefix: links, a redirect, a cookie, a websocket", async () => {
    const { page } = visitor;
    await visitor.open("/acme/desk");
    expect(visitor.path).toBe("/acme/desk/");
    expect(await visitor.color("h1")).toBe("rgb(20, 90, 20)");
    await page.getByRole("link", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Welcome" }).waitFor();
    expect(visitor.path).toBe("/acme/desk/home");
    expect(await visitor.cookies()).toEqual(["session /acme/desk"]);
    expect(await page.evaluate<string[]>(PROTOCOLS)).toEqual(["h2"]);
    expect(await page.evaluate<string>(ECHO)).toBe("hello");
    const targets = app.received.map(({ target }) => target);
    expect(targets).toContain("/socket");
    expect(targets.filter((target) => target.includes("acme"))).toEqual([]);
  });

  test("who comes by HTTP is sent to HTTPS", async () => {
    await visitor.page.goto(`http://${HOST}:${gateway.port}/acme/desk/?a=b`);
    expect(visitor.page.url()).toBe(`${visitor.origin}/acme/desk/?a=b`);
  });

  test("a host that it asks for over another one's connection is misdirected once, and then served", async () => {
    await visitor.open("/acme/desk/");
    const there = visitor.origin.replace(HOST, OTHER);
    const before = await refused();
    for (let count = 0; count < 3; count++) {
      await visitor.page.evaluate(styleFrom(`${there}/acme/desk/style.css?${count}`));
    }
    expect((await refused()) - before).toBe(1);
  });

  /** How many requests HAProxy itself has answered with 400 and above. */
  async function refused(): Promise<number> {
    const [head = "", line = ""] = (await ask(gateway, "show stat _http 1 -1")).split("\n");
    return Number(line.split(",")[head.replace("# ", "").split(",").indexOf("hrsp_4xx")]);
  }
});

/** The protocols by which the page and what it needs have come. */
const PROTOCOLS = `[...new Set(performance.getEntries().map((it) => it.nextHopProtocol).filter(Boolean))]`;
const ECHO = `new Promise((resolve, reject) => {
  const socket = new WebSocket("/acme/desk/socket");
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (event) => { resolve(event.data); socket.close(); };
  socket.onerror = () => reject(new Error("no websocket"));
})`;

/** Loads a stylesheet of another host, as pages do: with cookies, and so over the same connections. */
function styleFrom(url: string): string {
  return `new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "${url}" });
    link.onload = () => resolve("");
    link.onerror = () => reject(new Error("no stylesheet"));
    document.head.append(link);
  })`;
}

/** What RFC 6455, section 1.3, appends to the key of a client. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** An application that knows nothing of its prefix, nor of HTTPS. */
function answer({ target, values }: Received, socket: Socket): string | undefined {
  if (target === "/socket") {
    const [key = ""] = values("sec-websocket-key");
    const accept = createHash("sha1")
      .update(key + GUID)
      .digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.setEncoding("latin1");
    socket.once("data", (text: string) => void socket.write(echo(Buffer.from(text, "latin1"))));
    return undefined;
  }
  if (target.startsWith("/style.css")) {
    return reply(200, [["Content-Type", "text/css"]], "h1 { color: rgb(20, 90, 20) }");
  }
  if (target === "/login") {
    const cookie = ["Set-Cookie", "session=1; Path=/; Secure; HttpOnly; SameSite=Lax"] as const;
    return reply(302, [cookie, ["Location", "/home"]]);
  }
  if (target === "/home" && values("cookie").includes("session=1"))
    return pageOf("<h1>Welcome</h1>");
  return pageOf("<h1>Desk</h1><a href=/login>Log in</a>");
}

function pageOf(body: string): string {
  const head = "<link rel=stylesheet href=/style.css><link rel=icon href=data:,>";
  return reply(200, [["Content-Type", "text/html"]], head + body);
}

/** The frame of a server with the text of a client's short frame. Source: RFC 6455, section 5.2. */
function echo(frame: Buffer): Buffer {
  const length = (frame[1] ?? 0) & 0x7f;
  const mask = frame.subarray(2, 6);
  const text = frame.subarray(6, 6 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x81, length]), text]);
}
