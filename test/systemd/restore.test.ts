// What `uninstall` does with HAProxy's configuration, and what it tells of it, on a real systemd.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { firstVersion } from "../e2e/gateway.ts";
import { PROGRAM, SERVICE, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const CONFIG = "/etc/haproxy/haproxy.cfg";
const COPY = `${CONFIG}.before-docker-api-gateway`;
/** There while the gateway does not know whether HAProxy runs what is on disk. */
const NOTE = "/etc/haproxy/.haproxy.cfg.unconfirmed";
const UNIT_FILE = `/etc/systemd/system/${SERVICE}`;
const GOES_ON = `HAProxy goes on with ${CONFIG} as the gateway left it.\n`;
const RESTORE = `${PROGRAM} uninstall --restore-haproxy`;

let engine: Engine;
let machine: Machine;
let shop: Container;
let before: string;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
  shop = await run(engine, "acme/shop:1");
  machine = await startMachine(engine, firstVersion());
  before = await machine.files();
});

afterEach(async () => {
  expect(await machine.files()).toBe(before);
});

afterAll(() => removeAll(engine));

async function install(flags = ""): Promise<void> {
  await machine.sh(`${PROGRAM} install ${flags}`);
  await machine.served("/acme/shop/", shop.name);
  // HAProxy serves before the gateway has heard that its reload is done.
  await machine.until(() => machine.sh(`test ! -e ${NOTE}`));
}

test("the second time it tells where HAProxy's files are, and restores them too", async () => {
  await install();
  expect(await machine.sh(`${PROGRAM} uninstall`)).toContain(GOES_ON);
  const second = await machine.sh(`${PROGRAM} uninstall`);
  expect(second).toBe(
    `There is no ${UNIT_FILE}: nothing is installed.\n${GOES_ON}` +
      `The one before is ${COPY}. To have it back:\n` +
      `  cp -p ${COPY} ${CONFIG} && systemctl reload haproxy\n`,
  );
  await machine.served("/acme/shop/", shop.name);
  expect(await machine.sh(RESTORE)).toContain(`give HAProxy its former ${CONFIG} back: done\n`);
  await machine.until(() => expect(machine.get("/acme/shop/")).rejects.toThrow());
  expect(await machine.sh(RESTORE)).toContain("it is there already\n");
});

test("what was restored by hand is told of as well, with what is left", async () => {
  await install();
  const told = await machine.sh(`${PROGRAM} uninstall`);
  const [, command = "false"] = /To have it back:\n {2}(.*)\n/.exec(told) ?? [];
  await machine.sh(command);
  await machine.until(() => expect(machine.get("/acme/shop/")).rejects.toThrow());
  for (const words of ["uninstall", "uninstall --restore-haproxy"]) {
    expect(await machine.sh(`${PROGRAM} ${words}`)).toEndWith(
      `What ${CONFIG} was before the gateway is still kept as ${COPY}.\n`,
    );
  }
  await machine.sh(`rm ${COPY} /etc/haproxy/haproxy.*.map /etc/haproxy/haproxy.*.lua`);
});

test("pages that labels name go with the rest", async () => {
  await machine.sh("mkdir -p /srv/pages; echo none >/srv/pages/404.html");
  await importImage(engine, "acme/paged:1", { expose: [8000] });
  const labels = { "gateway.errors.404": "/srv/pages/404.html" };
  const paged = await run(engine, "acme/paged:1", { labels });
  try {
    await install("--label-files /srv/pages");
    await machine.served("/acme/paged/", paged.name);
    const copy = "/etc/haproxy/haproxy.label-*.txt";
    expect(await machine.sh(`cat ${copy}`)).toBe("none\n");
    expect(await machine.sh(RESTORE)).toContain("back: done\n");
    expect((await machine.try(`cat ${copy}`)).status).not.toBe(0);
  } finally {
    await machine.sh("rm -r /srv/pages");
    await paged.remove();
  }
});

test("a HAProxy that does not run has its configuration back all the same", async () => {
  await install();
  await machine.sh("systemctl stop haproxy");
  const output = await machine.sh(RESTORE);
  expect(output).toContain(`its former ${CONFIG} back: done; HAProxy does not run\n`);
  await machine.sh("systemctl start haproxy");
});

test("one that cannot be reloaded keeps what it has, until that is mended", async () => {
  await install();
  await machine.sh(`sed -i '/^ExecStart=/s/$/ --reload-cmd=false/' ${UNIT_FILE}`);
  const config = await machine.sh(`cat ${CONFIG} /etc/haproxy/*.map`);
  const failed = await machine.try(RESTORE);
  expect(failed.status).toBe(13);
  expect(failed.output).toContain(
    `Cannot restore "${CONFIG}": Cannot reload HAProxy with "false": it ended with exit status 1\n` +
      `  hint: ${CONFIG} is as the gateway left it; `,
  );
  expect(await machine.sh(`cat ${CONFIG} /etc/haproxy/*.map`)).toBe(config);
  await machine.served("/acme/shop/", shop.name);
  await machine.sh(`sed -i 's/ --reload-cmd=false//' ${UNIT_FILE}`);
  expect(await machine.sh(RESTORE)).toContain("back: done\n");
});

test("a gateway that somebody runs is not undone", async () => {
  await machine.sh(`systemd-run --unit=by-hand --collect ${PROGRAM}`);
  await machine.served("/acme/shop/", shop.name);
  const refused = await machine.try(RESTORE);
  expect(refused.status).toBe(12);
  expect(refused.output).toMatch(/another gateway \(process \d+\) writes it/);
  await machine.served("/acme/shop/", shop.name);
  await machine.sh(`systemctl stop by-hand; ${RESTORE}`);
});

test("one with a HAProxy of its own tells of the distribution's as well", async () => {
  await install();
  await machine.sh("systemctl stop haproxy");
  await install("--manage-haproxy");
  const output = await machine.sh(`${PROGRAM} uninstall`);
  expect(output).toContain("userdel docker-api-gateway: done\n");
  expect(output).toContain(`${GOES_ON}The one before is ${COPY}.`);
  await machine.sh(`systemctl start haproxy; ${RESTORE}`);
});

test("a link to the configuration stays one, and nothing is left behind it", async () => {
  await machine.sh(`mkdir /srv/haproxy; mv ${CONFIG} /srv/haproxy/real.cfg`);
  await machine.sh(`ln -s /srv/haproxy/real.cfg ${CONFIG}`);
  const linked = await machine.sh("cat /srv/haproxy/real.cfg");
  await install();
  const output = await machine.sh(RESTORE);
  expect(output).toContain("back: done\n");
  expect(await machine.sh("ls -A /srv/haproxy; cat /srv/haproxy/real.cfg")).toBe(
    `real.cfg\n${linked}`,
  );
  expect(await machine.sh(`readlink ${CONFIG}`)).toBe("/srv/haproxy/real.cfg\n");
  await machine.sh(`mv /srv/haproxy/real.cfg ${CONFIG}; rmdir /srv/haproxy`);
});
