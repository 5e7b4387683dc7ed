// Proves that HAProxy itself accepts what the built-in templates make, and that its refusals are told.

import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, jest, setDefaultTimeout, test } from "bun:test";
import { namedFiles } from "../../lab/named-files.ts";
import { checkConfig, haproxyBuild } from "../../../src/haproxy/process/check.ts";
import { GatewayError } from "../../../src/lib/errors.ts";
import { haproxyProgram, haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { failure } from "../../lab/folder.ts";
import { Site, START_MS, type Service } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

/** Of every kind that the templates write differently. */
const SERVICES: readonly Service[] = [
  { image: "foo", address: "127.0.0.1", port: 8000 },
  { image: "foo", address: "127.0.0.2", port: 8000, state: "paused" },
  { image: "foo", address: "127.0.0.3", port: 8000, health: "starting" },
  { image: "reg.test:5000/foo/bar:1", address: "127.0.0.4" },
  { image: "foo/six", address: "fd00::1" },
  { image: "foo/none", address: "127.0.0.5", state: "restarting" },
  { image: "a/b/c/d/e/f/g/h/i/j/k/l", address: "127.0.0.6", port: 65535 },
  // Named like other things of a configuration.
  { image: "http", address: "127.0.0.8", port: 80 },
  { image: "backend", address: "127.0.0.9", port: 80 },
  { image: "x__y/z-1.2", address: "127.0.0.7", name: "odd name 'x' \"y\" $z {{a}} #%\\" },
];

describe.each(haproxyVersions())("check, HAProxy %s", (version) => {
  const program = haproxyProgram(version);
  let site: Site;

  beforeAll(async () => {
    site = await Site.make(version);
  });

  test("its version, and that it runs scripts", async () => {
    const build = await haproxyBuild(program);
    expect(build.version).toStartWith(`${version}.`);
    expect([build.lua, build.openssl]).toEqual([true, true]);
    expect(build.quic).toBe(!["2.6", "3.0"].includes(version));
  });

  const CASES = [undefined, "api.test"].flatMap((domain) =>
    [[], SERVICES].map((services): [string, string | undefined, readonly Service[]] => [
      `${domain === undefined ? "path" : "host"}, ${services.length} containers`,
      domain,
      services,
    ]),
  );

  test.each(CASES)("it has nothing to say about the template %s", async (_, domain, services) => {
    const at = await Site.make(version, domain === undefined ? {} : { domain });
    const { files } = at.render(services);
    const path = write(at, files.config, namedFiles(files));
    await checkConfig(program, path, path);
    const { stdout, stderr } = Bun.spawnSync([program, "-c", "-f", path]);
    expect(saidIn(`${stdout.toString()}${stderr.toString()}`)).toEqual([]);
  });

  test("nor without scripts", async () => {
    const { files } = site.render(SERVICES, { ...site.setup.settings.haproxy, lua: false });
    expect(files.config).not.toContain("lua");
    const path = write(site, files.config, namedFiles(files));
    const { stdout, stderr } = Bun.spawnSync([program, "-c", "-f", path]);
    expect(saidIn(`${stdout.toString()}${stderr.toString()}`)).toEqual([]);
  });

  test("nor as an ordinary user, without root's settings", async () => {
    const { settings } = site.setup;
    const plain = { ...settings.haproxy, user: "", group: "", chroot: "" };
    const { files } = site.render(SERVICES, plain);
    const { config } = files;
    expect(config).not.toMatch(/chroot|^ +user /m);
    const path = write(site, config, namedFiles(files));
    // May read what is root's alone, such as the cache of HAProxys, and nothing more.
    const caps = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"];
    const user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...caps];
    const { exitCode, stderr } = Bun.spawnSync([...user, program, "-c", "-f", path]);
    expect([exitCode, saidIn(stderr.toString())]).toEqual([0, []]);
  });

  test("a refusal: HAProxy's own lines, with the path that the user knows", async () => {
    const candidate = join(site.dir, ".haproxy.cfg.check");
    writeFileSync(
      candidate,
      "global\ndefaults\n    mode http\nfrontend f\n    bind :x\n    bogus\n",
    );
    const error = await failure(checkConfig(program, candidate, "/etc/haproxy/haproxy.cfg"));
    expect(error.code).toBe("config");
    expect(error.message).toBe(
      'Cannot use configuration "/etc/haproxy/haproxy.cfg": HAProxy refuses it',
    );
    const text = error.lines.join("\n");
    expect(text).toContain("parsing [/etc/haproxy/haproxy.cfg:5]");
    expect(text).toContain("parsing [/etc/haproxy/haproxy.cfg:6]");
    expect(text).toContain("bogus");
    expect(text).not.toContain(candidate);
    expect(text).not.toContain("[NOTICE]");
  });

  test("a refusal shows the lines that it is about, three at most", async () => {
    const candidate = join(site.dir, ".haproxy.cfg.check");
    const lines = ["global", "defaults", "    mode http", "frontend f", "    bind :1"];
    const wrong = ["    wrong a", "", "    wrong b", "    wrong c", "    wrong d", ""];
    writeFileSync(candidate, [...lines, ...wrong].join("\n"));
    const error = await failure(checkConfig(program, candidate, "/etc/x.cfg"));
    const text = error.lines.map((line) => line.replace(/^.*(\[\/etc\/x.cfg:\d+\]).*$/, "$1"));
    expect(text.slice(0, 19)).toEqual([
      "[/etc/x.cfg:6]",
      "  4 | frontend f",
      "  5 |     bind :1",
      "> 6 |     wrong a",
      "  7 | ",
      "  8 |     wrong b",
      "[/etc/x.cfg:8]",
      "   6 |     wrong a",
      "   7 | ",
      ">  8 |     wrong b",
      "   9 |     wrong c",
      "  10 |     wrong d",
      "[/etc/x.cfg:9]",
      "   7 | ",
      "   8 |     wrong b",
      ">  9 |     wrong c",
      "  10 |     wrong d",
      "  11 | ",
      "[/etc/x.cfg:10]",
    ]);
    expect(text.filter((line) => line.startsWith(">"))).toHaveLength(3);
  });

  test("a refusal shows the text that is meant, not the candidate's", async () => {
    const candidate = join(site.dir, ".haproxy.cfg.check");
    writeFileSync(candidate, "global\n    wrong .haproxy.routes.map.new\n");
    const meant = "global\n    wrong haproxy.routes.map\n";
    const error = await failure(checkConfig(program, candidate, "/etc/x.cfg", meant));
    expect(error.lines).toContain("> 2 |     wrong haproxy.routes.map");
    expect(error.lines.join("\n")).toContain("  1 | global\n> 2 |");
  });

  test("a line of no number that the text has is shown by its number only", async () => {
    const candidate = join(site.dir, ".haproxy.cfg.check");
    writeFileSync(candidate, "global\n    wrong\n");
    const error = await failure(checkConfig(program, candidate, "/etc/x.cfg", "global"));
    expect(error.lines.join("\n")).toContain("[/etc/x.cfg:2]");
    expect(error.lines.join("\n")).not.toContain(" | ");
  });

  test("a configuration that is empty, or is not there", async () => {
    const path = join(site.dir, "empty.cfg");
    writeFileSync(path, "");
    expect(await failure(checkConfig(program, path, path))).toMatchObject({
      code: "config",
      message: `Cannot use configuration "${path}": HAProxy refuses it: it listens nowhere`,
    });
    const gone = join(site.dir, "gone.cfg");
    const error = await failure(checkConfig(program, gone, "/etc/haproxy/haproxy.cfg"));
    expect(error.code).toBe("config");
    expect(error.lines.join("\n")).toContain("/etc/haproxy/haproxy.cfg");
  });
});

