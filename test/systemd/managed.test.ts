// The gateway as a service that runs HAProxy itself, without root, on a real systemd.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { detailsOf } from "../e2e/details.ts";
import { Traffic } from "../e2e/traffic.ts";
import {
  exposure,
  HAPROXY,
  HAPROXY_PATH,
  PROGRAM,
  SERVICE,
  startMachine,
  type Machine,
} from "./machine.ts";

setDefaultTimeout(120_000);

const USER = "docker-api-gateway";
const FOLDER = "/run/docker-api-gateway";
/** CAP_NET_BIND_SERVICE is the tenth. Source: capabilities(7). */
const NET_BIND_SERVICE = "0000000000000400";

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["acme/shop:1", "acme/cart:1", "acme/till:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

describe.each(haproxyVersions())("a service with a HAProxy %s of its own", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let machine: Machine;
  let shop: Container;
  let before: string;

  beforeAll(async () => {
    shop = await run(engine, "acme/shop:1");
    machine = await startMachine(engine, version);
    await machine.sh("systemctl disable --quiet --now haproxy");
    before = await machine.files();
  });

  afterAll(() => removeAll(engine));

  test("is installed, and serves at a port of root's without root", async () => {
    const output = await machine.sh(`${PROGRAM} install --manage-haproxy`);
    expect(output.split("\n")).toEqual([
      `write /etc/systemd/system/${SERVICE}: done`,
      `write /etc/systemd/system/${HAPROXY}: done`,
      `write /etc/systemd/system/${HAPROXY_PATH}: done`,
      "copy this program to /usr/local/bin/docker-api-gateway: done",
      `make the system user ${USER}: done`,
      "systemctl daemon-reload: done",
      `systemctl --quiet enable ${SERVICE} ${HAPROXY_PATH}: done`,
      `start ${HAPROXY_PATH}: done`,
      `start ${SERVICE}: done`,
      expect.stringContaining("systemctl status docker-api-gateway"),
      "",
    ]);
    expect((await machine.served("/acme/shop/x", shop.name)).target).toBe("/x");
    const uid = (await machine.sh(`id -u ${USER}`)).trim();
    const processes = await processesOf(machine);
    expect(processes.filter(({ name }) => name === "haproxy").length).toBeGreaterThanOrEqual(2);
    for (const { name, status } of processes) {
      expect(status).toMatch(new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, "m"));
      const rights = name === "haproxy" ? NET_BIND_SERVICE : "0".repeat(16);
      expect(status).toMatch(new RegExp(`^CapBnd:\\s+${rights}$`, "m"));
      expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
      expect(status).toMatch(/^Seccomp:\s+2$/m);
    }
    expect(await machine.sh(`stat -c '%U %G %a' ${FOLDER}`)).toBe(`${USER} ${USER} 750\n`);
  });

  detail("has units that systemd takes as they are and calls safe", async () => {
    const verified = await machine.try(`systemd-analyze verify ${SERVICE} ${HAPROXY}`);
    expect(verified).toEqual({ status: 0, output: "" });
    for (const service of [SERVICE, HAPROXY]) {
      expect(await exposure(machine, service)).toBeLessThanOrEqual(3);
    }
  });

  test("tells systemd how it goes, and is reloaded", async () => {
    const pid = await machine.property("MainPID");
    await machine.until(async () => {
      expect(await machine.property("StatusText")).toMatch(/^1 route, last change \d+ s ago$/);
    });
    await machine.sh(`systemctl reload ${SERVICE}`);
    expect(await machine.journal()).toContain("reading everything again (SIGHUP)");
    expect(await machine.property("MainPID")).toBe(pid);
  });

  test("its end costs no request: a restart, an upgrade and back, a death", async () => {
    const haproxy = await haproxysOf(machine);
    const program = "/usr/local/bin/docker-api-gateway";
    await machine.sh(`cp ${program} ${program}.old`);
    const restart = `systemctl restart ${SERVICE}`;
    const ends = [
      restart,
      `${program} upgrade --back; ${restart}`,
      `${program} upgrade --back; ${restart}`,
      `kill -KILL $(systemctl show --property=MainPID --value ${SERVICE})`,
    ];
    const traffic = new Traffic({
      host: machine.address,
      port: 80,
      target: "/acme/shop/",
      perSecond: 200,
    });
    for (const end of ends) {
      const pid = await machine.property("MainPID");
      await machine.sh(end);
      // The next one serves what is new.
      const cart = await run(engine, "acme/cart:1");
      await machine.served("/acme/cart/", cart.name);
      expect(await machine.property("MainPID")).not.toBe(pid);
      await cart.remove();
    }
    const { requests, failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(500);
    expect(await haproxysOf(machine)).toBe(haproxy);
    expect(await machine.journal()).toContain(`HAProxy (process ${haproxy}) is run by ${HAPROXY}`);
    await machine.sh(`rm ${program}.old`);
  });

  test("HAProxy comes back when it dies, also while the gateway is down", async () => {
    for (const isDown of [false, true]) {
      if (isDown) await machine.sh(`systemctl stop ${SERVICE}`);
      await machine.served("/acme/shop/", shop.name);
      const haproxy = await haproxysOf(machine);
      await machine.sh(`kill -KILL ${haproxy}`);
      // The old worker may answer once more before it notices.
      await machine.until(async () => expect(await haproxysOf(machine)).not.toBe(haproxy));
      await machine.served("/acme/shop/", shop.name);
      // Its servers are looked at before it starts.
      expect(await machine.journal()).toContain(
        isDown ? "all containers behind its servers still run" : "a gateway runs",
      );
    }
    await machine.sh(`systemctl start ${SERVICE}`);
    const cart = await run(engine, "acme/cart:1");
    await machine.served("/acme/cart/", cart.name);
    await cart.remove();
  });

  detail(
    "HAProxy runs a program that replaces its own, as an upgrade of the system brings it",
    async () => {
      const haproxy = await haproxysOf(machine);
      const program = "/usr/sbin/haproxy";
      await machine.sh(`cp -p ${program} ${program}.new; mv ${program}.new ${program}`);
      await machine.until(async () => {
        // HAProxy tells its age in whole seconds: it must be older than the program.
        await machine.sh(`systemctl reload ${SERVICE}`);
        expect(await machine.journal()).toContain(`reload: ${program} was replaced`);
      });
      expect(await haproxysOf(machine)).toBe(haproxy);
      await machine.served("/acme/shop/", shop.name);
    },
  );

  detail("HAProxy stays away when it is stopped, and comes back when it is started", async () => {
    await machine.sh(`systemctl stop ${HAPROXY}`);
    expect(machine.get("/acme/shop/")).rejects.toThrow();
    const doctor = "docker-api-gateway doctor --manage-haproxy";
    const missed = await machine.try(doctor);
    expect(missed.output).toContain(`failure  Reload: ${HAPROXY_PATH} does not run`);
    expect(missed.status).toBe(1);
    await machine.sh(`systemctl start ${HAPROXY}`);
    await machine.served("/acme/shop/", shop.name);
    expect(await machine.sh(doctor)).toContain(
      `ok       Reload: systemd runs HAProxy, as ${HAPROXY}\n`,
    );
  });

  test("its folder is made again when somebody removes it, and HAProxy serves on", async () => {
    const haproxy = await haproxysOf(machine);
    const traffic = new Traffic({
      host: machine.address,
      port: 80,
      target: "/acme/shop/",
      perSecond: 200,
    });
    // A file of its check may go meanwhile.
    await machine.sh(`rm -rf ${FOLDER}`);
    const cart = await run(engine, "acme/cart:1");
    await machine.served("/acme/cart/", cart.name);
    expect(await machine.sh(`stat -c '%U %G %a' ${FOLDER}`)).toBe(`${USER} ${USER} 750\n`);
    await machine.until(() => machine.sh(`test -S ${FOLDER}/haproxy.admin.sock`));
    expect((await traffic.stop()).failures).toEqual([]);
    expect(await haproxysOf(machine)).toBe(haproxy);
    expect(await machine.journal()).toContain(`folder ${FOLDER} was removed by somebody else`);
    await cart.remove();
  });

  detail("serves on when it hangs, and is killed by the watchdog", async () => {
    const killed = await machine.property("MainPID");
    await machine.sh(
      `mkdir -p /run/systemd/system/${SERVICE}.d
     printf '[Service]\\nWatchdogSec=2s\\n' >/run/systemd/system/${SERVICE}.d/test.conf
     systemctl daemon-reload
     kill -KILL $(systemctl show --property=MainPID --value ${SERVICE})`,
    );
    const running = (): Promise<void> =>
      machine.until(async () => expect(await machine.property("SubState")).toBe("running"));
    const pid = await machine.until(async () => {
      const next = await machine.property("MainPID");
      expect(["0", killed]).not.toContain(next);
      return next;
    });
    await running();
    // It lives, and says so: for longer than systemd would wait for that.
    const told = await machine.property("WatchdogTimestampMonotonic");
    await machine.until(async () => {
      const now = Number(await machine.property("WatchdogTimestampMonotonic"));
      expect(now - Number(told)).toBeGreaterThan(2_500_000);
    });
    expect(await machine.property("MainPID")).toBe(pid);
    const asking = machine.ask("/acme/shop/");
    await machine.sh(`kill -STOP ${pid}`);
    await machine.until(async () => expect(await machine.property("MainPID")).not.toBe(pid));
    await running();
    expect(await machine.journal()).toContain("Watchdog timeout");
    expect((await asking.stop()).failures).toEqual([]);
    await machine.sh(`rm -r /run/systemd/system/${SERVICE}.d; systemctl daemon-reload`);
  });

  test("HAProxy gets other rights by another installation while no request is lost", async () => {
    const traffic = new Traffic({
      host: machine.address,
      port: 80,
      target: "/acme/shop/",
      perSecond: 200,
    });
    const haproxy = await haproxysOf(machine);
    // As one of another version: only HAProxy's unit differs.
    await machine.sh(`sed -i 's/^TimeoutStopSec=.*/&0/' /etc/systemd/system/${HAPROXY}`);
    const output = await machine.sh(`${PROGRAM} install --manage-haproxy`);
    expect(output).toContain(
      `start ${HAPROXY_PATH}: done; HAProxy was started anew, and went on\n`,
    );
    const cart = await run(engine, "acme/cart:1");
    await machine.served("/acme/cart/", cart.name);
    await cart.remove();
    const { requests, failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(100);
    expect(await haproxysOf(machine)).not.toBe(haproxy);
    expect(await machine.sh(`systemctl is-active ${HAPROXY_PATH}`)).toBe("active\n");
    expect(await machine.sh("ls -A /run/systemd/system")).not.toContain("haproxy");
    expect(await machine.sh(`ls ${FOLDER}`)).not.toContain("bridge");
  });

  detail("is installed again with other flags while no request is lost", async () => {
    const asking = machine.ask("/acme/shop/");
    const haproxy = await haproxysOf(machine);
    const pid = await machine.property("MainPID");
    await machine.sh(`${PROGRAM} install --manage-haproxy --ports 8000`);
    expect(await machine.property("MainPID")).not.toBe(pid);
    expect(await machine.property("ExecStart")).toContain("--ports=8000");
    const till = await run(engine, "acme/till:1");
    await machine.served("/acme/till/", till.name);
    expect((await asking.stop()).failures).toEqual([]);
    expect(await haproxysOf(machine)).toBe(haproxy);
    const same = await machine.sh(`${PROGRAM} install --manage-haproxy --ports 8000`);
    expect(same).toContain(`make the system user ${USER}: it is there already\n`);
    expect(same).toContain(`start ${SERVICE}: it runs already\n`);
  });

  test("serves on when it is stopped, and nothing does after a stop of both", async () => {
    await machine.sh(`systemctl stop ${SERVICE}`);
    await machine.served("/acme/shop/", shop.name);
    await machine.sh(`systemctl stop ${HAPROXY}`);
    expect(await processesOf(machine)).toEqual([]);
    expect(machine.get("/acme/shop/")).rejects.toThrow();
    // As after a boot: there is no folder yet, and no configuration.
    await machine.sh(`rm -r ${FOLDER}; systemctl start ${HAPROXY_PATH}`);
    await machine.sh(`systemctl start ${SERVICE}`);
    await machine.served("/acme/shop/", shop.name);
  });

  test("an installation whose gateway runs HAProxy itself becomes this kind without a loss", async () => {
    await machine.sh(toFormerKind());
    await machine.served("/acme/shop/", shop.name);
    const former = await haproxysOf(machine);
    expect(await machine.sh(`cat /proc/${former}/cgroup`)).toContain(`/${SERVICE}`);
    const traffic = new Traffic({
      host: machine.address,
      port: 80,
      target: "/acme/shop/",
      perSecond: 200,
    });
    const program = "/usr/local/bin/docker-api-gateway";
    await machine.sh(`cp ${program} ${program}.old`);
    const upgraded = await machine.sh(`${program} upgrade --back; rm ${program}.old`);
    expect(upgraded).toMatch(
      new RegExp(`\\n  ${program} install --manage-haproxy( --ports=8000)?\\n$`),
    );
    const output = await machine.sh(`${PROGRAM} install --manage-haproxy`);
    expect(output).toContain(`HAProxy is ${HAPROXY} now, and went on\n`);
    await machine.until(() => machine.sh(`! test -e /proc/${former}`));
    const cart = await run(engine, "acme/cart:1");
    await machine.served("/acme/cart/", cart.name);
    const { requests, failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(requests).toBeGreaterThan(100);
    expect(await machine.sh(`cat /proc/${await haproxysOf(machine)}/cgroup`)).toContain(HAPROXY);
    expect(await machine.sh("ls -A /run/systemd/system")).not.toContain(HAPROXY);
    await cart.remove();
  });

  test("leaves nothing when it is uninstalled", async () => {
    const refused = await machine.try("docker-api-gateway uninstall --restore-haproxy");
    expect(refused.status).toBe(12);
    await machine.served("/acme/shop/", shop.name);
    const output = await machine.sh("docker-api-gateway uninstall");
    expect(output.split("\n")).toEqual([
      `systemctl --quiet disable --now ${SERVICE}: done`,
      `systemctl --quiet disable --now ${HAPROXY_PATH}: done`,
      `systemctl stop ${HAPROXY}: done`,
      `remove /etc/systemd/system/${HAPROXY_PATH}: done`,
      `remove /etc/systemd/system/${HAPROXY}: done`,
      `remove ${FOLDER}: done`,
      `userdel ${USER}: done`,
      "remove /usr/local/bin/docker-api-gateway: done",
      `remove /etc/systemd/system/${SERVICE}: done`,
      "systemctl daemon-reload: done",
      "",
    ]);
    expect(await processesOf(machine)).toEqual([]);
    expect(await machine.files()).toBe(before);
  });

  detail("leaves nothing either when its gateway was killed a moment before", async () => {
    await machine.sh(`${PROGRAM} install --manage-haproxy`);
    await machine.served("/acme/shop/", shop.name);
    await machine.sh(
      `kill -KILL $(systemctl show --property=MainPID --value ${SERVICE})
       docker-api-gateway uninstall`,
    );
    expect(await processesOf(machine)).toEqual([]);
    expect(await machine.files()).toBe(before);
    expect(machine.get("/acme/shop/")).rejects.toThrow();
  });
});

/** Makes of the installed service one whose gateway runs HAProxy itself, as former versions did. */
function toFormerKind(): string {
  const folder = "/etc/systemd/system";
  const capability = "CAP_NET_BIND_SERVICE";
  return `systemctl disable --quiet --now ${HAPROXY_PATH}
systemctl stop ${SERVICE} ${HAPROXY}
rm ${folder}/${HAPROXY_PATH} ${folder}/${HAPROXY}
sed -i -e '/HAPROXY_UNIT=/d' -e 's/ ${HAPROXY_PATH}//' -e 's/Preserve=yes/Preserve=restart/' \\
  -e 's/^CapabilityBoundingSet=$/&${capability}/' -e '/^User=/a AmbientCapabilities=${capability}' \\
  ${folder}/${SERVICE}
systemctl daemon-reload
systemctl start ${SERVICE}`;
}

interface Process {
  readonly name: string;
  readonly status: string;
}

/** The gateway and its HAProxy, from the control group of the service or of nobody any more. */
async function processesOf(machine: Machine): Promise<Process[]> {
  const output = await machine.sh(
    `for status in /proc/[0-9]*/status; do cat "$status" 2>/dev/null && echo; done || true`,
  );
  return output
    .split("\n\n")
    .map((status) => ({ name: /^Name:\t(.*)$/m.exec(status)?.[1] ?? "", status }))
    .filter(({ name }) => name === "haproxy" || name === "docker-api-gate");
}

/** The process ID of HAProxy's master. */
async function haproxysOf(machine: Machine): Promise<string> {
  return (await machine.sh(`pgrep --oldest --exact haproxy`)).trim();
}
