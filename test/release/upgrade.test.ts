// `docker-api-gateway upgrade`: the built program puts another release in its own place, or leaves all as it is.

import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  linkSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { haproxyProgram, haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { asUser, openDir, run, type Finished } from "./commands.ts";
import { buildVersion, KIND, releaseFiles, tinyProgram } from "./programs.ts";
import { startReleaseServer, type ReleaseServer } from "./server.ts";

const NAME = "docker-api-gateway";
const NOW = manifest.version;
const NEXT = "99.1.0";

let program: string;
let server: ReleaseServer;
/** The folder that the program is installed in. */
let dir: string;

beforeAll(async () => {
  program = await buildVersion(NOW);
});
beforeEach(async () => {
  server = await startReleaseServer();
  server.add("1.0.0", releaseFiles("1.0.0", tinyProgram("1.0.0")));
  server.add(NOW, releaseFiles(NOW, tinyProgram(NOW)));
  server.add(NEXT, releaseFiles(NEXT, tinyProgram(NEXT)));
  dir = openDir("bin");
  // A second name costs nothing; what replaces the program must not write into it.
  linkSync(program, join(dir, NAME));
});
afterEach(() => server.stop());

function upgrade(...words: readonly string[]): Promise<Finished> {
  return run([join(dir, NAME), "upgrade", ...words], { env: { GATEWAY_RELEASES: server.url } });
}

async function versionIn(name = NAME): Promise<string> {
  return (await run([join(dir, name), "--version"])).stdout.split(" ")[1] ?? "";
}

/** That it failed for a reason of the release, and that nothing is other than it was. */
async function expectUntouched({ status, stderr }: Finished, says: RegExp): Promise<void> {
  expect(stderr).toMatch(says);
  expect(status).toBe(14);
  expect(readdirSync(dir)).toEqual([NAME]);
  expect(await versionIn()).toBe(NOW);
}

describe("to a real program", () => {
  let next: string;
  beforeAll(async () => {
    next = await buildVersion(NEXT);
  });

  test("and back, and there again", async () => {
    server.add(NEXT, releaseFiles(NEXT, readFileSync(next)));
    const there = await upgrade();
    expect(there.stderr).toBe("");
    expect(there.status).toBe(0);
    expect(there.stdout).toContain(`${dir}/${NAME} is ${NEXT} now`);
    expect(readdirSync(dir).toSorted()).toEqual([NAME, `${NAME}.old`]);
    expect(await versionIn()).toBe(NEXT);
    expect(await versionIn(`${NAME}.old`)).toBe(NOW);
    expect(readFileSync(join(dir, NAME)).equals(readFileSync(next))).toBe(true);

    const back = await upgrade("--back");
    expect(back.stdout).toContain(`${dir}/${NAME} is ${NOW} again`);
    expect(back.status).toBe(0);
    expect(await versionIn()).toBe(NOW);
    expect(await versionIn(`${NAME}.old`)).toBe(NEXT);

    expect((await upgrade("--back")).status).toBe(0);
    expect(await versionIn()).toBe(NEXT);
    expect(readdirSync(dir).toSorted()).toEqual([NAME, `${NAME}.old`]);
  });
});

test("takes the release that is named, older ones too", async () => {
  const { status, stdout } = await upgrade("v1.0.0");
  expect({ status, version: await versionIn() }).toEqual({ status: 0, version: "1.0.0" });
  expect(stdout).toContain(`${NOW} is kept as ${dir}/${NAME}.old`);
  expect(server.asked).toEqual([
    "/releases/download/v1.0.0/SHA256SUMS",
    `/releases/download/v1.0.0/${NAME}-1.0.0-${KIND}.tar.gz`,
  ]);
});

test("keeps mode and owner", async () => {
  rmSync(join(dir, NAME));
  copyFileSync(program, join(dir, NAME));
  chmodSync(join(dir, NAME), 0o750);
  const before = statSync(join(dir, NAME));
  expect((await upgrade()).status).toBe(0);
  const { mode, uid, gid } = statSync(join(dir, NAME));
  expect({ mode, uid, gid }).toEqual({ mode: before.mode, uid: before.uid, gid: before.gid });
});

test("a gateway that runs goes on while its file is replaced", async () => {
  const words = [
    `--docker-host=unix://${dir}/none.sock`,
    `--output-file=${dir}/haproxy.cfg`,
    `--haproxy=${haproxyProgram(haproxyVersions()[0] ?? "2.6")}`,
    "--reload-cmd=true",
  ];
  const running = Bun.spawn([join(dir, NAME), ...words], {
    env: {},
    stdout: "ignore",
    stderr: "pipe",
  });
  let log = "";
  const reading = (async () => {
    for await (const bytes of running.stderr) log += new TextDecoder().decode(bytes);
  })();
  try {
    await eventually(() => expect(log).toContain("writing"));
    expect((await upgrade()).status).toBe(0);
    running.kill("SIGHUP");
    await eventually(() => expect(log).toContain("reading everything again"));
  } finally {
    running.kill("SIGTERM");
  }
  expect(await running.exited).toBe(0);
  await reading;
});

test("--check only tells: exit status 3 where there is a newer one", async () => {
  const newer = await upgrade("--check");
  expect(newer).toEqual({
    status: 3,
    stdout: `${NEXT} is available; this is ${NOW}\n`,
    stderr: "",
  });
  server.add(NOW, releaseFiles(NOW, tinyProgram(NOW)));
  const same = await upgrade("--check");
  expect(same).toEqual({ status: 0, stdout: `this is ${NOW} already\n`, stderr: "" });
  server.add("1.0.0", releaseFiles("1.0.0", tinyProgram("1.0.0")));
  const older = await upgrade("--check");
  expect(older).toEqual({ status: 0, stdout: `this is ${NOW}, and 1.0.0 is older\n`, stderr: "" });
  expect(server.asked.filter((path) => !path.endsWith("SHA256SUMS"))).toEqual([]);
  expect(readdirSync(dir)).toEqual([NAME]);
});

test("does nothing where it is the newest, or newer", async () => {
  for (const version of [NOW, "1.0.0"]) {
    server.add(version, releaseFiles(version, tinyProgram(version)));
    const { status, stdout } = await upgrade();
    expect(status).toBe(0);
    expect(stdout).toContain("nothing to do");
  }
  expect(readdirSync(dir)).toEqual([NAME]);
});

test("a release candidate is older than its release", async () => {
  server.add(`${NOW}-rc.1`, releaseFiles(`${NOW}-rc.1`, tinyProgram(`${NOW}-rc.1`)));
  expect((await upgrade("--check")).stdout).toContain("is older");
});

test.each([
  ["corrupted", ".tar.gz", "corrupt", /it is not what SHA256SUMS says\n {2}its SHA-256 is /],
  ["cut", ".tar.gz", "cut", /Cannot fetch ".*\.tar\.gz": the connection was cut/],
  ["missing", ".tar.gz", "missing", /Cannot fetch ".*\.tar\.gz": there is no such file/],
  ["without checksums", "SHA256SUMS", "missing", /Cannot fetch ".*SHA256SUMS": there is no such/],
  ["with cut checksums", "SHA256SUMS", "cut", /the connection was cut/],
] as const)("leaves everything where the release is %s", async (_name, ending, fault, says) => {
  server.fault(ending, fault);
  await expectUntouched(await upgrade(), says);
});

test("leaves everything where the new program does not run", async () => {
  server.add(NEXT, releaseFiles(NEXT, "#!/bin/sh\necho out of order >&2\nexit 1\n"));
  await expectUntouched(await upgrade(), /it does not say its version\n {2}out of order/);
});

test("leaves everything where the new program is another version than it should be", async () => {
  server.add(NEXT, releaseFiles(NEXT, tinyProgram("3.3.3")));
  await expectUntouched(await upgrade(), /Cannot use release 99\.1\.0: it says it is 3\.3\.3/);
});

test("leaves everything where the release has nothing for this kind of machine", async () => {
  server.add(NEXT, releaseFiles(NEXT, tinyProgram(NEXT), "plan9-mips"));
  await expectUntouched(
    await upgrade(),
    /it names no file with a program\n {2}hint: for this kind/,
  );
});

test("leaves everything where there is no server", async () => {
  await server.stop();
  await expectUntouched(await upgrade(), /nothing answers there/);
});

test("leaves everything where it is interrupted", async () => {
  server.fault(".tar.gz", "stall");
  const child = Bun.spawn([join(dir, NAME), "upgrade"], {
    env: { GATEWAY_RELEASES: server.url },
    stdout: "pipe",
    stderr: "pipe",
  });
  await eventually(() => expect(server.asked.length).toBe(2));
  child.kill("SIGINT");
  const stderr = await new Response(child.stderr).text();
  await expectUntouched({ status: await child.exited, stdout: "", stderr }, /it was interrupted/);
});

test("on a terminal it tells how far it is", async () => {
  const words = [
    "script",
    "--quiet",
    "--return",
    "--command",
    `${dir}/${NAME} upgrade`,
    "/dev/null",
  ];
  const { status, stdout } = await run(words, { env: { GATEWAY_RELEASES: server.url } });
  expect(status).toBe(0);
  expect(stdout).toContain("\r\u001B[Kfetching: 100 %\r\u001B[K");
});

test("says so at once where the user may not write there", async () => {
  const words = asUser([join(dir, NAME), "upgrade"]);
  const finished = await run(words, { env: { GATEWAY_RELEASES: server.url } });
  await expectUntouched(finished, new RegExp(`this user may not write to ${dir}\n {2}hint: sudo`));
  expect(server.asked).toEqual([]);
});

test("cannot go back where nothing was before", async () => {
  await expectUntouched(await upgrade("--back"), /there is no ".*\.old"/);
});

test("does not go back to what does not run", async () => {
  await Bun.write(join(dir, `${NAME}.old`), "rubbish");
  const { status, stderr } = await upgrade("--back");
  expect(status).toBe(14);
  expect(stderr).toContain("it does not say its version");
  expect(await versionIn()).toBe(NOW);
});

test.each([
  [["latest"], 'Cannot read version "latest"'],
  [["2.0"], 'Cannot read version "2.0"'],
  [["../2.0.0"], 'Cannot read version "../2.0.0"'],
  [["--back", "--check"], "--back takes nothing beside it"],
  [["--back", "2.0.0"], "--back takes nothing beside it"],
  [["--releases", "ftp://x"], '"ftp://x" is no URL'],
])("%p is refused", async (words, says) => {
  const { status, stderr } = await upgrade(...words);
  expect(status).toBe(2);
  expect(stderr).toContain(says);
  expect(server.asked).toEqual([]);
});
