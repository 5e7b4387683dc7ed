// HTTP/3 with a real client: curl.

import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, place } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { parseAnswer, removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { BRIEF_HOLD, closeGateways, startGateway, type Gateway } from "./gateway.ts";

setDefaultTimeout(120_000);

let engine: Engine;
let authority: Authority;
let curl = "";

beforeAll(async () => {
  engine = await sharedEngine();
  authority = await Authority.make();
  curl = join(cached("curl"), "usr/bin/curl");
  await importImage(engine, "acme/shop:1", { expose: [8000] });
});

afterAll(closeGateways);

const NAME = "shop.example.com";

const hasQuic = (version: string): boolean => !["2.6", "3.0"].includes(version);

describe.each(haproxyVersions())(`HTTP/3, ${testFlavour()}, HAProxy %s`, (version) => {
  let gateway: Gateway;

  afterEach(async () => {
    await removeAll(engine);
    await gateway.stop();
    closeGateways();
  });

  /** Asks for a path, and returns curl's exit status and what it got, with the headers. */
  function ask(port: number, path: string, ...flags: string[]): [number, string] {
    const ca = join(gateway.dir, "ca.pem");
    writeFileSync(ca, authority.root);
    const words = ["-si", "--max-time", "5", "--cacert", ca, ...flags];
    const to = ["--resolve", `${NAME}:${port}:127.0.0.1`, `https://${NAME}:${port}${path}`];
    const { exitCode, stdout } = Bun.spawnSync([curl, ...words, ...to]);
    return [exitCode, stdout.toString()];
  }

  test.each(hasQuic(version) ? [] : [version])("%s cannot have it, and that is told", async () => {
    gateway = await startGateway({
      dockerHost: engine.dockerHost,
      version,
      flags: ["--listen-https=127.0.0.1:8443", "--http3"],
    });
    expect(await gateway.exited).toBe(13);
    expect(gateway.log()).toContain(`Cannot use --http3: HAProxy ${version}`);
  });

  test.each(hasQuic(version) ? [version] : [])(
    "requests come by it to %s, over changes and reloads",
    async () => {
      const certs = labDir("certs");
      const issue = async (): Promise<void> => {
        place(join(certs, "shop.pem"), (await authority.issue([NAME])).both);
      };
      await issue();
      const port = await freePort();
      gateway = await startGateway({
        dockerHost: engine.dockerHost,
        version,
        flags: [BRIEF_HOLD, `--certs=${certs}`, `--listen-https=127.0.0.1:${port}`, "--http3"],
      });
      const shop = await run(engine, "acme/shop:1");
      await gateway.served("/acme/shop/", shop.name);
      // Other clients are told of it.
      const [, told] = ask(port, "/acme/shop/", "--http2");
      expect(told).toContain("HTTP/2 200");
      expect(told).toContain(`alt-svc: h3=":${port}"; ma=86400`);

      const served = (): void => {
        const [status, answer] = ask(port, "/acme/shop/a%20b?c", "--http3-only");
        expect(status).toBe(0);
        expect(answer).toContain("HTTP/3 200");
        const got = parseAnswer(answer.slice(answer.indexOf("\r\n\r\n") + 4));
        expect([got.name, got.target]).toEqual([shop.name, "/a%20b?c"]);
        expect(got.header("x-forwarded-proto")).toBe("https");
        expect(got.header("x-forwarded-port")).toBe(String(port));
        expect(got.header("x-forwarded-host")).toBe(`${NAME}:${port}`);
      };
      served();
      const serial = (): string =>
        /Serial Number:?\s*(.*)/i.exec(ask(port, "/", "--http3-only", "-w", "%{certs}")[1])?.[1] ??
        "";
      const before = serial();
      expect(before).not.toBe("");
      await issue();
      await gateway.until(() => expect(serial()).not.toBe(before));
      expect(gateway.count(/^reload:/)).toBe(1);
      const { master, worker } = await gateway.haproxy();
      process.kill(master, "SIGUSR2");
      await gateway.until(async () => expect((await gateway.haproxy()).worker).not.toBe(worker));
      // One that begins while sockets change hands may get no answer. Browsers come by TCP then.
      await gateway.until(served);
    },
  );
});
