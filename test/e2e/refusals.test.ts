// Templates, disks and files that fail: what is served goes on, and what comes next is applied.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, testFlavour, type Engine } from "../lab/engine.ts";
import { haproxyProgram, haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { asUser, closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  for (const name of ["old:1", "new:1", "newer:1"]) {
    await importImage(engine, name, { expose: [8000] });
  }
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

/** The built-in template with this at its end, in a file of its own. */
async function templateFile(dir: string, end: string): Promise<string> {
  const { stdout } = await runToEnd(["template", "path"]);
  const file = join(dir, "own.hbs");
  writeFileSync(file, `${stdout}\n${end}\n`);
  return file;
}

describe.each(haproxyVersions())(`a configuration that HAProxy %s refuses`, (version) => {
  test("stays away until it is mended", async () => {
    const dir = gatewayDir();
    const file = await templateFile(
      dir,
      `{{#each backends}}{{#each servers}}{{#if (label this "line")}}
userlist extra
    {{{label this "line"}}}
{{/if}}{{/each}}{{/each}}`,
    );
    const gateway = await startGateway({
      version,
      dir,
      dockerHost: engine.dockerHost,
      flags: ["--template-file", file],
    });
    const old = await run(engine, "old:1");
    await gateway.served("/old/", old.name);
    const worker = await gateway.haproxy();

    const wrong = await run(engine, "new:1", { labels: { line: "nonsense here" } });
    const refused = await gateway.logged(/HAProxy refuses it/);
    expect(refused.level).toBe("error");
    expect(refused.message).toContain(gateway.output);
    expect(refused.details?.join("\n")).toMatch(/unknown keyword 'nonsense'/);
    expect(refused.details?.join("\n")).toContain(`[${gateway.output}:`);
    expect(refused.details?.join("\n")).toMatch(/\d+ \| userlist extra\n> \d+ \| +nonsense here\n/);
    await gateway.served("/old/", old.name);
    expect((await gateway.get("/new/")).status).toBe(403);
    expect(gateway.config()).not.toContain("nonsense");
    expect(await gateway.haproxy()).toEqual(worker);

    await wrong.remove();
    const fixed = await run(engine, "newer:1");
    await gateway.served("/newer/", fixed.name);
    await gateway.served("/old/", old.name);
  });
});

describe("a template that is broken while it is used", () => {
  test("is not used; the one before is, until it is mended", async () => {
    const dir = gatewayDir();
    const file = await templateFile(dir, "# version one");
    const gateway = await startGateway({
      dir,
      dockerHost: engine.dockerHost,
      flags: ["--template-file", file],
    });
    const old = await run(engine, "old:1");
    await gateway.served("/old/", old.name);
    const works = readFileSync(file, "utf8");

    // Noticed when something else changes.
    writeFileSync(file, `${works}{{#each backends}}`);
    const next = await run(engine, "new:1");
    await gateway.served("/new/", next.name);
    const parse = await gateway.logged(/Cannot parse template .*the template before it is used on/);
    expect(parse.message).toContain(file);

    // Noticed because it is told so; this one parses and does not render.
    writeFileSync(file, `${works}{{nothingOfThatName}}`);
    gateway.signal("SIGHUP");
    await gateway.logged(/Cannot render template .*"nothingOfThatName" is not defined/);
    await gateway.served("/old/", old.name);
    const newer = await run(engine, "newer:1");
    await gateway.served("/newer/", newer.name);

    // Noticed by itself; this one renders, and HAProxy refuses what it makes.
    writeFileSync(file, `${works}userlist extra\n    nonsense\n`);
    const refused = await gateway.logged(/HAProxy refuses it .*the template before it is used on/);
    expect(refused.details?.join("\n")).toMatch(/unknown keyword 'nonsense'/);
    const newest = await run(engine, "newer:1", { name: "newest" });
    await gateway.served("/newer/", newest.name);

    writeFileSync(file, works.replace("Nothing is served here", "Not here"));
    await gateway.until(async () => {
      expect((await gateway.get("/")).body).toBe("Not here.\n");
    });
    await gateway.served("/old/", old.name);
    // Each was said once, though several passes met it.
    expect(gateway.count(/Cannot parse template/)).toBe(1);
  });

  test("that is removed is told once; the one before is used, until it is there again", async () => {
    const dir = gatewayDir();
    const file = await templateFile(dir, "");
    const gateway = await startGateway({
      dir,
      dockerHost: engine.dockerHost,
      flags: ["--template-file", file],
    });
    const old = await run(engine, "old:1");
    await gateway.served("/old/", old.name);
    const works = readFileSync(file, "utf8");
    rmSync(file);
    await gateway.logged(/^Cannot read template .*the template before it is used on/);
    for (const image of ["new:1", "newer:1"]) {
      const { name } = await run(engine, image);
      await gateway.served(`/${image.split(":")[0]}/`, name);
    }
    writeFileSync(file, works.replace("Nothing is served here", "Not here"));
    await gateway.until(async () => {
      expect((await gateway.get("/")).body).toBe("Not here.\n");
    });
    expect(gateway.count(/Cannot read template/)).toBe(1);
  });

  test("at the start it is an error of the user's", async () => {
    const dir = gatewayDir();
    const file = await templateFile(dir, "{{#if}}");
    const gateway = await startGateway({
      dir,
      dockerHost: engine.dockerHost,
      flags: ["--template-file", file],
    });
    expect(await gateway.exited).toBe(11);
    expect(gateway.log()).toContain(`Cannot parse template "${file}"`);
  });
});

/** A gateway whose files are on a small disk of their own. */
async function startOnSmallDisk(flags: readonly string[]) {
  const dir = join(gatewayDir(), "disk");
  const mount = `mkdir ${dir} && mount -t tmpfs -o size=256k gateway-test ${dir}`;
  const mounted = spawnSync("sh", ["-c", mount], { encoding: "utf8" });
  if (mounted.status !== 0) throw new Error(`Cannot mount a small disk: ${mounted.stderr}`);
  const gateway = await startGateway({ dir, dockerHost: engine.dockerHost, flags });
  const filler = join(dir, "filler");
  return {
    gateway,
    fill: () => spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1k"]),
    free: () => rmSync(filler),
  };
}

describe("a full disk", () => {
  test("keeps no container from being served; the files follow later", async () => {
    const { gateway, fill, free } = await startOnSmallDisk([]);
    const old = await run(engine, "old:1");
    await gateway.served("/old/", old.name);
    await gateway.until(() => expect(gateway.config()).toContain(`server ${old.id.slice(0, 12)}`));
    fill();
    const next = await run(engine, "new:1");
    await gateway.served("/new/", next.name);
    const line = await gateway.logged(/^Cannot write .*its files stay as they were for now/);
    expect(line.details?.join("\n")).toContain("the disk is full");
    expect(gateway.config()).not.toContain(`server ${next.id.slice(0, 12)}`);
    free();
    gateway.signal("SIGHUP");
    await gateway.until(() => expect(gateway.config()).toContain(`server ${next.id.slice(0, 12)}`));
    await gateway.served("/old/", old.name);
  });

  test("keeps what is served where every change takes a reload, and is tried again", async () => {
    const { gateway, fill, free } = await startOnSmallDisk(["--always-reload"]);
    const old = await run(engine, "old:1");
    await gateway.served("/old/", old.name);
    const before = gateway.config();
    fill();
    const next = await run(engine, "new:1");
    await gateway.logged(/^Cannot write .*what is served stays as it is/);
    await gateway.served("/old/", old.name);
    expect((await gateway.get("/new/")).status).toBe(403);
    expect(gateway.config()).toBe(before);
    free();
    await gateway.served("/new/", next.name);
    await gateway.served("/old/", old.name);
  });
});

test("a state file that cannot be written keeps no reload back, and is told once", async () => {
  const dir = gatewayDir();
  const file = await templateFile(dir, "");
  const state = join(dir, "nowhere/state");
  const template = readFileSync(file, "utf8").replace(
    "{{> global}}",
    // HAProxy heeds the first of two.
    `global\n    server-state-file ${state}\n{{> global}}`,
  );
  writeFileSync(file, template);
  const flags = ["--template-file", file, "--always-reload"];
  const gateway = await startGateway({ dir, dockerHost: engine.dockerHost, flags });
  const old = await run(engine, "old:1");
  await gateway.served("/old/", old.name);
  const next = await run(engine, "new:1");
  await gateway.served("/new/", next.name);
  const line = await gateway.logged(/^the states of servers are not kept over reloads: /);
  expect(line.level).toBe("warn");
  expect(line.message).toContain(`${state} cannot be written (ENOENT`);
  expect(gateway.count(/states of servers are not kept/)).toBe(1);
});

describe("an output file that is there already", () => {
  test("is kept under another name where somebody else wrote it", async () => {
    const dir = gatewayDir();
    const output = join(dir, "haproxy.cfg");
    writeFileSync(output, "# mine\n");
    chmodSync(output, 0o640);
    chownSync(output, 65_534, 65_534);
    const gateway = await startGateway({
      dir,
      managed: false,
      dockerHost: engine.dockerHost,
      flags: ["--reload-cmd", "/bin/true", "--once"],
    });
    expect(await gateway.exited).toBe(0);
    const kept = `${output}.before-docker-api-gateway`;
    await gateway.logged(`kept the former ${output} as ${kept}`);
    expect(readFileSync(kept, "utf8")).toBe("# mine\n");
    for (const file of [output, kept]) {
      const { uid, gid, mode } = statSync(file);
      expect({ uid, gid, mode: mode & 0o777 }).toEqual({ uid: 65_534, gid: 65_534, mode: 0o640 });
    }
    expect(gateway.config()).toStartWith("# Written by docker-api-gateway");
  });

  test("is no second gateway's", async () => {
    const first = await startGateway({ dockerHost: engine.dockerHost });
    await first.answers("/", 403);
    const second = await startGateway({ dir: first.dir, dockerHost: engine.dockerHost });
    expect(await second.exited).toBe(12);
    expect(second.log()).toContain(`another gateway (process ${first.pid}) writes it`);
    expect((await first.get("/")).status).toBe(403);
    expect(await first.stop()).toBe(0);
    const third = await startGateway({ dir: first.dir, dockerHost: engine.dockerHost });
    await third.answers("/", 403);
  });
});

test(`a folder in /tmp that another user made first, ${testFlavour()}`, async () => {
  const uid = 65_533;
  const tmp = gatewayDir();
  chmodSync(tmp, 0o1777);
  const theirs = join(tmp, `docker-api-gateway-${uid}`);
  mkdirSync(theirs);
  chownSync(theirs, 65_534, 65_534);
  const flags = [
    `--docker-host=${engine.dockerHost}`,
    `--haproxy=${haproxyProgram(firstVersion())}`,
  ];
  const words = ["--manage-haproxy", "--once", ...flags, "--listen=127.0.0.1:1"];
  const refused = await runToEnd(words, { TMPDIR: tmp }, "/", asUser(uid));
  expect(refused.status).toBe(12);
  expect(refused.stderr).toContain(
    `Cannot use folder "${theirs}": it belongs to user 65534, not to user ${uid}`,
  );
  const { stdout } = await runToEnd(
    ["doctor", ...words.slice(2)],
    { TMPDIR: tmp },
    "/",
    asUser(uid),
  );
  expect(stdout).toContain(`failure  Output: Cannot use folder "${theirs}": it belongs to`);
});

test(`a folder that is not there, ${testFlavour()}`, async () => {
  const { status, stderr } = await runToEnd([
    `--docker-host=${engine.dockerHost}`,
    `--haproxy=${haproxyProgram(firstVersion())}`,
    `--output-file=${join(gatewayDir(), "nowhere/haproxy.cfg")}`,
    "--reload-cmd=/bin/true",
  ]);
  expect(status).toBe(12);
  expect(stderr).toContain("nowhere/haproxy.cfg");
});
