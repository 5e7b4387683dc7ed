// What users choose for a service, and what cannot be one, on a real systemd.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { create, removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { contextFiles } from "../lab/docker-context.ts";
import { importImage } from "../lab/images.ts";
import { firstVersion } from "../e2e/gateway.ts";
import {
  MACHINE_IMAGE,
  PROGRAM,
  programFolder,
  SERVICE,
  startMachine,
  type Machine,
} from "./machine.ts";

setDefaultTimeout(120_000);

const CONFIG = "/etc/haproxy/haproxy.cfg";
const UNIT_FILE = `/etc/systemd/system/${SERVICE}`;

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

afterAll(() => removeAll(engine));

/** A word for the shell. */
const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

const uninstall = (): Promise<string> => machine.sh(`${PROGRAM} uninstall --restore-haproxy`);

test("an ordinary user is told what to do", async () => {
  const user = "setpriv --reuid=65534 --regid=65534 --clear-groups";
  const refused = await machine.try(`${user} ${PROGRAM} install --listen '*:81' --no-start`);
  expect(refused).toEqual({
    status: 2,
    output:
      "Cannot install a service: it takes root\n" +
      "  hint: sudo /opt/bin/docker-api-gateway install --no-start '--listen=*:81'\n",
  });
  const other = await machine.try(
    `DOCKER_HOST=tcp://engine ${user} ${PROGRAM} uninstall --restore-haproxy`,
  );
  expect(other.status).toBe(2);
  expect(other.output).toContain(`hint: sudo ${PROGRAM} uninstall --restore-haproxy\n`);
  const variables = await machine.try(`DOCKER_HOST=tcp://engine ${user} ${PROGRAM} install`);
  expect(variables.output).toContain("hint: sudo --preserve-env=DOCKER_HOST /opt/bin");
  expect(await machine.files()).toBe(before);
});

test("a host without systemd is told what to do instead", async () => {
  const bare = await create(engine, MACHINE_IMAGE, {
    cmd: ["/bin/sleep", "60"],
    create: { HostConfig: { Binds: [`${await programFolder()}:/opt/bin:ro`] } },
  });
  await bare.start();
  const flags = "--manage-haproxy --docker-host tcp://127.0.0.1";
  const output = await bare.exec(["/bin/sh", "-c", `${PROGRAM} install ${flags} 2>&1; echo =$?`]);
  expect(output).toStartWith("Cannot install a service: this host does not run systemd\n");
  expect(output).toContain('"docker-api-gateway --manage-haproxy --docker-host=tcp://127.0.0.1"');
  expect(output).toEndWith("=2\n");
  expect(await bare.exec(["/bin/ls", "/usr/local/bin"])).toBe("");
  await bare.remove();
});

test("only Docker's socket is in the way of a service without root", async () => {
  const install = `${PROGRAM} install --manage-haproxy`;
  await machine.sh("chgrp root /run/docker.sock");
  const refused = await machine.try(install);
  expect(refused.status).toBe(2);
  expect(refused.output).toContain('only root may use "/var/run/docker.sock"');
  expect(refused.output).toContain("groupadd docker");
  await machine.sh("chgrp docker /run/docker.sock");
  expect(await machine.sh(`${install} --print`)).toContain("\nSupplementaryGroups=docker\n");
  expect(await machine.files()).toBe(before);
});

/** What is hard to say in a unit, and in a shell. */
const NASTY = [
  "a b",
  `"'`,
  String.raw`\n \x41 \\ \"`,
  "$HOME ${HOME} $$",
  "%n %% %t",
  "; rm -rf ; #",
  "tab\there, bell\u0007, delete\u007f",
  "größe ✓ 🙂",
  "-",
  "{}*?[]~!",
];

