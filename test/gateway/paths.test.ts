// Where everything is: for the HAProxy of the distribution, and for one of the gateway's own.

import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePaths, type Paths } from "../../src/gateway/paths.ts";
import { makePrivate, type Host } from "../../src/gateway/host.ts";
import { parseOptions, type RawOptions } from "../../src/cli/options.ts";
import { labDir } from "../lab/leftovers.ts";
import { failureOf } from "../lab/make.ts";

/** A Debian with its HAProxy. */
const DEBIAN: Host = {
  uid: 0,
  systemd: true,
  hasMasterSocket: true,
  hasRunHaproxy: true,
  hasHaproxyUser: true,
  hasSyslog: true,
  runtimeDir: "/run/user/0",
  runtimeDirIsShared: false,
};

/** A bare machine, used by an ordinary user. */
const USER: Host = {
  uid: 1000,
  systemd: false,
  hasMasterSocket: false,
  hasRunHaproxy: false,
  hasHaproxyUser: true,
  hasSyslog: true,
  runtimeDir: "/run/user/1000",
  runtimeDirIsShared: false,
};

function choose(raw: RawOptions, machine: Host): Paths {
  return choosePaths(parseOptions(raw).haproxy, machine);
}

const SYSLOG = ["/dev/log local0", "/dev/log local1 notice"];
const CONFINED = { user: "haproxy", group: "haproxy", chroot: "/var/lib/haproxy" };
const FREE = { user: "", group: "", chroot: "" };

test("Debian's HAProxy", () => {
  expect(choose({}, DEBIAN)).toEqual({
    managed: false,
    output: "/etc/haproxy/haproxy.cfg",
    privateFolders: [],
    masterSocket: "/run/haproxy-master.sock",
    apiSocket: "/run/haproxy/haproxy.gateway.sock",
    haproxy: {
      ...CONFINED,
      statsSocket: "/run/haproxy/admin.sock",
      stateFile: "/run/haproxy/haproxy.state",
      log: SYSLOG,
    },
  });
});

test("a HAProxy of its own, as root", () => {
  expect(choose({ "manage-haproxy": true }, DEBIAN)).toEqual({
    managed: true,
    output: "/run/docker-api-gateway/haproxy.cfg",
    privateFolders: [],
    masterSocket: "/run/docker-api-gateway/haproxy.master.sock",
    apiSocket: "/run/docker-api-gateway/haproxy.gateway.sock",
    haproxy: {
      ...CONFINED,
      statsSocket: "/run/docker-api-gateway/haproxy.admin.sock",
      stateFile: "/run/docker-api-gateway/haproxy.state",
      log: [],
    },
  });
});

test("a HAProxy of its own, as an ordinary user", () => {
  expect(choose({}, USER)).toEqual({
    managed: true,
    output: "/run/user/1000/docker-api-gateway/haproxy.cfg",
    privateFolders: [],
    masterSocket: "/run/user/1000/docker-api-gateway/haproxy.master.sock",
    apiSocket: "/run/user/1000/docker-api-gateway/haproxy.gateway.sock",
    haproxy: {
      ...FREE,
      statsSocket: "/run/user/1000/docker-api-gateway/haproxy.admin.sock",
      stateFile: "/run/user/1000/docker-api-gateway/haproxy.state",
      log: [],
    },
  });
});

describe("who runs HAProxy", () => {
  test.each<[string, RawOptions, Partial<Host>, boolean]>([
    ["systemd", {}, { systemd: true }, false],
    ["nobody", {}, {}, true],
    ["whoever owns the master socket", {}, { hasMasterSocket: true }, false],
    ["whoever the reload command is for", { "reload-cmd": "x" }, {}, false],
    ["the gateway, as told", { "manage-haproxy": true }, { systemd: true }, true],
    ["not the gateway, as told", { "manage-haproxy": false }, {}, false],
  ])("%s", (_, raw, rest, managed) => {
    expect(choose(raw, { ...USER, ...rest }).managed).toBe(managed);
  });
});

