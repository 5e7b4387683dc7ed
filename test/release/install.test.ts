// install.sh on a bare host: with each shell and loader that there is, and when things go wrong.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../lab/http.ts";
import { asUser, openDir, run, SYSTEM_PATH, toolbox, type Finished } from "./commands.ts";
import { BARE, NAME, runInstaller, SCRIPT, USUAL, versionIn, type Install } from "./installer.ts";
import { releaseFiles, tinyProgram } from "./programs.ts";
import { startReleaseServer, type ReleaseServer } from "./server.ts";

let server: ReleaseServer;
beforeAll(async () => {
  server = await startReleaseServer();
  server.add("2.0.0", releaseFiles("2.0.0", tinyProgram("2.0.0")));
  server.add("2.1.0", releaseFiles("2.1.0", tinyProgram("2.1.0")));
});
afterAll(() => server.stop());
beforeEach(() => {
  for (const ending of [".tar.gz", "SHA256SUMS"]) server.fault(ending, undefined);
});

/** Pipes the script into a shell, with the releases of this test's server. */
function install(dir: string, options: Install = {}): Promise<Finished> {
  return runInstaller(dir, server.url, options);
}

describe.each([
  ["dash", ["dash"]],
  ["busybox sh", ["busybox", "sh"]],
  ["bash as sh", ["bash", "--posix"]],
] as const)("with %s", (_, shell) => {
  test.each<[string, string[]]>([
    ["curl", ["curl", "sha256sum", "tar", "gzip"]],
    ["wget", ["wget", "sha256sum", "tar", "gzip"]],
    ["curl alone, with neither tar nor gzip", ["curl", "sha256sum"]],
    ["curl, with openssl for the checksum", ["curl", "openssl", "tar", "gzip"]],
    ["curl, with a perl for the checksum", ["curl", "shasum", "perl", "tar", "gzip"]],
  ])("installs the newest by %s", async (_name, tools) => {
    const dir = openDir("install");
    await installed(dir, toolbox([...BARE, "ldd", ...tools]));
  });

  test("installs the newest where busybox is all there is", async () => {
    const dir = openDir("install");
    await installed(dir, toolbox([], [...BARE, "wget", "sha256sum", "tar", "gzip"]));
  });

  async function installed(dir: string, path: string): Promise<void> {
    const { status, stdout, stderr } = await install(dir, { shell, path });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain(`installed ${dir}/${NAME}`);
    expect(readdirSync(dir)).toEqual([NAME]);
    expect(await versionIn(dir)).toBe(`${NAME} 2.1.0 (tiny)`);
  }

  // GNU's wget tries again after a second, so it is tried with one shell only.
  const loaders = shell[0] === "dash" ? ["curl", "wget"] : ["curl"];
  test.each([
    ["corrupted", ".tar.gz", "corrupt", /its SHA-256 is [0-9a-f]{64} and should be [0-9a-f]{64}/],
    ["cut", ".tar.gz", "cut", /Cannot (fetch|use) /],
    ["missing", ".tar.gz", "missing", /Cannot fetch http.*\.tar\.gz/],
    ["without its checksums", "SHA256SUMS", "missing", /Cannot fetch http.*SHA256SUMS/],
    ["with checksums that are cut", "SHA256SUMS", "cut", /Cannot (fetch|install)/],
  ] as const)("leaves what is there where it is %s", async (_name, ending, fault, says) => {
    const dir = openDir("install");
    writeFileSync(join(dir, NAME), tinyProgram("1.9.9"), { mode: 0o755 });
    server.fault(ending, fault);
    for (const loader of loaders) {
      const { status, stderr } = await install(dir, { shell, loader });
      expect(status).toBe(1);
      expect(stderr).toMatch(says);
      expect(readdirSync(dir)).toEqual([NAME]);
      expect(await versionIn(dir)).toBe(`${NAME} 1.9.9 (tiny)`);
    }
  });

  test("does nothing where the script itself is cut, wherever that is", async () => {
    const dir = openDir("install");
    const before = server.asked.length;
    // Every place in its last lines, and many before; only its last byte, a line's end, may lack.
    const whole = SCRIPT.trimEnd().length;
    const cuts = Array.from({ length: whole }, (_each, index) => index).filter(
      (index) => index % 61 === 0 || index > whole - 40,
    );
    for (const cut of cuts) await install(dir, { shell, script: SCRIPT.slice(0, cut) });
    expect(server.asked.slice(before)).toEqual([]);
    expect(readdirSync(dir)).toEqual([]);
  });
});

test("installs the version that is named, with or without a v", async () => {
  const dir = openDir("install");
  for (const word of ["2.0.0", "v2.0.0"]) {
    expect((await install(dir, { words: [word] })).status).toBe(0);
    expect(await versionIn(dir)).toBe(`${NAME} 2.0.0 (tiny)`);
  }
});