test.each([" ", "\\", "\n"])(
  "every word gets to the service as it is: between %j",
  async (between) => {
    const flag = `--network=${NASTY.join(between)}${between}`;
    const path = `/${NASTY.join(" ")}`;
    await machine.sh(
      `DOCKER_HOST=unix:///run/docker.sock DOCKER_CERT_PATH=${quoted(path)} \
       ${PROGRAM} install ${quoted(flag)} --log-level debug`,
    );
    const pid = await machine.property("MainPID");
    const words = await machine.sh(`base64 </proc/${pid}/cmdline`);
    const variables = await machine.sh(`base64 </proc/${pid}/environ`);
    expect(decode(words)).toEqual(["/usr/local/bin/docker-api-gateway", flag, "--log-level=debug"]);
    expect(decode(variables)).toContain(`DOCKER_CERT_PATH=${path}`);
    expect(decode(variables)).toContain("DOCKER_HOST=unix:///run/docker.sock");
    // What it is made of is read from the unit again.
    expect(await uninstall()).toContain("remove /usr/local/bin/docker-api-gateway: done");
    expect(await machine.files()).toBe(before);
  },
);

/** Words that end with a NUL each. */
function decode(base64: string): string[] {
  return Buffer.from(base64, "base64").toString().split("\0").slice(0, -1);
}

test("a template in root's home is read by a service", async () => {
  await machine.sh(
    `${PROGRAM} template path >/root/own.hbs; echo '# of my own' >>/root/own.hbs
     cd /root; ${PROGRAM} install --template-file own.hbs --bin-dir /opt/gateway/bin`,
  );
  expect(await machine.sh(`cat ${UNIT_FILE}`)).toContain(
    "\nExecStart=/opt/gateway/bin/docker-api-gateway --template-file=/root/own.hbs\n",
  );
  await machine.served("/acme/shop/", shop.name);
  expect(await machine.sh(`tail -n 1 ${CONFIG}`)).toBe("# of my own\n");
  // But for that folder, its home is as closed as the rest.
  expect(await machine.sh(`cat ${UNIT_FILE}`)).toContain("\nProtectHome=read-only\n");
  expect(await uninstall()).toContain("remove /opt/gateway/bin/docker-api-gateway: done");
});

test("the Engine of root's docker context stays the service's, whatever is in use later", async () => {
  const meta = { Name: "work", Endpoints: { docker: { Host: "unix:///srv/engine.sock" } } };
  const path = contextFiles("/root/.docker", "work").meta;
  const [work, gone] = ["work", "gone"].map(
    (name) => `echo '{"currentContext":"${name}"}' >/root/.docker/config.json`,
  );
  await machine.sh(
    `ln -s /run/docker.sock /srv/engine.sock; mkdir -p ${path.replace(/\/[^/]*$/, "")}
     echo ${quoted(JSON.stringify(meta))} >${path}
     ${work}; HOME=/root ${PROGRAM} install; ${gone}; systemctl restart ${SERVICE}`,
  );
  expect(await machine.sh(`cat ${UNIT_FILE}`)).toContain(
    "\nExecStart=/usr/local/bin/docker-api-gateway --docker-host=unix:///srv/engine.sock\n",
  );
  await machine.served("/acme/shop/", shop.name);
  expect(await machine.journal()).toContain("connected to Docker at unix:///srv/engine.sock");
  const refused = await machine.try(`HOME=/root ${PROGRAM} install`);
  expect(refused.output).toContain('Cannot use docker context "gone": there is no such context');
  await machine.sh("rm -r /root/.docker /srv/engine.sock");
  await uninstall();
  expect(await machine.files()).toBe(before);
});

test("what an administrator adds counts, and stays", async () => {
  const added = `${UNIT_FILE}.d/override.conf`;
  await machine.sh(
    `mkdir ${UNIT_FILE}.d
     printf '[Service]\\nEnvironment=GATEWAY_LOG_FORMAT=json\\n' >${added}
     ${PROGRAM} install`,
  );
  await machine.served("/acme/shop/", shop.name);
  expect(await machine.journal()).toContain('"event":"routed"');
  expect(await uninstall()).toContain(`${UNIT_FILE}.d is yours, and is there still.\n`);
  await machine.sh(`rm -r ${UNIT_FILE}.d; systemctl daemon-reload`);
  expect(await machine.files()).toBe(before);
});

