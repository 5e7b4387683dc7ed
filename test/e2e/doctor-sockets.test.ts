// `doctor` finds HAProxy's sockets that do not answer or do not let, and an output that cannot be written.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { findings, flagsOf } from "./asking.ts";
import { asUser, closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { isAlive } from "./processes.ts";
import { binary } from "./program.ts";

setDefaultTimeout(120_000);

const NOBODY = 65_534;

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
});

afterEach(closeGateways);

/** The flags of a gateway that has never run. */
async function newFlags(): Promise<string[]> {
  const output = join(gatewayDir(), "haproxy.cfg");
  return flagsOf({ output, port: await freePort() }, engine);
}

describe("HAProxy's sockets", () => {
  test.each(haproxyVersions())("do not answer, HAProxy %s", async (version) => {
    const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
    await gateway.answers("/", 403);
    const { master, worker } = await gateway.haproxy();
    await gateway.kill9();
    for (const pid of [master, worker]) process.kill(pid, "SIGKILL");
    await gateway.until(() => expect([master, worker].some(isAlive)).toBe(false));
    const { status, levels, text } = await findings(flagsOf(gateway, engine, version));
    expect([status, levels["Sockets"]]).toEqual([1, "failure"]);
    for (const name of ["admin", "master"]) {
      expect(text["Sockets"]).toContain(`"${gateway.dir}/haproxy.${name}.sock": `);
    }
    expect(text["Sockets"]).toContain("is HAProxy running, and may this user");
    expect(levels["Listen"]).toBe("ok");
  });

  test("are away for a moment, as in a reload", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    await gateway.answers("/", 403);
    const socket = join(gateway.dir, "haproxy.master.sock");
    renameSync(socket, `${socket}.away`);
    const looking = findings(flagsOf(gateway, engine));
    await Bun.sleep(1_000);
    renameSync(`${socket}.away`, socket);
    const { levels } = await looking;
    expect([levels["Sockets"], levels["Listen"]]).toEqual(["ok", "ok"]);
  });

  test("let nobody change anything", async () => {
    const dir = gatewayDir();
    const file = join(dir, "own.hbs");
    writeFileSync(
      file,
      `global
    stats socket {{haproxy.statsSocket}} mode 600 level operator
    server-state-file {{haproxy.stateFile}}
{{> defaults}}
frontend f from _frontend
{{> frontend}}
    http-request return status 403
`,
    );
    const more = ["--always-reload", `--template-file=${file}`];
    const gateway = await startGateway({ dockerHost: engine.dockerHost, dir, flags: more });
    await gateway.answers("/", 403);
    const { status, levels, text } = await findings([...flagsOf(gateway, engine), ...more]);
    expect([status, levels["Sockets"]]).toEqual([1, "failure"]);
    expect(text["Sockets"]).toStartWith(`"${dir}/haproxy.admin.sock" is not of level admin\n`);
  });

  test("are not named by the configuration", async () => {
    const flags = await newFlags();
    const output = flags.find((flag) => flag.startsWith("--output-file="))?.split("=")[1] ?? "";
    const rendered =
      "# Written by docker-api-gateway: what is changed here is overwritten.\nglobal\n";
    writeFileSync(output, rendered);
    const { status, levels, text } = await findings(flags);
    expect([status, levels["Sockets"]]).toEqual([1, "failure"]);
    expect(text["Sockets"]).toStartWith(`${output} names no stats socket\n`);
  });
});

describe("the output", () => {
  test("is in a folder that an ordinary user may not write", async () => {
    const flags = await newFlags();
    const { status, levels, text } = await findings(flags, asUser(NOBODY));
    expect([status, levels["Output"]]).toEqual([1, "failure"]);
    expect(text["Output"]).toContain(" cannot be written: EACCES");
    expect(text["Output"]).toEndWith("run as a user that may, or name another --output-file");
  });

  test("is one that an ordinary user may write", async () => {
    const dir = gatewayDir();
    chownSync(dir, NOBODY, NOBODY);
    const flags = flagsOf({ output: join(dir, "haproxy.cfg"), port: await freePort() }, engine);
    expect((await findings(flags, asUser(NOBODY))).levels["Output"]).toBe("ok");
  });

  test("is in a folder that is not there", async () => {
    const output = join(gatewayDir(), "none/haproxy.cfg");
    const flags = flagsOf({ output, port: await freePort() }, engine);
    expect((await findings(flags)).levels["Output"]).toBe("ok");
    const external = flags.filter((flag) => flag !== "--manage-haproxy");
    const { status, levels, text } = await findings([...external, "--reload-cmd=/bin/true"]);
    expect([status, levels["Output"]]).toEqual([1, "failure"]);
    expect(text["Output"]).toContain(" cannot be written: ENOENT");
  });

  test("is somebody else's, which is kept", async () => {
    const dir = gatewayDir();
    const output = join(dir, "haproxy.cfg");
    writeFileSync(output, "global\n");
    const { levels, text } = await findings(flagsOf({ output, port: await freePort() }, engine));
    expect(levels["Output"]).toBe("ok");
    expect(text["Output"]).toBe(`${output} (somebody else's now: it is kept under another name)`);
  });

  test("cannot be read by this user", async () => {
    const dir = gatewayDir();
    const [output, program] = [join(dir, "files/haproxy.cfg"), join(dir, "docker-api-gateway")];
    mkdirSync(join(dir, "files"));
    for (const path of [dir, join(dir, "files")]) chmodSync(path, 0o777);
    writeFileSync(output, "global\n", { mode: 0o600 });
    copyFileSync(await binary(), program);
    const flags = flagsOf({ output, port: await freePort() }, engine);
    const user = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--"];
    // A copy of the program, in a folder where this user may go, in place of the first word.
    const { status, levels, text } = await findings(flags, [
      ...user,
      "sh",
      "-c",
      'shift; exec "$0" "$@"',
      program,
    ]);
    expect([status, levels["Sockets"]]).toEqual([1, "failure"]);
    expect(text["Sockets"]).toStartWith(`${output} cannot be read: EACCES`);
  });
});