describe("the output file decides the places beside it", () => {
  test.each<[string, RawOptions, Host, Partial<Paths["haproxy"]>]>([
    [
      "elsewhere than Debian's",
      { "output-file": "/srv/lb/main.cfg" },
      DEBIAN,
      { statsSocket: "/srv/lb/main.admin.sock", stateFile: "/srv/lb/main.state", log: SYSLOG },
    ],
    [
      "in Debian's place, under another name",
      { "output-file": "/etc/haproxy/docker.cfg" },
      DEBIAN,
      { statsSocket: "/run/haproxy/admin.sock", stateFile: "/run/haproxy/docker.state" },
    ],
    [
      "in Debian's place, which is not Debian's",
      {},
      { ...DEBIAN, hasRunHaproxy: false },
      { statsSocket: "/etc/haproxy/haproxy.admin.sock", stateFile: "/etc/haproxy/haproxy.state" },
    ],
    [
      "managed, in a place that was named",
      { "output-file": "/srv/lb/main", "manage-haproxy": true },
      DEBIAN,
      { statsSocket: "/srv/lb/main.admin.sock", stateFile: "/srv/lb/main.state", log: [] },
    ],
    ["no syslog", {}, { ...DEBIAN, hasSyslog: false }, { log: [] }],
    ["no user haproxy", {}, { ...DEBIAN, hasHaproxyUser: false }, FREE],
    ["somebody else's HAProxy starts as root", {}, { ...DEBIAN, uid: 1000 }, CONFINED],
    ["one's own does not", { "manage-haproxy": true }, { ...DEBIAN, uid: 1000 }, FREE],
  ])("%s", (_, raw, machine, expected) => {
    expect(choose(raw, machine).haproxy).toMatchObject(expected);
  });

  test("a relative one is taken from where the gateway is run", () => {
    expect(choose({ "output-file": "x.cfg" }, DEBIAN).output).toBe(`${process.cwd()}/x.cfg`);
  });

  test("the master socket is the named one, managed or not", () => {
    const raw = { "master-socket": "/run/m.sock" };
    expect(choose(raw, DEBIAN).masterSocket).toBe("/run/m.sock");
    expect(choose({ ...raw, "manage-haproxy": true }, DEBIAN).masterSocket).toBe("/run/m.sock");
  });
});

describe("folders that others could make first", () => {
  const runtimeDir = "/tmp/docker-api-gateway-1000";

  test.each<[string, RawOptions, Partial<Host>, readonly string[]]>([
    ["are those below /tmp", {}, {}, [runtimeDir, `${runtimeDir}/docker-api-gateway`]],
    ["are not those in the user's own place", {}, { runtimeDirIsShared: false }, []],
    ["are not root's, which are in /run", { "manage-haproxy": true }, { uid: 0 }, []],
    ["are not those that the user named", { "output-file": "/tmp/x/haproxy.cfg" }, {}, []],
    ["are none where HAProxy is somebody else's", { "manage-haproxy": false }, {}, []],
  ])("%s", (_, raw, rest, expected) => {
    const machine = { ...USER, runtimeDir, runtimeDirIsShared: true, ...rest };
    expect(choose(raw, machine).privateFolders).toEqual(expected);
  });
});

function place(): string {
  return join(labDir("paths"), "own");
}

function make(mode: number, uid: number) {
  return (path: string): void => {
    mkdirSync(path);
    chmodSync(path, mode);
    chownSync(path, uid, uid);
  };
}

describe("a folder of the gateway's own", () => {
  const hint = "set XDG_RUNTIME_DIR to a folder of this user's own, or name another --output-file";
  const owner = process.getuid?.() ?? 0;

  test("is made for nobody else, and used again", () => {
    const path = place();
    makePrivate(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    makePrivate(path);
    chmodSync(path, 0o755);
    makePrivate(path);
  });

  test.each<[string, (path: string) => void, string]>([
    [
      "another user's",
      make(0o700, owner + 1),
      `it belongs to user ${owner + 1}, not to user ${owner}`,
    ],
    ["everybody's", make(0o1777, owner), "others may write there (mode 1777)"],
    ["a group's", make(0o770, owner), "others may write there (mode 770)"],
    ["a link", (path) => symlinkSync(tmpdir(), path), "it is a symbolic link"],
    ["a link to nothing", (path) => symlinkSync("/no/where", path), "it is a symbolic link"],
    ["a file", (path) => writeFileSync(path, ""), "it is not a folder"],
  ])("is not taken where it is %s", (_, prepare, problem) => {
    const path = place();
    prepare(path);
    const { message, hint: advice } = failureOf("config", () => makePrivate(path));
    expect(message).toBe(`Cannot use folder "${path}": ${problem}`);
    expect(advice).toBe(hint);
  });
});

test.each<[RawOptions, string]>([
  [{ "output-file": "/with blank/x.cfg" }, "/with blank/x.cfg"],
  [{ "output-file": "/a'b.cfg" }, "/a'b.cfg"],
  [{ "output-file": "/a\nb.cfg" }, "/a\nb.cfg"],
  [{ "output-file": "/ü.cfg" }, "/ü.cfg"],
  [{ "master-socket": "m.sock" }, "m.sock"],
  [{ "master-socket": "ipv4@127.0.0.1:99" }, "ipv4@127.0.0.1:99"],
])("%j is refused", (raw, path) => {
  const { message } = failureOf("usage", () => choose(raw, DEBIAN));
  expect(message).toBe(
    `Cannot use path "${path}": it must start with / and have only letters, digits and _./@+-`,
  );
});

test("a socket's path that HAProxy could not bind is refused", () => {
  const folder = `/${"a".repeat(70)}`;
  expect(choose({ "output-file": `${folder}/x.cfg` }, DEBIAN).managed).toBe(false);
  const { message, hint } = failureOf("usage", () =>
    choose({ "output-file": `${folder}${"b".repeat(10)}/x.cfg` }, DEBIAN),
  );
  expect(message).toBe(
    `Cannot use socket "${folder}${"b".repeat(10)}/x.admin.sock": its path is longer than 90 characters`,
  );
  expect(hint).toBe("choose a shorter --output-file");
});
