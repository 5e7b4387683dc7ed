// A connection that lasts: through many changes, with whole services that come and go.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { connect, requestBytes, type RawConnection } from "../lab/http.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { ask, stateOf, wantedOf } from "./running-haproxy.ts";
import { Stage, type Part } from "./stage.ts";

setDefaultTimeout(120_000);

const CHANGES = 48;
/** The key and its answer that RFC 6455 has for an example. */
const [KEY, ACCEPT] = ["dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="];

describe.each(haproxyVersions())("a websocket, HAProxy %s", (version) => {
  let stage: Stage;
  let gateway: Gateway;
  let app: App;
  let echo: App;
  let socket: RawConnection;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
    echo = await startApp();
    echo.answerer = (_, connection) => {
      connection.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`,
      );
      connection.setEncoding("latin1");
      connection.on("data", (data) => void connection.write(data));
      return undefined;
    };
    gateway = await startGateway({ version, dockerHost: stage.dockerHost });
    await gateway.answers("/", 403);
    stage.start("chat", { ...part("chat"), port: echo.port });
    await gateway.until(async () => expect(await stateOf(gateway, "chat")).toBe("UP"));
    // Its server is up before its path is known.
    await gateway.logged(/^routed \/chat/);
    socket = await connect({ port: gateway.port, timeoutMs: 50_000 });
    socket.send(
      requestBytes({
        port: gateway.port,
        target: "/chat/",
        headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": KEY },
      }),
    );
    expect((await socket.response()).status).toBe(101);
  });

  afterEach(async () => {
    socket.close();
    closeGateways();
    await stage.stop();
    await app.stop();
    await echo.stop();
  });

  test(`lives through ${CHANGES} changes`, async () => {
    const worker = /^Pid: (\d+)$/m.exec(await ask(gateway, "show info"))?.[1];
    const reloads = gateway.count(/^reload: /);
    for (let count = 0; count < CHANGES; count += 2) {
      const name = `n${count}`;
      // By turns another container of its own service, one of another, and a service of its own.
      const image = ["chat", "other", `service${count}`][count % 3] ?? "";
      stage.start(name, part(image));
      await gateway.until(async () => expect(await wantedOf(gateway, name)).toBe("on"));
      await expectEcho(`started ${count}`);
      if (count % 4 === 0) stage.kill(name);
      stage.end(name);
      await gateway.until(async () => expect(await wantedOf(gateway, name)).toBeUndefined());
      await expectEcho(`ended ${count}`);
    }
    expect(gateway.count(/^reload: /)).toBe(reloads);
    expect(await ask(gateway, "show info")).toContain(`Pid: ${worker}\n`);
  });

  test("goes on for a while when its container is no more routed", async () => {
    stage.start("other", { ...part("chat"), port: echo.port });
    await gateway.until(async () => expect(await stateOf(gateway, "other")).toBe("UP"));
    stage.kill("chat");
    await gateway.until(async () => expect(await stateOf(gateway, "chat")).toBe("DRAIN"));
    await expectEcho("drained");
    // Its network goes, say, while its process lives on.
    stage.end("chat");
    await gateway.logged(/^removed \/chat .*container chat,/);
    await expectEcho("removed");
    expect(await stateOf(gateway, "chat")).toBe("DRAIN");
    socket.close();
    await gateway.until(async () => expect(await stateOf(gateway, "chat")).toBeUndefined());
  });

  function part(image: string): Part {
    return { image, ip: app.address, port: app.port };
  }

  async function expectEcho(text: string): Promise<void> {
    socket.send(text);
    expect(Buffer.from(await socket.read(text.length)).toString()).toBe(text);
  }
});
