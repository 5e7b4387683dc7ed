// A certificate is renewed again and again under load, while the gateway is restarted and HAProxy reloaded, too:
// no handshake fails, and no renewal reloads HAProxy.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { listLines, shownLines } from "../../src/config/crt-list.ts";
import { Authority, place } from "../lab/authority.ts";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { closeGateways, startGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
import { ask } from "./running-haproxy.ts";

setDefaultTimeout(180_000);

const NAME = "shop.example.com";
const RENEWALS = 20;
/** After so many the gateway is killed and started anew, and after so many HAProxy is reloaded by hand. */
const [RESTART_AFTER, RELOAD_AFTER] = [7, 14];
const HANDSHAKES = 2_500;
/** So many clients ask at a time, each with such a pause, in milliseconds. */
const [CLIENTS, PAUSE] = [10, 25];

let engine: Engine;
let authority: Authority;

beforeAll(async () => {
  engine = await sharedEngine();
  authority = await Authority.make();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(async () => {
  await removeAll(engine);
  closeGateways();
});

/** Clients that go on until they are stopped. Each of their handshakes counts. */
class Clients {
  handshakes = 0;
  readonly failures: string[] = [];
  /** The serial numbers of the certificates that were shown. */
  readonly shown = new Set<string>();
  readonly #ending = new AbortController();
  readonly #running: Promise<void>[];

  constructor(private readonly port: number) {
    this.#running = Array.from({ length: CLIENTS }, () => this.#run());
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      this.handshakes++;
      try {
        const { problem, serial, status } = await requestTls({
          port: this.port,
          name: NAME,
          path: "/acme/shop/",
          ca: authority.root,
        });
        if (problem !== "" || status !== 200) this.failures.push(`${status} ${problem}`);
        this.shown.add(serial);
      } catch (error) {
        this.failures.push(String(error));
      }
      await Bun.sleep(PAUSE);
    }
  }
}

test.each(haproxyVersions())(
  `${RENEWALS} renewals, a restart and a reload during ${HANDSHAKES} handshakes, ${testFlavour()}, HAProxy %s`,
  async (version) => {
    const certs = labDir("certs");
    const issue = async (): Promise<void> => {
      place(join(certs, "shop.pem"), (await authority.issue([NAME])).both);
    };
    await issue();
    const port = await freePort();
    const start = (more: GatewayOptions): Promise<Gateway> =>
      startGateway({
        dockerHost: engine.dockerHost,
        version,
        flags: [`--certs=${certs}`, `--listen-https=127.0.0.1:${port}`],
        ...more,
      });
    let gateway = await start({});
    const shop = await run(engine, "acme/shop:1");
    await gateway.served("/acme/shop/", shop.name);
    await gateway.until(async () => {
      expect((await requestTls({ port, name: NAME, ca: authority.root })).problem).toBe("");
    });
    const clients = new Clients(port);
    await gateway.until(() => expect(clients.shown.size).toBe(1));
    for (let count = 1; count <= RENEWALS; count++) {
      const before = clients.shown.size;
      await issue();
      await gateway.until(() => expect(clients.shown.size).toBeGreaterThan(before));
      if (count !== RESTART_AFTER && count !== RELOAD_AFTER) continue;
      // The files follow a change of the running HAProxy.
      const list = join(gateway.dir, "haproxy.https.crt-list");
      await gateway.until(async () => {
        const shown = shownLines(await ask(gateway, `show ssl crt-list -n ${list}`));
        expect(listLines(readFileSync(list, "utf8"))).toEqual(shown.map(({ line }) => line));
      });
      // They are replaced one by one, and are known to be what HAProxy runs once all of them are.
      await gateway.confirmed();
      if (count === RESTART_AFTER) {
        await gateway.kill9();
        expect(gateway.count(/^reload:/)).toBe(1);
        gateway = await start({ dir: gateway.dir, port: gateway.port });
      } else {
        const { master, worker } = await gateway.haproxy();
        process.kill(master, "SIGUSR2");
        await gateway.until(async () => expect((await gateway.haproxy()).worker).not.toBe(worker));
      }
    }
    await gateway.until(() => expect(clients.handshakes).toBeGreaterThan(HANDSHAKES), 120_000);
    await clients.stop();
    expect(clients.failures).toEqual([]);
    expect(clients.shown.size).toBe(RENEWALS + 1);
    // Neither this gateway nor the one before it has reloaded HAProxy for a renewal.
    expect(gateway.count(/^reload:/)).toBe(0);
    await shop.remove();
    await gateway.stop();
  },
);
