// A client that shows its certificate late: what counts is whom its host trusts then, and not when it came.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { Authority, place, type Issued } from "../lab/authority.ts";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

const SHOP = "shop.example.com";
/** The status of a client that is not let in while it connects. */
const REFUSED = 0;

let engine: Engine;
let authority: Authority;
let own: Authority;

beforeAll(async () => {
  engine = await sharedEngine();
  [authority, own] = [await Authority.make(), await Authority.make("Staff")];
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

/** Passes on what a server says, and of what a client says only its first words until it is let go on. */
class Relay {
  readonly #held: Buffer[] = [];
  #isOpen = false;
  #server: Socket | undefined;

  private constructor(
    private readonly listener: Server,
    readonly port: number,
  ) {}

  static async to(port: number): Promise<Relay> {
    const listener = createServer();
    const front = await freePort();
    await new Promise<void>((resolve) => void listener.listen(front, "127.0.0.1", resolve));
    const relay = new Relay(listener, front);
    listener.once("connection", (client) => relay.#carry(client, port));
    return relay;
  }

  #carry(client: Socket, port: number): void {
    const server = connectTcp(port, "127.0.0.1");
    this.#server = server;
    let isFirst = true;
    client.on("data", (chunk: Buffer) => {
      if (isFirst || this.#isOpen) server.write(chunk);
      else this.#held.push(chunk);
      isFirst = false;
    });
    server.on("data", (chunk: Buffer) => client.write(chunk));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }

  /** Whether the client has answered what the server said. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  release(): void {
    this.#isOpen = true;
    for (const chunk of this.#held.splice(0)) this.#server?.write(chunk);
  }

  close(): void {
    this.#server?.destroy();
    this.listener.close();
  }
}

/** One connection for several requests. */
class Visit {
  readonly #socket: TLSSocket;
  #got = "";

  constructor(options: ConnectionOptions) {
    this.#socket = connect({ host: "127.0.0.1", ...options });
    this.#socket.on("data", (chunk: Buffer) => (this.#got += chunk.toString()));
    this.#socket.on("error", () => this.#socket.destroy());
  }

  /** The status of one more request. */
  async ask(): Promise<string> {
    this.#got = "";
    this.#socket.write(`GET / HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n`);
    await eventually(() => expect(this.#got).toContain("\r\n\r\n"));
    return this.#got.slice(9, 12);
  }

  close(): void {
    this.#socket.destroy();
  }
}

describe.each(haproxyVersions())(`slow handshakes, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;

  afterEach(async () => {
    await removeAll(engine);
    await gateway.stop();
    closeGateways();
  });

  test.each<["TLSv1.2" | "TLSv1.3", string, number]>([
    ["TLSv1.2", "without a reload", 0],
    ["TLSv1.3", "without a reload", 0],
    // One command has no room for so many.
    ["TLSv1.3", "by a reload", 600],
  ])(
    "%s: a certificate that is revoked %s lets nobody in who came before",
    async (max, _, many) => {
      const [certs, files, port] = [labDir("certs"), labDir("files"), await freePort()];
      const [alice, bob] = [await own.issue(["alice"]), await own.issue(["bob"])];
      const former = await Promise.all(Array.from({ length: many }, () => own.issue(["former"])));
      const revoked = join(files, "revoked.pem");
      place(join(certs, "shop.pem"), (await authority.issue([SHOP])).both);
      place(join(files, "staff.pem"), own.root);
      place(revoked, await own.revoked(...former));
      gateway = await startGateway({
        dockerHost: engine.dockerHost,
        version,
        flags: [
          BRIEF_HOLD,
          `--certs=${certs}`,
          `--listen-https=127.0.0.1:${port}`,
          `--label-files=${files}`,
        ],
      });
      await gateway.logged("there is no configuration of the gateway's yet");
      await run(engine, "acme/shop:1", {
        labels: {
          "gateway.host": SHOP,
          "gateway.path": "/",
          "gateway.mtls": "required",
          "gateway.mtls.ca": join(files, "staff.pem"),
          "gateway.mtls.crl": revoked,
        },
      });
      const served = (client: Issued, wanted: number): Promise<void> =>
        eventually(async () => {
          const answer = await requestTls({ port, name: SHOP, ca: authority.root, own: client });
          expect(answer.status).toBe(wanted);
        });
      /** Connects as a client that keeps its connection. */
      const come = (by: number, { key, chain }: Issued): Visit =>
        new Visit({
          port: by,
          servername: SHOP,
          ca: authority.root,
          key,
          cert: chain,
          maxVersion: max,
        });
      const reloads = (): number => gateway.count(/^reload:/);

      await served(alice, 200);
      await served(bob, 200);
      await gateway.until(() => expect(reloads()).toBe(2));
      // Slowness alone is no fault.
      const patient = await Relay.to(port);
      const [early, slow] = [come(port, alice), come(patient.port, bob)];
      expect(await early.ask()).toBe("200");
      await eventually(() => expect(patient.isHolding).toBe(true));
      patient.release();
      expect(await slow.ask()).toBe("200");

      const relay = await Relay.to(port);
      const late = come(relay.port, alice);
      await eventually(() => expect(relay.isHolding).toBe(true));
      place(revoked, await own.revoked(alice, ...former));
      await served(alice, REFUSED);
      await gateway.until(() => expect(reloads()).toBe(many === 0 ? 2 : 3));
      relay.release();
      expect(await late.ask()).toBe("421");
      expect(await early.ask()).toBe("421");
      await served(bob, 200);
      for (const visit of [early, slow, late]) visit.close();
      for (const each of [patient, relay]) each.close();
    },
  );
});