test("keeps the program that was there, and not the same one twice", async () => {
  const dir = openDir("install");
  await install(dir, { words: ["2.0.0"] });
  const { stdout } = await install(dir);
  expect(stdout).toContain(`kept as ${dir}/${NAME}.old`);
  await install(dir);
  expect(await versionIn(dir)).toBe(`${NAME} 2.1.0 (tiny)`);
  expect(await versionIn(dir, `${NAME}.old`)).toBe(`${NAME} 2.0.0 (tiny)`);
  expect(readdirSync(dir).toSorted()).toEqual([NAME, `${NAME}.old`]);
});

test("refuses a version that is none, before it asks the server", async () => {
  const dir = openDir("install");
  const before = server.asked.length;
  const { status, stderr } = await install(dir, { words: ["../../x"] });
  expect(status).toBe(1);
  expect(stderr).toContain('Cannot install version "../../x": it is no version');
  expect(server.asked.length).toBe(before);
});

test("says so where there is no such release", async () => {
  const dir = openDir("install");
  const { status, stderr } = await install(dir, { words: ["9.9.9"] });
  expect(status).toBe(1);
  expect(stderr).toContain(`Cannot fetch ${server.url}/download/v9.9.9/SHA256SUMS`);
  expect(readdirSync(dir)).toEqual([]);
});

test("refuses a program that does not say the version it should have", async () => {
  const dir = openDir("install");
  const liar = await startReleaseServer();
  try {
    liar.add("2.2.0", releaseFiles("2.2.0", tinyProgram("2.1.0")));
    const { status, stderr } = await runInstaller(dir, liar.url);
    expect(status).toBe(1);
    expect(stderr).toContain("Cannot run docker-api-gateway on this machine");
    expect(readdirSync(dir)).toEqual([]);
  } finally {
    await liar.stop();
  }
});

test("an ordinary user gets it in ~/.local/bin, which need not be there before", async () => {
  const home = openDir("home");
  chmodSync(home, 0o777);
  const { status, stdout, stderr } = await run(asUser(["sh", "-s"]), {
    input: SCRIPT,
    env: { GATEWAY_RELEASES: server.url, HOME: home },
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const dir = join(home, ".local/bin");
  expect(await versionIn(dir)).toBe(`${NAME} 2.1.0 (tiny)`);
  // It is not on PATH, so the next step is said in full.
  expect(stdout).toContain(`next: ${dir}/${NAME} doctor`);
});

test("an ordinary user's failed download leaves no folder behind", async () => {
  const home = openDir("home");
  chmodSync(home, 0o777);
  server.fault(".tar.gz", "corrupt");
  const { status } = await run(asUser(["sh", "-s"]), {
    input: SCRIPT,
    env: { GATEWAY_RELEASES: server.url, HOME: home },
  });
  expect(status).toBe(1);
  expect(readdirSync(home)).toEqual([]);
});

test("says what to do where the user may not write there", async () => {
  const dir = openDir("install");
  const { status, stderr } = await run(asUser(["sh", "-s"]), {
    input: SCRIPT,
    env: { GATEWAY_RELEASES: server.url, INSTALL_DIR: dir },
  });
  expect(status).toBe(1);
  expect(stderr).toContain(`Cannot install into ${dir}: you may not write to ${dir}`);
  expect(stderr).toContain("hint: run it as root, or set INSTALL_DIR");
});

test.each([
  ["a loader", ["curl"], "there is neither curl nor wget"],
  ["something that makes checksums", ["sha256sum"], "there is no sha256sum"],
])("says so where the host lacks %s", async (_name, missing, says) => {
  const dir = openDir("install");
  const path = toolbox(USUAL.filter((tool) => !missing.includes(tool)));
  const { status, stderr } = await install(dir, { path });
  expect(status).toBe(1);
  expect(stderr).toContain(says);
  expect(readdirSync(dir)).toEqual([]);
});

test("leaves nothing where it is interrupted", async () => {
  const dir = openDir("install");
  server.fault(".tar.gz", "stall");
  const before = server.asked.length;
  const child = Bun.spawn(["sh", "-s"], {
    stdin: Buffer.from(SCRIPT),
    stdout: "ignore",
    stderr: "ignore",
    env: { PATH: SYSTEM_PATH, GATEWAY_RELEASES: server.url, INSTALL_DIR: dir },
    // A group of its own, as a terminal's Ctrl-C reaches all that runs in it.
    detached: true,
  });
  await eventually(() => expect(server.asked.length).toBe(before + 2));
  process.kill(-child.pid, "SIGINT");
  expect(await child.exited).toBe(130);
  expect(readdirSync(dir)).toEqual([]);
});
