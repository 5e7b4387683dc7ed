// What nobody expects of certificates: somebody changes those of a running HAProxy, one is too large for a command,
// or none can be kept. What is served goes on.

import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startApp, type App } from "../lab/app.ts";
import { Authority, place } from "../lab/authority.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { ask } from "./running-haproxy.ts";
import { Stage, type Part } from "./stage.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())("certificates, HAProxy %s", (version) => {
  let stage: Stage;
  let app: App;
  let part: Part;
  let gateway: Gateway;
  let authority: Authority;
  let certs = "";
  let port = 0;

  beforeEach(async () => {
    stage = new Stage();
    app = await startApp();
    part = { image: "shop", ip: app.address, port: app.port };
    authority = await Authority.make();
    certs = labDir("certs");
    port = await freePort();
    await put("shop.pem", ["shop.org"]);
    gateway = await startGateway({
      version,
      dockerHost: stage.dockerHost,
      flags: [`--certs=${certs}`, `--listen-https=127.0.0.1:${port}`],
    });
    await gateway.until(async () => expect(await shown("shop.org")).toBe("shop.org"));
    await gateway.logged(/^reload: there is no configuration/);
  });

  afterEach(async () => {
    closeGateways();
    await stage.stop();
    await app.stop();
  });

  async function put(file: string, names: string[]): Promise<void> {
    place(join(certs, file), (await authority.issue(names)).both);
  }

  /** The name of the certificate that is shown to who asks for a name. */
  async function shown(name: string): Promise<string> {
    return (await requestTls({ port, name, ca: authority.root })).names.join(" ");
  }

  const list = (): string => join(gateway.dir, "haproxy.https.crt-list");

  /** A line of the running list, with the folder left out. */
  async function lineOf(name: string): Promise<string> {
    const lines = (await ask(gateway, `show ssl crt-list ${list()}`)).split("\n");
    return lines.find((line) => line.endsWith(` ${name}`)) ?? "";
  }

  test("one that somebody removes comes back, and a line that somebody adds goes", async () => {
    const [file = ""] = (await lineOf("shop.org")).split(" ");
    expect(await ask(gateway, `del ssl crt-list ${list()} ${file}`)).toContain("deleted");
    expect(await shown("shop.org")).toBe("no-certificate.invalid");
    gateway.signal("SIGHUP");
    await gateway.until(async () => expect(await shown("shop.org")).toBe("shop.org"));
    await gateway.logged(/^reload: .*HAProxy has other certificates in .*haproxy\.https\.crt-list/);

    const added = `add ssl crt-list ${list()} <<\n${file} strange.org\n`;
    expect(await ask(gateway, added)).toContain("Success!");
    expect(await shown("strange.org")).toBe("shop.org");
    gateway.signal("SIGHUP");
    await gateway.until(async () => {
      expect(await shown("strange.org")).toBe("no-certificate.invalid");
    });
    expect(await shown("shop.org")).toBe("shop.org");
  });

  test("one that is too large for a command takes a reload, which says so", async () => {
    const names = Array.from(
      { length: 400 },
      (_, index) => `a-host-of-many-with-a-long-name-${index}.org`,
    );
    await put("large.pem", names);
    const last = names.at(-1) ?? "";
    await gateway.until(async () => expect(await shown(last)).toBe(names.join(" ")));
    await gateway.logged(/^reload: .*A certificate of more than 15000 bytes takes a reload/);
    expect(await shown("shop.org")).toBe("shop.org");
  });

  test("where none can be kept, containers are served on, and what was to be kept follows", async () => {
    const store = join(gateway.dir, "haproxy.certificates");
    renameSync(store, `${store}.away`);
    // Nobody can make a file in a file.
    writeFileSync(store, "");
    await put("new.pem", ["new.org"]);
    await gateway.logged(
      `certificates cannot be kept in ${store}, so those before them are used on`,
    );
    stage.start("shop", part);
    await gateway.until(async () => expect((await gateway.get("/shop/")).status).toBe(200));
    expect([await shown("shop.org"), await shown("new.org")]).toEqual([
      "shop.org",
      "no-certificate.invalid",
    ]);
    rmSync(store);
    await gateway.until(async () => expect(await shown("new.org")).toBe("new.org"));
    expect(await shown("shop.org")).toBe("shop.org");
  });
});
