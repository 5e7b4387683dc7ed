// The files of a release: made twice with the same bytes, whole, and running on each kind of machine.

import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { pages } from "../../.ci/release/documents.ts";
import { productionPackages } from "../../.ci/release/packages.ts";
import { openDir, programPath, run, type Finished } from "./commands.ts";
import { SCRIPT } from "./installer.ts";
import { makeRelease, TIME } from "./made.ts";
import { makeMuslRoot, type MuslRoot } from "./musl.ts";
import { releaseFiles, tinyProgram } from "./programs.ts";
import { startReleaseServer } from "./server.ts";

const { version } = manifest;
const KINDS = ["linux-x64", "linux-arm64", "linux-x64-musl", "linux-arm64-musl"];
const NAME = "docker-api-gateway";
const BASE = `${NAME}-${version}`;
const PAGES = pages(join(import.meta.dir, "../.."));
/** Making two releases takes half a minute on an idle machine, and npm may have to fetch. */
const MAKE_MS = 600_000;

/** An emulated start takes two seconds on an idle machine. */
setDefaultTimeout(180_000);

let checkouts: readonly string[];
/** The folder with the files of the first. */
let dir: string;
beforeAll(async () => {
  checkouts = await Promise.all([
    makeRelease("a", { TZ: "UTC", LC_ALL: "C" }),
    makeRelease("another/place", { TZ: "Asia/Tokyo", LC_ALL: "C.UTF-8" }),
  ]);
  dir = join(checkouts[0] ?? "", "dist/release");
}, MAKE_MS);

test("made twice from two directories, the same bytes", () => {
  const [one, other] = checkouts.map((checkout) =>
    readFileSync(join(checkout, "dist/release/SHA256SUMS"), "utf8"),
  );
  expect(one).toBe(other ?? "");
});

test("has the files that it should, with their checksums", async () => {
  const files = [
    ...KINDS.flatMap((kind) => [`${BASE}-${kind}`, `${BASE}-${kind}.tar.gz`]),
    `${BASE}.cdx.json`,
    "install.sh",
  ].toSorted();
  expect(readdirSync(dir).toSorted()).toEqual(["SHA256SUMS", ...files]);
  const sums = readFileSync(join(dir, "SHA256SUMS"), "utf8").trimEnd().split("\n");
  expect(sums.map((line) => line.slice(66))).toEqual(files);
  expect(
    await run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], { cwd: dir }),
  ).toEqual({
    status: 0,
    stdout: "",
    stderr: "",
  });
  expect(readFileSync(join(dir, "install.sh"), "utf8")).toBe(SCRIPT);
});

test.each(KINDS)("the archive for %s has the program and what belongs to it", async (kind) => {
  const archive = join(dir, `${BASE}-${kind}.tar.gz`);
  // GNU's tar, which is none of the release's own making.
  const words = ["tar", "--utc", "--full-time", "-tvzf", archive];
  const listed = await run(words, { env: { LC_ALL: "C" } });
  expect(listed).toMatchObject({ status: 0, stderr: "" });
  const rows = listed.stdout
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/));
  expect(rows.map(([mode, owner, , day, time, path]) => [mode, owner, day, time, path])).toEqual(
    [
      NAME,
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "THIRD-PARTY-LICENSES",
      ...[`_${NAME}`, `${NAME}.bash`, `${NAME}.fish`].map((name) => `completions/${name}`),
      ...PAGES,
      `man/${NAME}.8`,
    ].map((path) => [
      path === NAME ? "-rwxr-xr-x" : "-rw-r--r--",
      "root/root",
      ...new Date(TIME * 1000).toISOString().split(/[T.]/).slice(0, 2),
      `${BASE}-${kind}/${path}`,
    ]),
  );
  const folder = `${BASE}-${kind}`;
  const script = 'tar -xzOf "$0" "$1" | sha256sum';
  const unpacked = await run(["sh", "-c", script, archive, `${folder}/${NAME}`]);
  expect(readFileSync(join(dir, "SHA256SUMS"), "utf8")).toContain(
    unpacked.stdout.replace("-\n", `${folder}\n`),
  );
});

test("with the program come its documents, its licences, and what shells and man want", async () => {
  const into = openDir("archive");
  const archive = join(dir, `${BASE}-linux-x64.tar.gz`);
  const words = ["tar", "-xzf", archive, "-C", into, "--strip-components=1", `--exclude=*/${NAME}`];
  expect((await run(words)).status).toBe(0);
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md", ...PAGES]) {
    const own = readFileSync(join(checkouts[0] ?? "", name), "utf8");
    expect(readFileSync(join(into, name), "utf8")).toBe(own);
  }
  expect(PAGES).toContain("docs/labels.md");
  const licences = readFileSync(join(into, "THIRD-PARTY-LICENSES"), "utf8");
  for (const { name } of productionPackages(checkouts[0] ?? "")) expect(licences).toContain(name);
  expect(licences).toContain("JavaScriptCore");
  expect(readFileSync(join(into, "completions", `${NAME}.bash`), "utf8")).toContain("complete ");
  expect(readFileSync(join(into, "man", `${NAME}.8`), "utf8")).toContain(".SH");
});

