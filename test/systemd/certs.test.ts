// Certificates of services, on a real systemd: read from a folder, and kept where HAProxy reads them. Beside
// Debian's HAProxy, and with one of the gateway's own, without root.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Authority } from "../lab/authority.ts";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { requestTls } from "../lab/tls-client.ts";
import { firstVersion } from "../e2e/gateway.ts";
import { PROGRAM, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const HOST = "shop.example.com";
const FOLDER = "/srv/certs";

let engine: Engine;
let machine: Machine;
let authority: Authority;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
  await run(engine, "acme/shop:1", { labels: { "gateway.host": HOST } });
  authority = await Authority.make();
  machine = await startMachine(engine, firstVersion());
  // Such as Debian's ssl-cert.
  await machine.sh(`groupadd --system keys
mkdir --mode=750 ${FOLDER}
chgrp keys ${FOLDER}`);
});

afterAll(() => removeAll(engine));

/** Puts a new certificate into the folder, for its group alone. */
async function put(): Promise<void> {
  const { both } = await authority.issue([HOST]);
  await machine.sh(`umask 027
cat >${FOLDER}/shop.new <<'END'
${both}END
chgrp keys ${FOLDER}/shop.new
mv ${FOLDER}/shop.new ${FOLDER}/shop.pem`);
}

/** The serial number of the certificate that clients see. */
async function shown(): Promise<string> {
  const { problem, serial, status } = await requestTls({
    address: machine.address,
    port: 443,
    name: HOST,
    ca: authority.root,
    path: "/",
  });
  expect([problem, status]).toEqual(["", 200]);
  return serial;
}

test.each([
  ["beside Debian's HAProxy", "", "/etc/haproxy", "root"],
  [
    "with a HAProxy of its own",
    "--manage-haproxy",
    "/run/docker-api-gateway",
    "docker-api-gateway",
  ],
])("%s: read by the group that may, and renewed", async (_, flags, folder, user) => {
  if (flags !== "") await machine.sh("systemctl disable --quiet --now haproxy");
  await put();
  await machine.sh(`${PROGRAM} install ${flags} --certs ${FOLDER}`);
  const first = await machine.until(shown);
  const kept = `${folder}/haproxy.certificates`;
  expect(await machine.sh(`stat -c '%a %U' ${kept} ${kept}/shop-*.pem`)).toBe(
    `700 ${user}\n600 ${user}\n`,
  );
  await put();
  await machine.until(async () => expect(await shown()).not.toBe(first));
  const told = await machine.sh("docker-api-gateway certs");
  expect(told).toMatch(
    new RegExp(`^${HOST} +${FOLDER}/shop.pem +Tests Test CA R1 +89 +not here +-$`, "m"),
  );
  await machine.sh(`${PROGRAM} uninstall ${flags === "" ? "--restore-haproxy" : ""}`);
});
