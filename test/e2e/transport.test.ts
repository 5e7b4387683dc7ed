// The ways to an Engine besides its socket: TCP, TCP with TLS, ssh.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { makeContext, useContext } from "../lab/docker-context.ts";
import { importImage } from "../lab/images.ts";
import { makeCertificates } from "./certificates.ts";
import { closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { startRelay } from "./relay.ts";
import { makeSshd } from "./sshd.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "far/one:1", { expose: [8000] });
  await importImage(engine, "far/two:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

test("TCP, named as for the docker program", async () => {
  const relay = await startRelay(engine.socket, 0);
  const container = await run(engine, "far/one:1");
  const gateway = await startGateway({ env: { DOCKER_HOST: relay.dockerHost } });
  await gateway.served("/far/one/", container.name);
  await gateway.logged(`connected to Docker at ${relay.dockerHost} `);
  const next = await run(engine, "far/two:1");
  await gateway.served("/far/two/", next.name);
  await relay.close();
});

test("the docker context in use, as for the docker program", async () => {
  const HOME = gatewayDir();
  const folder = join(HOME, ".docker");
  makeContext(folder, "work", { host: engine.dockerHost });
  useContext(folder, "work");
  const container = await run(engine, "far/one:1");
  const gateway = await startGateway({ env: { HOME } });
  await gateway.served("/far/one/", container.name);
  await gateway.logged(`connected to Docker at ${engine.dockerHost} `);

  useContext(folder, "gone");
  const other = await startGateway({ env: { HOME } });
  expect(await other.exited).toBe(10);
  expect(other.log()).toContain('Cannot use docker context "gone": there is no such context');
});

/** An Engine over TLS that wants certificates of its clients, as `dockerd --tlsverify` does. */
async function startTls(dir: string) {
  makeCertificates(dir);
  const read = (name: string): string => readFileSync(join(dir, name), "utf8");
  return startRelay(engine.socket, 0, {
    ca: read("ca.pem"),
    cert: read("server.pem"),
    key: read("server-key.pem"),
    requestCert: true,
    rejectUnauthorized: true,
  });
}

describe("TCP with TLS", () => {
  test("with the certificates of DOCKER_CERT_PATH", async () => {
    const dir = gatewayDir();
    const relay = await startTls(dir);
    const container = await run(engine, "far/one:1");
    const gateway = await startGateway({
      env: { DOCKER_HOST: relay.dockerHost, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: dir },
    });
    await gateway.served("/far/one/", container.name);
    const next = await run(engine, "far/two:1");
    await gateway.served("/far/two/", next.name);
    await relay.close();
  });

  test("with the certificates of a docker context", async () => {
    const dir = gatewayDir();
    const relay = await startTls(dir);
    const certificates = Object.fromEntries(
      ["ca.pem", "cert.pem", "key.pem"].map((name) => [
        name,
        readFileSync(join(dir, name), "utf8"),
      ]),
    );
    const env = { DOCKER_CONFIG: join(dir, "docker"), DOCKER_CONTEXT: "far" };
    const host = relay.dockerHost;
    makeContext(env.DOCKER_CONFIG, "far", { host, certificates });
    const container = await run(engine, "far/one:1");
    const gateway = await startGateway({ env });
    await gateway.served("/far/one/", container.name);

    // One certificate fewer, and the Engine is not to be had.
    makeContext(env.DOCKER_CONFIG, "none", {
      host,
      certificates: { "ca.pem": certificates["ca.pem"] ?? "" },
    });
    const other = await startGateway({ env: { ...env, DOCKER_CONTEXT: "none" } });
    await other.logged(`Cannot reach Docker at "${host}"`);
    await relay.close();
  });

  test("of an authority that is not trusted is refused", async () => {
    const [dir, other] = [gatewayDir(), gatewayDir()];
    const relay = await startTls(dir);
    makeCertificates(other);
    const gateway = await startGateway({
      env: { DOCKER_HOST: relay.dockerHost, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: other },
    });
    const line = await gateway.logged(`Cannot reach Docker at "${relay.dockerHost}"`);
    expect(line.message).toMatch(/certificate/i);
    expect(gateway.count(/^connected/)).toBe(0);
    await relay.close();
  });

  test("without a certificate is an error at the start", async () => {
    const dir = gatewayDir();
    const relay = await startTls(dir);
    rmSync(join(dir, "key.pem"));
    const gateway = await startGateway({
      env: { DOCKER_HOST: relay.dockerHost, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: dir },
    });
    expect(await gateway.exited).toBe(10);
    expect(gateway.log()).toContain(`Cannot read "${join(dir, "key.pem")}"`);
    await relay.close();
  });
});

test("ssh, which comes back after it broke", async () => {
  const dir = gatewayDir();
  const sshd = await makeSshd(dir);
  await sshd.start();
  const container = await run(engine, "far/one:1");
  const dockerHost = `ssh://root@127.0.0.1:${sshd.port}${engine.socket}`;
  const path = `${sshd.bin}:${process.env["PATH"] ?? ""}:/usr/sbin`;
  const gateway = await startGateway({ dockerHost, env: { PATH: path } });
  await gateway.served("/far/one/", container.name);

  await sshd.stop();
  await gateway.logged(/Docker at "?ssh:.*what is served stays as it is/);
  const next = await run(engine, "far/two:1");
  await gateway.served("/far/one/", container.name);
  await sshd.start();
  await gateway.served("/far/two/", next.name);
  await gateway.served("/far/one/", container.name);
  expect(await gateway.stop()).toBe(0);
  await sshd.stop();
});