test("the bill of materials names every package that is in it, and Bun", () => {
  const bom: unknown = JSON.parse(readFileSync(join(dir, `${BASE}.cdx.json`), "utf8"));
  const bun = manifest.devDependencies.bun;
  const names = [
    ...productionPackages(checkouts[0] ?? "").map((each) => `${each.name}@${each.version}`),
    ...["x64-baseline", "aarch64", "x64-musl-baseline", "aarch64-musl"].map(
      (kind) => `@oven/bun-linux-${kind}@${bun}`,
    ),
  ];
  expect(bom).toMatchObject({
    bomFormat: "CycloneDX",
    metadata: {
      timestamp: new Date(TIME * 1000).toISOString(),
      component: { type: "application", name: NAME, version },
    },
    components: names.map((ref) => ({ "bom-ref": ref })),
  });
});

/** What every program of the release must say, whatever it runs on. */
async function expectRuns(
  runIt: (...words: readonly string[]) => Promise<Finished>,
): Promise<void> {
  const template = readFileSync(join(import.meta.dir, "../../templates/path.hbs"), "utf8");
  const said = await runIt("--version");
  expect(said.stderr).toBe("");
  expect(said.stdout).toBe(`${NAME} ${version} (unknown commit)\n`);
  expect((await runIt("--help")).stdout).toContain("Keep HAProxy in step with the containers");
  expect((await runIt("template", "path")).stdout).toBe(template);
}

test("the README's one line puts the program for this machine in place", async () => {
  const server = await startReleaseServer();
  try {
    const names = ["install.sh", `${BASE}-linux-x64.tar.gz`];
    const files = names.map(
      async (name) => [name, await Bun.file(join(dir, name)).bytes()] as const,
    );
    server.add(version, Object.fromEntries(await Promise.all(files)));
    const into = openDir("bin");
    const line = `curl -fsSL ${server.url}/latest/download/install.sh | sh`;
    const env = { GATEWAY_RELEASES: server.url, INSTALL_DIR: into };
    expect(await run(["sh", "-c", line], { env })).toMatchObject({ status: 0, stderr: "" });
    await expectRuns((...words) => run([join(into, NAME), ...words]));
  } finally {
    await server.stop();
  }
});

test.each([
  ["linux-x64", "X86-64", "/lib64/ld-linux-x86-64.so.2"],
  ["linux-arm64", "AArch64", "/lib/ld-linux-aarch64.so.1"],
  ["linux-x64-musl", "X86-64", "/lib/ld-musl-x86_64.so.1"],
  ["linux-arm64-musl", "AArch64", "/lib/ld-musl-aarch64.so.1"],
])("the program for %s is for %s and started by %s", async (kind, machine, loader) => {
  const words = ["readelf", "--wide", "--file-header", "--program-headers"];
  const { stdout } = await run([...words, join(dir, `${BASE}-${kind}`)]);
  expect(stdout).toMatch(new RegExp(`^ +Machine: .*${machine}$`, "m"));
  expect(stdout).toContain(`program interpreter: ${loader}]`);
  // What it asks for when it is upgraded.
  const program = await Bun.file(join(dir, `${BASE}-${kind}`)).bytes();
  expect(Buffer.from(program).includes(`kind: "${kind}"`)).toBe(true);
});

test("the program for x64 runs here", async () => {
  await expectRuns((...words) => run([join(dir, `${BASE}-linux-x64`), ...words]));
});

test("the program for arm64 runs on an emulated one", async () => {
  const emulator = [programPath("qemu-aarch64-static"), "-L", "/usr/aarch64-linux-gnu"];
  await expectRuns((...words) => run([...emulator, join(dir, `${BASE}-linux-arm64`), ...words]));
});

describe("on musl", () => {
  const applets = "chmod cp dirname env head id ln mkdir mktemp mv rm sed sh tar uname wget";
  let root: MuslRoot;
  beforeAll(() => {
    root = makeMuslRoot([...applets.split(" "), "gzip", "sha256sum"]);
  });

  test("install.sh installs its program, once libstdc++ is there, and that upgrades itself", async () => {
    const server = await startReleaseServer();
    try {
      const archive = `${BASE}-linux-x64-musl.tar.gz`;
      server.add(version, { [archive]: await Bun.file(join(dir, archive)).bytes() });
      const install = ["env", `GATEWAY_RELEASES=${server.url}`, "sh", "-s"];
      const without = await root.run(install, { input: SCRIPT });
      expect(without.stderr).toContain("it needs libstdc++\n  hint: apk add libstdc++");
      expect(readdirSync(join(root.dir, "usr/local/bin"))).toEqual([]);

      await root.addLibrary(join(dir, `${BASE}-linux-x64-musl`));
      const installed = await root.run(install, { input: SCRIPT });
      expect(installed).toMatchObject({ status: 0, stderr: "" });
      const program = `/usr/local/bin/${NAME}`;
      await expectRuns((...words) => root.run([program, ...words]));

      server.add("99.0.0", releaseFiles("99.0.0", tinyProgram("99.0.0"), "linux-x64-musl"));
      const upgraded = await root.run([program, "upgrade", `--releases=${server.url}`]);
      expect(upgraded).toMatchObject({ status: 0, stderr: "" });
      expect((await root.run([program, "--version"])).stdout).toContain("99.0.0");
    } finally {
      await server.stop();
    }
  });
});