test("a service that cannot start says why", async () => {
  await machine.sh("echo '{{#if' >/srv/broken.hbs");
  const failed = await machine.try(`${PROGRAM} install --template-file /srv/broken.hbs`);
  expect(failed.status).toBe(12);
  expect(failed.output).toContain(`Cannot run "systemctl restart ${SERVICE}"`);
  expect(failed.output).toMatch(/Cannot \w+ template "\/srv\/broken.hbs"/);
  expect(await machine.sh(`cat ${CONFIG}`)).not.toContain("docker-api-gateway");
  // It is tried again: mended it starts by itself.
  await machine.sh(`${PROGRAM} template path >/srv/broken.hbs`);
  await machine.served("/acme/shop/", shop.name);
  await uninstall();
});

test("a former configuration that is no good, or is not there, is not restored", async () => {
  const copy = `${CONFIG}.before-docker-api-gateway`;
  await machine.sh(`${PROGRAM} install`);
  await machine.served("/acme/shop/", shop.name);
  const kept = await machine.sh(`cat ${copy}`);
  await machine.sh(`echo nonsense >>${copy}`);
  const refused = await machine.try(`${PROGRAM} uninstall --restore-haproxy`);
  expect(refused.status).toBe(12);
  expect(refused.output).toContain("unknown keyword 'nonsense'");
  await machine.sh(`rm ${copy}`);
  const missing = await machine.try(`${PROGRAM} uninstall --restore-haproxy`);
  expect(missing.status).toBe(12);
  expect(missing.output).toContain("there was none before");
  // Nothing was taken away.
  expect(await machine.property("ActiveState")).toBe("active");
  await machine.served("/acme/shop/", shop.name);
  await machine.sh(`echo '${Buffer.from(kept).toString("base64")}' | base64 -d >${copy}`);
  await uninstall();
  expect(await machine.files()).toBe(before);
});

test.each([
  { owner: "root:haproxy", rights: /^CapEff:\t0{16}$/m },
  { owner: "haproxy:adm", rights: /^CapEff:\t000000000000000b$/m },
])("a configuration of $owner stays theirs", async ({ owner, rights }) => {
  await machine.sh(`chown ${owner} ${CONFIG}; chmod 640 ${CONFIG}; ${PROGRAM} install`);
  await machine.served("/acme/shop/", shop.name);
  expect(await machine.sh(`stat -c '%U:%G %a' ${CONFIG}`)).toBe(`${owner} 640\n`);
  const pid = await machine.property("MainPID");
  expect(await machine.sh(`cat /proc/${pid}/status`)).toMatch(rights);
  await uninstall();
  expect(await machine.sh(`stat -c '%U:%G %a' ${CONFIG}`)).toBe(`${owner} 640\n`);
  await machine.sh(`chown root:root ${CONFIG}; chmod 644 ${CONFIG}`);
  expect(await machine.files()).toBe(before);
});

test("an installation without a start only says how", async () => {
  // A HAProxy of somebody else's is where the gateway's own is to listen.
  await machine.sh(
    `cp ${CONFIG} /root/; printf 'listen x\\n bind :80\\n' >>${CONFIG}; systemctl reload haproxy`,
  );
  const output = await machine.sh(`${PROGRAM} install --manage-haproxy --no-start`);
  expect(output).toMatch(/^warning: \*:80 is held by haproxy \(process \d+\)/);
  expect(output).toEndWith("To start it: systemctl enable --now docker-api-gateway\n");
  expect(await machine.property("ActiveState")).toBe("inactive");
  expect(await machine.property("UnitFileState")).toBe("disabled");
  await machine.sh(`cp /root/haproxy.cfg ${CONFIG}; systemctl reload haproxy`);
  await machine.sh(`${PROGRAM} uninstall`);
});
