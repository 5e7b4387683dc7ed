// What `uninstall` takes away and what it leaves, whatever came before it, on a real systemd.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { firstVersion } from "../e2e/gateway.ts";
import { HAPROXY, HAPROXY_PATH, PROGRAM, SERVICE, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const INSTALLED = "/usr/local/bin/docker-api-gateway";
const UNIT_FILE = `/etc/systemd/system/${SERVICE}`;
const USER = "docker-api-gateway";
const RESTORE = `${PROGRAM} uninstall --restore-haproxy`;

let engine: Engine;
let machine: Machine;
let before: string;

beforeAll(async () => {
  engine = await sharedEngine();
  machine = await startMachine(engine, firstVersion());
  before = await machine.files();
});

afterEach(async () => {
  expect(await machine.files()).toBe(before);
  expect(await machine.sh("systemctl list-units --all --no-legend 'docker-api*'")).toBe("");
});

afterAll(() => removeAll(engine));

test("nothing is left of an installation that failed half-way", async () => {
  await machine.sh("mv /usr/sbin/useradd /root/useradd");
  const install = `${PROGRAM} install --manage-haproxy`;
  const failed = await machine.try(install);
  expect(failed.output).toContain(`copy this program to ${INSTALLED}: done\n`);
  expect(failed.output).toEndWith(
    'Cannot run "useradd": there is no such program\n  hint: install it, and repeat this\n',
  );
  expect(failed.status).toBe(12);
  await machine.sh("mv /root/useradd /usr/sbin/useradd");
  expect(await machine.sh(`${PROGRAM} uninstall`)).toContain(`remove ${INSTALLED}: done\n`);
  expect(await machine.files()).toBe(before);

  // And of one that could not even put its program in place.
  const blocked = await machine.try(`${PROGRAM} install --bin-dir /etc/passwd/bin`);
  expect(blocked.status).toBe(12);
  expect(blocked.output).toContain('Cannot write "/etc/passwd/bin/docker-api-gateway": ENOTDIR');
  await machine.sh(`${PROGRAM} uninstall`);
});

test("root without root's own PATH can do it, and the group goes with the user", async () => {
  // As openSUSE has it: userdel leaves the group.
  await machine.sh("sed -i.kept 's/^USERGROUPS_ENAB.*/USERGROUPS_ENAB no/' /etc/login.defs");
  const path = "PATH=/usr/bin:/bin";
  await machine.sh(`${path} ${PROGRAM} install --manage-haproxy --no-start`);
  expect(await machine.sh(`id -gn ${USER}`)).toBe(`${USER}\n`);
  await machine.sh(`${path} ${PROGRAM} uninstall; mv /etc/login.defs.kept /etc/login.defs`);
});

test("a user that was there before stays", async () => {
  await machine.sh(`useradd --system --user-group ${USER}`);
  const output = await machine.sh(
    `${PROGRAM} install --manage-haproxy --no-start; ${PROGRAM} uninstall`,
  );
  expect(output).toContain(`make the system user ${USER}: it is there already\n`);
  expect(output).not.toContain("userdel");
  expect(await machine.sh(`id -un ${USER}`)).toBe(`${USER}\n`);
  await machine.sh(`userdel ${USER}`);
});

test("a program that was there before stays, with the one that it replaced", async () => {
  // As install.sh puts it there.
  await machine.sh(`cp ${PROGRAM} ${INSTALLED}; echo old >${INSTALLED}.old`);
  await machine.sh(`${INSTALLED} install --no-start; ${INSTALLED} install --no-start --ports 80`);
  const output = await machine.sh(`${INSTALLED} uninstall`);
  expect(output).toContain(`${INSTALLED} was there before it was installed, and is there still.\n`);
  expect(await machine.sh(`${INSTALLED} --version`)).toStartWith("docker-api-gateway ");
  await machine.sh(`rm ${INSTALLED} ${INSTALLED}.old`);
});

test("all programs that it put somewhere go, upgraded ones too, and the folders for them", async () => {
  await machine.sh(`${PROGRAM} install --no-start; ${PROGRAM} install --bin-dir /usr/local/a/b`);
  // As an upgrade leaves it: another file, and the one before.
  await machine.sh(
    `cd /usr/local/a/b; cp docker-api-gateway next; mv docker-api-gateway docker-api-gateway.old
     mv next docker-api-gateway; touch /usr/local/a/mine`,
  );
  const output = await machine.sh(RESTORE);
  for (const path of [INSTALLED, "/usr/local/a/b/docker-api-gateway.old", "/usr/local/a/b/"]) {
    expect(output).toContain(`remove ${path}: done\n`);
  }
  expect(output).toContain("remove /usr/local/a/: there is something else in it, so it stays\n");
  await machine.sh("rm -r /usr/local/a");
});

test("an installation of the other kind takes HAProxy's own units away", async () => {
  await machine.sh(`${PROGRAM} install --manage-haproxy --no-start`);
  const output = await machine.sh(`${PROGRAM} install --no-start`);
  for (const unit of [HAPROXY, HAPROXY_PATH]) {
    expect(output).toContain(`remove /etc/systemd/system/${unit}: done\n`);
  }
  await machine.sh(`${PROGRAM} uninstall`);
});

test("a unit of somebody else's is neither replaced nor removed", async () => {
  await machine.sh(`printf '[Service]\\nExecStart=/bin/true\\n' >${UNIT_FILE}`);
  for (const words of ["install", "uninstall", "uninstall --restore-haproxy"]) {
    const refused = await machine.try(`${PROGRAM} ${words}`);
    expect(refused.status).toBe(12);
    expect(refused.output).toContain(`"${UNIT_FILE}" was not written by install\n  hint: `);
  }
  expect(await machine.sh(`cat ${UNIT_FILE}; rm ${UNIT_FILE}`)).toContain("/bin/true");
  expect(await machine.sh("ls -A /usr/local/bin")).toBe("");
});

test("a unit that nobody understands any more is told of, and nothing is touched", async () => {
  await machine.sh(`${PROGRAM} install --no-start --ports 80`);
  await machine.sh(`sed -i 's/--ports/--harbours/' ${UNIT_FILE}`);
  const refused = await machine.try(`${PROGRAM} uninstall`);
  expect(refused.status).toBe(12);
  expect(refused.output).toContain(`Cannot read "${UNIT_FILE}": `);
  expect(refused.output).toContain('"--harbours"');
  expect(refused.output).toContain("hint: nothing was changed; mend its ExecStart=");
  await machine.sh(`sed -i 's/--harbours/--ports/' ${UNIT_FILE}; ${PROGRAM} uninstall`);
});

test("systemd forgets a service that failed", async () => {
  await machine.sh(
    `mkdir ${UNIT_FILE}.d
     printf '[Service]\\nEnvironment=GATEWAY_LOG_LEVEL=loud\\n' >${UNIT_FILE}.d/x.conf`,
  );
  const failed = await machine.try(`${PROGRAM} install`);
  expect(failed.output).toContain('Cannot use --log-level "loud"');
  expect(failed.output).toContain("uninstall");
  expect(await machine.property("ActiveState")).toBe("failed");
  await machine.sh(`${PROGRAM} uninstall; rm -r ${UNIT_FILE}.d; systemctl daemon-reload`);
});
