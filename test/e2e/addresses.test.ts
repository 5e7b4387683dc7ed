// Addresses that somebody else has: what is served goes on, and who has them is told.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { startApp, type App } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Clients } from "./clients.ts";
import { startExternal } from "./external.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { isAlive } from "./processes.ts";
import { runToEnd } from "./program.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(120_000);

let stage: Stage;
let app: App;
let squatters: Server[];

beforeEach(async () => {
  stage = new Stage();
  app = await startApp();
  squatters = [];
  start("one", "foo");
});

afterEach(async () => {
  closeGateways();
  for (const squatter of squatters) squatter.close();
  await stage.stop();
  await app.stop();
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("in a new template: the one before it is used on, and nobody is turned away", async () => {
    const dir = gatewayDir();
    const file = join(dir, "own.hbs");
    const { stdout } = await runToEnd(["template", "path"]);
    writeFileSync(file, stdout);
    const flags = ["--template-file", file];
    const gateway = await startGateway({ version, dir, dockerHost: stage.dockerHost, flags });
    await answers(gateway, "/foo");
    const { worker } = await gateway.haproxy();

    const port = await taken();
    const clients = new Clients(gateway.port, "/foo", 4);
    writeFileSync(
      file,
      stdout.replace("{{> entrance}}", `{{> entrance}}\n    bind 127.0.0.1:${port}`),
    );
    const { message, details } = await gateway.logged(/Cannot listen on/);
    expect(message).toContain(`Cannot listen on 127.0.0.1:${port}: `);
    expect(message).toContain(`(process ${process.pid}) has it`);
    expect(message).toContain("the template before it is used on");
    expect(details?.at(-1)).toContain("end that program, or use another --listen");
    start("two", "bar");
    await answers(gateway, "/bar");
    expect((await clients.stop()).failures).toEqual([]);
    expect((await gateway.haproxy()).worker).toBe(worker);
    expect(gateway.count(/Paused frontend/)).toBe(0);
  });

  test("in another --listen: the old one is served until the new one is free", async () => {
    const first = await startGateway({ version, dockerHost: stage.dockerHost });
    await answers(first, "/foo");
    await first.confirmed();
    await first.kill9();
    const port = await taken();
    const { dir } = first;
    const clients = new Clients(first.port, "/foo", 4);
    const second = await startGateway({ version, dir, port, dockerHost: stage.dockerHost });
    await second.logged(`Cannot listen on 127.0.0.1:${port}: `);
    expect((await clients.stop()).failures).toEqual([]);
    await release();
    await answers(second, "/foo");
  });

  test("that its own HAProxy has, whose files are lost", async () => {
    const { dockerHost } = stage;
    const first = await startGateway({ version, dockerHost });
    await answers(first, "/foo");
    await first.confirmed();
    await first.kill9();
    const { dir, port } = first;
    rmSync(first.output);
    const second = await startGateway({ version, dir, port, dockerHost });
    start("two", "bar");
    await answers(second, "/bar");
    await answers(second, "/foo");
    expect(second.count(/Cannot listen/)).toBe(0);
  });

  test("beside a HAProxy of somebody else's", async () => {
    const { options, haproxy } = await startExternal(version, stage.dockerHost);
    const port = await taken();
    const clients = new Clients(options.port, "/foo", 4);
    const { dockerHost } = stage;
    const flags = ["--master-socket", join(options.dir, "master.sock")];
    const gateway = await startGateway({ ...options, dockerHost, flags, port });
    await gateway.logged(`Cannot listen on 127.0.0.1:${port}: `);
    expect((await clients.stop()).failures).toEqual([]);
    await release();
    await answers(gateway, "/foo");
    await haproxy.stop();
  });

  test("a template that says daemon: HAProxy stays the gateway's, and ends with it", async () => {
    const dir = gatewayDir();
    const file = join(dir, "own.hbs");
    const { stdout } = await runToEnd(["template", "path"]);
    writeFileSync(file, stdout.replace("{{> global}}", "{{> global}}\n    daemon"));
    const flags = ["--template-file", file];
    const gateway = await startGateway({ version, dir, dockerHost: stage.dockerHost, flags });
    await answers(gateway, "/foo");
    expect(readFileSync(gateway.output, "utf8")).toContain("    daemon\n");
    writeFileSync(file, `${readFileSync(file, "utf8")}\nuserlist another\n`);
    await gateway.logged(/^reload: userlist "another" is new/);
    const { master, worker } = await gateway.haproxy();
    expect(await gateway.stop()).toBe(0);
    expect([isAlive(master), isAlive(worker)]).toEqual([false, false]);
    expect(gateway.count(/ended by itself/)).toBe(0);
  });
});

test("a HAProxy that is not the gateway's own shares no port with it", async () => {
  const first = await startGateway({ dockerHost: stage.dockerHost });
  await answers(first, "/foo");
  const { worker } = await first.haproxy();
  const second = await startGateway({ dockerHost: stage.dockerHost, port: first.port });
  const { message } = await second.logged(/Cannot listen on/);
  expect(message).toMatch(new RegExp(`: haproxy \\(process ${worker}\\) has it`));
  await first.stop();
  await answers(second, "/foo");
});

function start(name: string, image: string): void {
  stage.start(name, { image, ip: app.address, port: app.port });
}

async function answers(gateway: Gateway, target: string): Promise<void> {
  await gateway.until(async () => expect((await gateway.get(target)).body).toBe(app.name));
}

/** Lets go of the ports that are taken. */
async function release(): Promise<void> {
  for (const squatter of squatters.splice(0)) {
    const { promise, resolve } = Promise.withResolvers<void>();
    squatter.close(() => resolve());
    await promise;
  }
}

/** A port that this process listens on. */
async function taken(): Promise<number> {
  const port = await freePort();
  const { promise, resolve } = Promise.withResolvers<void>();
  squatters.push(createServer().listen({ port, host: "127.0.0.1" }, () => resolve()));
  await promise;
  return port;
}
