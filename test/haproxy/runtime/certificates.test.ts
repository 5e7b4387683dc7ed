// Certificates of a running HAProxy, changed step by step on every version.

import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listLines, shownLines } from "../../../src/config/crt-list.ts";
import {
  changeCertificates,
  type CertificateOperation,
} from "../../../src/haproxy/runtime/certificates.ts";
import { word } from "../../../src/haproxy/runtime/commands.ts";
import { askHaproxy } from "../../../src/haproxy/runtime/socket.ts";
import { GatewayError } from "../../../src/lib/errors.ts";
import { Authority } from "../../lab/authority.ts";
import { haproxyProgram, haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { freePort } from "../../lab/ports.ts";
import { requestTls } from "../../lab/tls-client.ts";

setDefaultTimeout(30_000);

let authority: Authority;

beforeAll(async () => {
  authority = await Authority.make();
});

describe.each(haproxyVersions())("certificates while HAProxy %s runs", (version) => {
  // A name that a command would end at, were it not escaped.
  let dir = "";
  let list = "";
  let port = 0;
  let haproxy: Bun.Subprocess;

  beforeEach(async () => {
    dir = join(labDir("crt"), "a;b");
    mkdirSync(dir);
    list = join(dir, "list");
    port = await freePort();
    await issue("default", ["default.org"]);
    await issue("a.1", ["a.org"]);
    writeFileSync(list, `${dir}/default.pem\n${dir}/a.1.pem a.org\n`);
    writeFileSync(join(dir, "keys"), `${keys().join("\n")}\n`);
    writeFileSync(
      join(dir, "cfg"),
      `global
    stats socket ${dir}/sock mode 600 level admin
    tune.bufsize 36864
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind 127.0.0.1:${port} ssl crt-list ${list} tls-ticket-keys ${dir}/keys
    http-request return status 200
`,
    );
    haproxy = Bun.spawn([haproxyProgram(version), "-db", "-f", join(dir, "cfg")], {
      stdout: "ignore",
      stderr: "ignore",
    });
    await eventually(() => ask("show info"));
  });

  afterEach(async () => {
    haproxy.kill();
    await haproxy.exited;
  });

  const ask = (line: string): Promise<string> => askHaproxy(join(dir, "sock"), line);
  const change = (operation: CertificateOperation): Promise<void> =>
    changeCertificates(ask, operation);
  const add = (line: string): Promise<void> => change({ do: "add certificate", list, line });
  const remove = (line: string): Promise<void> => change({ do: "remove certificate", list, line });

  async function issue(file: string, names: string[], more = ""): Promise<string> {
    const { both } = await authority.issue(names);
    writeFileSync(join(dir, `${file}.pem`), both + more);
    return both + more;
  }

  /** The names of the certificate that is shown to who asks for a name. */
  async function shown(name: string): Promise<string> {
    return (await requestTls({ port, name, ca: authority.root })).names.join(" ");
  }

  async function lines(): Promise<string[]> {
    const running = shownLines(await ask(`show ssl crt-list -n ${word(list)}`));
    return running.map(({ line }) => line.replaceAll(`${dir}/`, ""));
  }

  test("one comes, another one takes its place, and it goes", async () => {
    await issue("b.1", ["b.org", "www.b.org"]);
    await add(`${dir}/b.1.pem b.org`);
    expect([await shown("b.org"), await shown("www.b.org")]).toEqual([
      "b.org www.b.org",
      "default.org",
    ]);
    // The renewed one before the old one goes: there is one at all times.
    await issue("b.2", ["b.org", "www.b.org", "new.b.org"]);
    await add(`${dir}/b.2.pem b.org`);
    await remove(`${dir}/b.1.pem b.org`);
    expect(await shown("b.org")).toBe("b.org www.b.org new.b.org");
    expect(await ask("show ssl cert")).not.toContain("b.1.pem");
    await remove(`${dir}/b.2.pem b.org`);
    expect(await shown("b.org")).toBe("default.org");
    expect(await lines()).toEqual(["default.pem", "a.1.pem a.org"]);
    expect(await ask("show ssl cert")).not.toContain("b.2.pem");
  });

  test("other names for the same one", async () => {
    await add(`${dir}/a.1.pem a.org c.org`);
    await remove(`${dir}/a.1.pem a.org`);
    expect(await lines()).toEqual(["default.pem", "a.1.pem a.org c.org"]);
    expect([await shown("a.org"), await shown("c.org")]).toEqual(["a.org", "a.org"]);
  });

  test("the same one with options for some names", async () => {
    await add(`${dir}/a.1.pem [alpn http/1.1 ssl-min-ver TLSv1.3] d.org`);
    expect(await shown("d.org")).toBe("a.org");
    await remove(`${dir}/a.1.pem [alpn http/1.1 ssl-min-ver TLSv1.3] d.org`);
    expect(await lines()).toEqual(["default.pem", "a.1.pem a.org"]);
  });

  test("the first one is changed in place", async () => {
    const text = await issue("other", ["other.org"]);
    await change({ do: "set certificate", file: `${dir}/default.pem`, text });
    expect(await shown("unknown.org")).toBe("other.org");
  });

  test("what somebody has left half done, or has removed, is no hindrance", async () => {
    await issue("b", ["b.org"]);
    const half = await issue("half", ["half.org"]);
    await ask(`new ssl cert ${word(dir)}/half.pem`);
    await ask(`set ssl cert ${word(dir)}/half.pem <<\n${half}`);
    await add(`${dir}/b.pem b.org`);
    expect(await shown("b.org")).toBe("b.org");
    await ask(`del ssl crt-list ${word(list)} ${word(dir)}/b.pem`);
    await ask(`del ssl cert ${word(dir)}/b.pem`);
    await remove(`${dir}/b.pem b.org`);
    // It is known already.
    await ask(`new ssl cert ${word(dir)}/b.pem`);
    await ask(`set ssl cert ${word(dir)}/b.pem <<\n${await issue("b", ["b.org"])}`);
    await ask(`commit ssl cert ${word(dir)}/b.pem`);
    await add(`${dir}/b.pem b.org`);
    expect(await shown("b.org")).toBe("b.org");
  });

  test("what is of no use is refused, and leaves nothing behind", async () => {
    const known = await ask("show ssl cert");
    const refused = async (line: string): Promise<string> => {
      const error = await add(line).then(
        () => undefined,
        (problem: unknown) => problem,
      );
      if (error instanceof GatewayError) return error.message.replaceAll(dir, "DIR");
      throw new Error("it was not refused", { cause: error });
    };
    expect(await refused(`${dir}/none.pem x.org`)).toStartWith('Cannot read "DIR/none.pem": ');
    writeFileSync(join(dir, "bad.pem"), "bad\n");
    expect(await refused(`${dir}/bad.pem x.org`)).toStartWith("HAProxy refused to be changed: ");
    await issue("large", ["large.org"], (await authority.issue(["x"])).chain.repeat(20));
    expect(await refused(`${dir}/large.pem x.org`)).toBe(
      "A certificate of more than 15000 bytes takes a reload",
    );
    expect(await ask("show ssl cert")).toBe(known);
    expect(await lines()).toEqual(["default.pem", "a.1.pem a.org"]);
  });

  test("keys of tickets move up", async () => {
    const file = join(dir, "keys");
    const [key = ""] = keys();
    const before = await secrets(file);
    await change({ do: "turn ticket keys", file, key });
    expect(await secrets(file)).toEqual([...before.slice(1), key]);
  });

  async function secrets(file: string): Promise<string[]> {
    return listLines(await ask(`show tls-keys ${word(file)}`)).map(
      (line) => line.split(" ")[1] ?? "",
    );
  }
});

function keys(): string[] {
  return [1, 2, 3].map(() =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(80))).toString("base64"),
  );
}
