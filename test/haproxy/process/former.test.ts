// Proves that the workers of earlier configurations still spare a server that must get no requests.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { FormerWorkers, type FormerServer } from "../../../src/haproxy/process/former.ts";
import {
  awaitNewWorker,
  formerWorkers,
  reloadMaster,
  showProcesses,
} from "../../../src/haproxy/process/master.ts";
import { startApp } from "../../lab/app.ts";
import { haproxyVersions, startHaproxy } from "../../lab/haproxy.ts";
import { connect, eventually, type RawConnection } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { freePort } from "../../lab/ports.ts";
import { listLogger, START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** A request without its end. */
const half = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n`;
const END = "\r\n";

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("neither requests that come in parts nor those that are sent again get there", async () => {
    // It answers nothing: its requests stay open.
    const [gone, kept] = [await startApp({ answerer: () => undefined }), await startApp()];
    const [port, dir] = [await freePort(), labDir("former")];
    const haproxy = await startHaproxy({
      version,
      dir,
      maps: { "routes.map": "/gone b|/gone\n/kept kept|/kept\n" },
      config: `defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend f
    bind 127.0.0.1:${port}
    use_backend %[path,map_beg(${dir}/routes.map),field(1,|)]
backend b
    server gone 127.0.0.1:${gone.port}
backend kept
    server kept 127.0.0.1:${kept.port}
`,
    });
    const log: string[] = [];
    const former = new FormerWorkers(haproxy.masterSocket, listLogger(log));
    const send = async (text: string): Promise<RawConnection> => {
      const client = await connect({ port });
      client.send(text);
      return client;
    };
    const asking = [];
    const clients: RawConnection[] = [];
    // Each of two former workers has all of them.
    for (let round = 0; round < 2; round++) {
      asking.push(await send(half("/gone") + END));
      clients.push(await send(half("/gone")), await send(half("/kept")));
      await eventually(() => expect(gone.received).toHaveLength(round + 1));
      const before = await showProcesses(haproxy.masterSocket);
      await reloadMaster(haproxy.masterSocket);
      await awaitNewWorker(haproxy.masterSocket, before);
      former.note();
    }
    clients.push(await send(half("/kept")));
    expect(await formerWorkers(haproxy.masterSocket)).toHaveLength(2);
    const asked: FormerServer[] = [];
    await former.spare((server) => asked.push(server) > 0 && server.name === "gone");
    const both = [
      { backend: "b", name: "gone", address: "127.0.0.1", port: String(gone.port) },
      { backend: "kept", name: "kept", address: "127.0.0.1", port: String(kept.port) },
    ];
    expect(asked).toEqual([...both, ...both]);
    // Those that were there are closed: their clients know that nobody answers.
    await Promise.all(asking.map(({ closed }) => closed));
    const answers = [];
    for (const client of clients) {
      client.send(END);
      answers.push((await client.response()).status);
      client.close();
    }
    expect(answers).toEqual([503, 200, 503, 200, 200]);
    expect(gone.received).toHaveLength(2);
    await eventually(async () => expect(await formerWorkers(haproxy.masterSocket)).toEqual([]));
    await haproxy.stop();
    await Promise.all([gone.stop(), kept.stop()]);
    expect(log).toEqual([]);
  });
});

test("without a master there are none", async () => {
  expect(await formerWorkers("/nowhere/master.sock")).toEqual([]);
});
