// A copy of the certificates, as docs/operating.md has it made and put back: the next gateway has them.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { shownUnder } from "../documents/command-line.ts";
import { firstVersion } from "../e2e/gateway.ts";
import { Authority } from "../lab/authority.ts";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { requestTls } from "../lab/tls-client.ts";
import { PROGRAM, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const HOST = "shop.example.com";
const FOLDER = "/var/lib/docker-api-gateway";
// Nobody is asked there: what is in the folder is all that there is.
const INSTALL = `${PROGRAM} install --manage-haproxy --acme me@example.com --acme-directory https://127.0.0.1:1/directory`;

let engine: Engine;
let machine: Machine;
let authority: Authority;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
  await run(engine, "acme/shop:1", { labels: { "gateway.host": HOST } });
  authority = await Authority.make();
  machine = await startMachine(engine, firstVersion());
});

afterAll(() => removeAll(engine));

/** Waits until clients see the authority's certificate. */
async function served(): Promise<void> {
  await machine.until(async () => {
    const { problem, status } = await requestTls({
      address: machine.address,
      port: 443,
      name: HOST,
      ca: authority.root,
      path: "/",
    });
    expect([problem, status]).toEqual(["", 200]);
  });
}

test("certificates that were kept are served again, and are the new user's", async () => {
  const [keep, putBack] = shownUnder("docs/operating.md", "Backup and restore");
  await machine.sh(`systemctl disable --quiet --now haproxy
${INSTALL}`);
  const { both } = await authority.issue([HOST]);
  await machine.sh(`cat >${FOLDER}/acme/${HOST}.pem <<'END'
${both}END
chown docker-api-gateway: ${FOLDER}/acme/${HOST}.pem
chmod 600 ${FOLDER}/acme/${HOST}.pem
systemctl restart docker-api-gateway`);
  await served();
  await machine.sh(`${keep?.line}
${PROGRAM} uninstall
rm -r ${FOLDER}`);

  // The next machine has other users.
  await machine.sh(`useradd --system somebody
${putBack?.line}
${INSTALL}`);
  await served();
  expect(await machine.sh(`stat -c '%a %U' ${FOLDER}/acme ${FOLDER}/acme/${HOST}.pem`)).toBe(
    "700 docker-api-gateway\n600 docker-api-gateway\n",
  );
});