describe("a program that is no HAProxy", () => {
  const dir = labDir("check");

  function script(name: string, text: string): string {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test("is not there: its name, and what to do", async () => {
    const error = await failure(haproxyBuild("/no/such/haproxy"));
    expect(error.code).toBe("haproxy");
    expect(error.message).toBe('Cannot find HAProxy "/no/such/haproxy"');
    expect(error.hint).toContain("apt install haproxy");
    expect(error.cause).toBeInstanceOf(GatewayError);
  });

  test("is built without Lua and OpenSSL: that is known", async () => {
    const said = "echo HAProxy version 3.4.7; echo Feature list : -LUA -OPENSSL +OPENSSL_X -QUIC";
    const build = await haproxyBuild(script("bare", said));
    expect(build).toEqual({ version: "3.4.7", lua: false, openssl: false, quic: false });
  });

  test("prints something else: what it printed", async () => {
    const error = await failure(haproxyBuild(script("other", "echo I am nginx")));
    expect(error.message).toContain("Cannot read the version");
    expect(error.lines).toEqual(["I am nginx"]);
  });

  test("vanishes before the check: its name", async () => {
    const error = await failure(checkConfig("/no/such/haproxy", "/x", "/x"));
    expect(error.message).toBe('Cannot run "/no/such/haproxy": there is no such program');
  });

  test("hangs in the check: an error after a while, and it is ended", async () => {
    const started = join(dir, "started");
    const program = script(
      "hang",
      `echo $$ >${started}.new; mv ${started}.new ${started}; sleep 600`,
    );
    jest.useFakeTimers();
    try {
      const waiting = failure(checkConfig(program, "/x", "/etc/haproxy/haproxy.cfg"));
      // The clock that stands still is the gateway's, so the test must not sleep by it either.
      while (!existsSync(started)) await new Promise((resolve) => void setImmediate(resolve));
      jest.advanceTimersByTime(30_000);
      expect((await waiting).message).toBe(
        'Cannot check configuration "/etc/haproxy/haproxy.cfg": HAProxy gave no answer in 30 s',
      );
    } finally {
      jest.useRealTimers();
    }
    const pid = readFileSync(started, "utf8").trim();
    await eventually(() => expect(existsSync(`/proc/${pid}`)).toBe(false));
  });
});

function write(at: Site, config: string, maps: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(maps)) {
    writeFileSync(join(at.dir, basename(path)), text);
  }
  const path = join(at.dir, "haproxy.cfg");
  writeFileSync(path, config);
  return path;
}

/** What HAProxy complains of; it has no server states before the gateway's first change. */
function saidIn(printed: string): string[] {
  const said = printed.split("\n").filter((line) => /WARNING|ALERT/.test(line));
  return said.filter((line) => !line.includes("server state file"));
}
