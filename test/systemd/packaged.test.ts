// The gateway as a service beside the distribution's HAProxy, on a real systemd.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { detailsOf } from "../e2e/details.ts";
import { exposure, PROGRAM, SERVICE, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const CONFIG = "/etc/haproxy/haproxy.cfg";
const FENCE = "docker-api-gateway-fence.service";
const OWNERS = "/etc/haproxy/haproxy.owners";
const COPY = `${CONFIG}.before-docker-api-gateway`;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/cart:1", "acme/till:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

describe.each(haproxyVersions())("a service beside HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let machine: Machine;
  let shop: Container;
  let before: string;

  beforeAll(async () => {
    shop = await run(engine, "acme/shop:1");
    machine = await startMachine(engine, version);
    before = await machine.files();
  });

  afterAll(() => removeAll(engine));

  test("is installed, and serves", async () => {
    const output = await machine.sh(`${PROGRAM} install`);
    expect(output.split("\n")).toEqual([
      `write /etc/systemd/system/${SERVICE}: done`,
      `write /etc/systemd/system/${FENCE}: done`,
      "copy this program to /usr/local/bin/docker-api-gateway: done",
      "systemctl daemon-reload: done",
      `systemctl --quiet enable ${SERVICE} ${FENCE}: done`,
      `start ${SERVICE}: done`,
      `The former ${CONFIG} is kept beside it, as haproxy.cfg.before-docker-api-gateway.`,
      expect.stringContaining("systemctl status docker-api-gateway"),
      "",
    ]);
    expect((await machine.served("/acme/shop/x", shop.name)).target).toBe("/x");
    expect(await machine.property("ActiveState")).toBe("active");
    expect(await machine.property("UnitFileState")).toBe("enabled");
    expect(await machine.sh(`grep -c 'log /dev/log' ${CONFIG}`)).toBe("2\n");
  });

  detail("is root without any right of root's", async () => {
    const status = await machine.sh(`cat /proc/${await machine.property("MainPID")}/status`);
    expect(status).toMatch(/^Uid:\s+0\s+0\s+0\s+0$/m);
    for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) {
      expect(status).toMatch(new RegExp(`^Cap${set}:\\s+0{16}$`, "m"));
    }
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    expect(status).toMatch(/^Seccomp:\s+2$/m);
  });

  detail("has a unit that systemd takes as it is and calls safe", async () => {
    const verified = await machine.try(`systemd-analyze verify ${SERVICE} ${FENCE}`);
    expect(verified).toEqual({ status: 0, output: "" });
    expect(await exposure(machine)).toBeLessThanOrEqual(3);
  });

  detail("tells systemd how it goes", async () => {
    await machine.until(async () => {
      const status = await machine.sh(`systemctl status --no-pager ${SERVICE}`);
      expect(status).toMatch(/Status: "1 route, last change \d+ s ago"/);
    });
  });

  detail("is reloaded by systemctl", async () => {
    const pid = await machine.property("MainPID");
    await machine.sh(`systemctl reload ${SERVICE}`);
    // systemctl only waits for the signal to be sent.
    await machine.until(async () => {
      expect(await machine.journal()).toContain("reading everything again (SIGHUP)");
      expect(await machine.property("ActiveState")).toBe("active");
    });
    expect(await machine.property("MainPID")).toBe(pid);
    expect(await machine.property("ReloadResult")).toBe("success");
  });

  test("serves on when it is killed, and is started anew", async () => {
    const pid = await machine.property("MainPID");
    const asking = machine.ask("/acme/shop/");
    await machine.sh(`kill -KILL ${pid}`);
    const cart = await run(engine, "acme/cart:1");
    await machine.served("/acme/cart/", cart.name);
    const { requests, failures } = await asking.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(10);
    expect(await machine.property("NRestarts")).toBe("1");
    expect(await machine.property("MainPID")).not.toBe(pid);
  });

  test("HAProxy's sockets come back when somebody removes them, at the next comparison", async () => {
    const asking = machine.ask("/acme/shop/");
    for (const socket of ["/run/haproxy/admin.sock", "/run/haproxy-master.sock"]) {
      await machine.sh(`rm ${socket}; systemctl reload ${SERVICE}`);
      await machine.until(async () => {
        await machine.sh(`test -S ${socket}`);
        expect(await machine.journal()).toContain(`reload: ${socket} was removed`);
      });
    }
    expect((await asking.stop()).failures).toEqual([]);
  });

  detail("is installed again: the same does nothing, other flags count at once", async () => {
    const same = await machine.sh(`${PROGRAM} install`);
    expect(same).toContain(`start ${SERVICE}: it runs already\n`);
    expect(await machine.property("NRestarts")).toBe("1");
    // And this one has HAProxy reloaded by systemctl, as where it has no master socket.
    const reload = "/bin/systemctl reload haproxy.service";
    const other = await machine.sh(`${PROGRAM} install --always-reload --reload-cmd "${reload}"`);
    expect(other).toContain(`write /etc/systemd/system/${SERVICE}: done\n`);
    expect(other).toContain(`start ${SERVICE}: done\n`);
    const reloads = await countOf(machine, "Reloaded haproxy.service");
    const till = await run(engine, "acme/till:1");
    await machine.served("/acme/till/", till.name);
    expect(await countOf(machine, "Reloaded haproxy.service")).toBeGreaterThan(reloads);
    await machine.served("/acme/shop/", shop.name);
  });

  detail("after a boot HAProxy starts without the containers of before", async () => {
    await machine.sh(`systemctl stop ${SERVICE}`);
    // As if the containers had been seen in another boot.
    const former = "s/^scope .*/scope 0 pid/; s| 2[^ ]* - | 2020-01-01T00:00:00Z 7/7 |";
    await machine.sh(`sed -i '${former}' ${OWNERS}`);
    await machine.sh("systemctl restart haproxy");
    expect((await machine.get("/acme/shop/")).status).toBe(503);
    expect(await machine.sh(`journalctl --no-pager -o cat -u ${FENCE}`)).toContain(
      `${CONFIG}: HAProxy starts without all servers: their containers have ended`,
    );
    await machine.sh(`systemctl start ${SERVICE}`);
    await machine.served("/acme/shop/", shop.name);
    // While a gateway runs, it is left to that.
    await machine.sh("systemctl restart haproxy");
    expect(await machine.sh(`journalctl --no-pager -o cat -u ${FENCE}`)).toContain(
      `${CONFIG}: a gateway runs, and takes out ended containers itself`,
    );
    await machine.served("/acme/shop/", shop.name);
  });

  test("leaves nothing when it is uninstalled and HAProxy has its configuration back", async () => {
    const asking = machine.ask("/acme/shop/");
    const output = await machine.sh(`docker-api-gateway uninstall --restore-haproxy`);
    expect(output.split("\n")).toEqual([
      `systemctl --quiet disable --now ${SERVICE}: done`,
      `systemctl --quiet disable ${FENCE}: done`,
      `remove /etc/systemd/system/${FENCE}: done`,
      `give HAProxy its former ${CONFIG} back: done`,
      "remove the gateway's working files: done",
      "remove /usr/local/bin/docker-api-gateway: done",
      `remove /etc/systemd/system/${SERVICE}: done`,
      "systemctl daemon-reload: done",
      "",
    ]);
    expect(await machine.files()).toBe(before);
    expect(await machine.property("LoadState")).toBe("not-found");
    // HAProxy runs the former one: nothing listens there any more.
    await machine.until(() => expect(machine.get("/acme/shop/")).rejects.toThrow());
    const { failures } = await asking.stop();
    expect(failures.length).toBeGreaterThan(0);
    expect(await machine.sh("systemctl is-active haproxy")).toBe("active\n");
  });

  detail("leaves HAProxy as it is when it is only uninstalled", async () => {
    await machine.sh(`${PROGRAM} install`);
    await machine.served("/acme/shop/", shop.name);
    const config = await machine.sh(`cat ${CONFIG} /etc/haproxy/*.map`);
    const asking = machine.ask("/acme/shop/");
    const output = await machine.sh(`docker-api-gateway uninstall`);
    expect(output).toContain(`HAProxy goes on with ${CONFIG}`);
    expect(output).toContain(`cp -p ${COPY} ${CONFIG}`);
    expect(await machine.sh(`cat ${CONFIG} /etc/haproxy/*.map`)).toBe(config);
    // Also over a restart of HAProxy's.
    await machine.sh("systemctl reload haproxy");
    await machine.served("/acme/shop/", shop.name);
    expect((await asking.stop()).failures).toEqual([]);
    expect(await machine.sh("ls -A /etc/haproxy")).toBe(
      "errors\nhaproxy.cfg\nhaproxy.cfg.before-docker-api-gateway\nhaproxy.routes.map\n" +
        "haproxy.times.map\nhaproxy.waiting.lua\n",
    );
    const again = await machine.sh(`${PROGRAM} uninstall`);
    expect(again).toContain("nothing is installed");
  });
});

async function countOf(machine: Machine, text: string): Promise<number> {
  const journal = await machine.sh("journalctl --sync; journalctl --no-pager -o cat");
  return journal.split(text).length - 1;
}
