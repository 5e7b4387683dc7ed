// The access log of services, on a real systemd: to a file in a folder that systemd makes, and to the
// journal. Beside Debian's HAProxy, which is in a chroot, and with one of the gateway's own, without root.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run, type Container } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { firstVersion } from "../e2e/gateway.ts";
import { PROGRAM, startMachine, type Machine } from "./machine.ts";

setDefaultTimeout(120_000);

const FOLDER = "/var/log/docker-api-gateway";
const FILE = `${FOLDER}/access.log`;

let engine: Engine;
let machine: Machine;
let shop: Container;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "acme/shop:1", { expose: [8000] });
  shop = await run(engine, "acme/shop:1");
  machine = await startMachine(engine, firstVersion());
});

afterAll(() => removeAll(engine));

/** Waits until a command prints the line of a request. */
async function logged(path: string, command: string): Promise<string> {
  let output = "";
  await machine.until(async () => {
    await machine.served(`/acme/shop${path}`, shop.name);
    output = await machine.sh(command);
    expect(output).toContain(`/acme/shop${path}`);
  });
  return output;
}

test.each([
  ["beside Debian's HAProxy", "", "root"],
  ["with a HAProxy of its own", "--manage-haproxy", "docker-api-gateway"],
])("%s: a file, and the journal", async (_, flags, user) => {
  if (flags !== "") await machine.sh("systemctl disable --quiet --now haproxy");
  await machine.sh(`${PROGRAM} install ${flags} --access-log json:${FILE}`);
  const text = await logged("/one", `cat ${FILE}`);
  const line = text.split("\n").find((each) => each.includes('"/acme/shop/one"')) ?? "";
  expect(JSON.parse(line)).toMatchObject({ route: "/acme/shop", container: shop.name });
  expect(await machine.sh(`stat -c '%a %U' ${FOLDER} ${FILE}`)).toBe(`750 ${user}\n640 ${user}\n`);
  expect(await machine.sh("grep -c httplog /etc/haproxy/haproxy.cfg || true")).toBe(
    flags === "" ? "0\n" : "1\n",
  );
  // As logrotate does it.
  await machine.sh(`mv ${FILE} ${FILE}.1`);
  await logged("/two", `cat ${FILE}`);
  await machine.sh(`${PROGRAM} install ${flags} --access-log common:journal`);
  const journal = await logged("/three", "journalctl -t docker-api-gateway-access -o cat");
  expect(journal).toMatch(/^\S+ - - \[.+\] "GET \/acme\/shop\/three HTTP\/1.1" 200 /m);
  // What was logged stays.
  await machine.sh(`${PROGRAM} uninstall ${flags === "" ? "--restore-haproxy" : ""}`);
  expect(await machine.sh(`cat ${FILE}.1`)).toContain("/acme/shop/one");
  await machine.sh(`rm -r ${FOLDER}`);
});

test.each([
  ["", "/nowhere/x.log", 'there is no folder "/nowhere"'],
  ["", "/root/x.log", "it may not write there"],
  ["--manage-haproxy", "/var/log/x.log", "its user docker-api-gateway may not write there"],
])("a place that a service cannot write is refused: %s %s", async (flags, path, problem) => {
  const refused = await machine.try(`${PROGRAM} install ${flags} --access-log json:${path}`);
  expect(refused.status).toBe(2);
  expect(refused.output).toStartWith(`Cannot install a service that logs to "${path}": ${problem}`);
});
