// Which Engine is spoken to: what wins of flag, variables and contexts, with contexts on the disk.

import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chooseDocker, chooseEngines } from "../../src/docker/choice.ts";
import { contextFiles, makeContext, useContext } from "../lab/docker-context.ts";
import { labDir } from "../lab/leftovers.ts";
import { failureOf } from "../lab/make.ts";

const ALL = { "ca.pem": "a", "cert.pem": "b", "key.pem": "c" };
const HINT = "docker context ls lists them: use another, or name the Engine by --docker-host";

let folder: string;
beforeEach(() => {
  folder = labDir("context");
  makeContext(folder, "work", { host: "unix:///work" });
  makeContext(folder, "far", { host: "tcp://far", certificates: ALL });
});

/** What is chosen with that folder of the docker program's. */
function choose(flag = "", env: Readonly<Record<string, string>> = {}) {
  return chooseDocker(flag, { DOCKER_CONFIG: folder, ...env });
}

describe("of all that may name an Engine", () => {
  const DOCKER_HOST = "unix:///host";
  test.each([
    ["the flag", "unix:///flag", { DOCKER_HOST, DOCKER_CONTEXT: "work" }, "/flag", undefined],
    ["DOCKER_HOST", "", { DOCKER_HOST, DOCKER_CONTEXT: "work" }, "/host", undefined],
    ["DOCKER_CONTEXT", "", { DOCKER_HOST: "", DOCKER_CONTEXT: "work" }, "/work", "work"],
    ["docker context use", "", {}, "/used", "used"],
    ["no context", "", { DOCKER_CONTEXT: "default" }, "/var/run/docker.sock", undefined],
  ])("%s wins over what follows", (_name, flag, env, path, context) => {
    makeContext(folder, "used", { host: "unix:///used" });
    useContext(folder, "used");
    expect(choose(flag, env as Record<string, string>)).toMatchObject({
      host: { kind: "unix", path },
      context,
    });
  });

  test.each([
    ["there is no folder", () => (folder = join(folder, "none"))],
    ["there is no config.json", () => undefined],
    ["config.json names none", () => writeFileSync(join(folder, "config.json"), "{}")],
    ["config.json is empty", () => writeFileSync(join(folder, "config.json"), "\n")],
    ["config.json is null", () => writeFileSync(join(folder, "config.json"), "null")],
    ["config.json names the default one", () => useContext(folder, "default")],
  ])("it is the default socket where %s", (_name, prepare) => {
    prepare();
    const path = "/var/run/docker.sock";
    expect(choose()).toEqual({
      address: "",
      host: { kind: "unix", path },
      tls: undefined,
      context: undefined,
      apiVersion: "",
    });
  });
});

describe("a context", () => {
  test("with certificates is spoken to by TLS, at its port", () => {
    const { tls: certPath } = contextFiles(folder, "far");
    expect(choose("", { DOCKER_CONTEXT: "far" })).toMatchObject({
      address: "tcp://far",
      host: { kind: "tcp", authority: "far:2376" },
      tls: { certPath, files: ["ca", "cert", "key"], verify: true, hint: HINT },
    });
  });

  test.each([
    [{ "ca.pem": "a" }, ["ca"]],
    // One is nothing without the other.
    [{ "ca.pem": "a", "cert.pem": "b" }, ["ca"]],
    [{ "cert.pem": "b", "key.pem": "c", "readme.txt": "d" }, ["cert", "key"]],
  ])("with %j reads %j", (certificates, files) => {
    makeContext(folder, "some", { host: "tcp://some", certificates });
    expect(choose("", { DOCKER_CONTEXT: "some" }).tls).toMatchObject({ files, verify: true });
  });

  test("may leave the Engine unverified, with or without certificates", () => {
    makeContext(folder, "bare", { host: "tcp://bare", skip: true });
    makeContext(folder, "skip", { host: "tcp://skip", skip: true, certificates: ALL });
    const [bare, skip] = ["bare", "skip"].map((name) => choose("", { DOCKER_CONTEXT: name }));
    expect(bare?.tls).toMatchObject({ files: [], verify: false });
    expect(skip?.tls).toMatchObject({ files: ["ca", "cert", "key"], verify: false });
  });

  test("is not mixed with variables that are for another Engine", () => {
    const env = { DOCKER_CONTEXT: "work", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/c" };
    expect(choose("", env).tls).toBeUndefined();
    expect(choose("tcp://h", env).tls).toMatchObject({ certPath: "/c" });
  });

  test("without a host is the default socket, by name", () => {
    makeContext(folder, "plain", { host: "" });
    const { address, host } = choose("", { DOCKER_CONTEXT: "plain" });
    expect(address).toBe("unix:///var/run/docker.sock");
    expect(host).toEqual({ kind: "unix", path: "/var/run/docker.sock" });
  });

  test("that does not exist is an error that names it and the way out", () => {
    for (const env of [{ DOCKER_CONTEXT: "nope" }, {}]) {
      useContext(folder, "nope");
      const { message, hint } = failureOf("docker", () => choose("", env));
      expect(message).toBe('Cannot use docker context "nope": there is no such context');
      expect(hint).toBe(HINT);
    }
  });

  test("whose file is broken, or names no Engine, is an error that names both", () => {
    const { meta } = contextFiles(folder, "work");
    for (const [text, state] of [
      ["{", `"${meta}" cannot be read: `],
      ['{"Name":"work"}', `"${meta}" names no Engine`],
    ] as const) {
      writeFileSync(meta, text);
      const { message, hint } = failureOf("docker", () => choose("", { DOCKER_CONTEXT: "work" }));
      expect(message).toStartWith(`Cannot use docker context "work": ${state}`);
      expect(hint).toBe(HINT);
    }
  });

  test("with a file in the place of its folder of certificates is an error", () => {
    const { tls } = contextFiles(folder, "work");
    mkdirSync(join(tls, ".."), { recursive: true });
    writeFileSync(tls, "");
    const { message } = failureOf("docker", () => choose("", { DOCKER_CONTEXT: "work" }));
    expect(message).toStartWith(`Cannot use docker context "work": "${tls}" cannot be read: `);
  });

  test("with an address of another system is an error that names both", () => {
    makeContext(folder, "windows", { host: "npipe:////./pipe/docker_engine" });
    const failure = failureOf("usage", () => choose("", { DOCKER_CONTEXT: "windows" }));
    expect(failure.message).toBe('Cannot use docker context "windows": its address is of no use');
    expect(failure.lines.join()).toContain("protocol npipe is not supported");
    expect(failure.hint).toStartWith("use unix:///path");
  });
});

test("a config.json that is broken may name a context, and is an error", () => {
  const path = join(folder, "config.json");
  writeFileSync(path, '{"currentContext": "wo');
  const { message, hint } = failureOf("docker", () => choose());
  expect(message).toStartWith(`Cannot read "${path}": `);
  expect(hint).toContain("--docker-host");
  // Where something else names the Engine, nobody asks it.
  expect(choose("unix:///flag").context).toBeUndefined();
  expect(choose("", { DOCKER_CONTEXT: "work" }).context).toBe("work");
});

test("a config.json that this user may not read names no context, as for the docker program", () => {
  useContext(folder, "work");
  chmodSync(join(folder, "config.json"), 0);
  chmodSync(folder, 0o755);
  const module = join(import.meta.dir, "../../src/docker/choice.ts");
  const script = `import { chooseDocker, chooseEngines } from ${JSON.stringify(module)};
    process.stdout.write(chooseDocker("", { DOCKER_CONFIG: ${JSON.stringify(folder)} }).address);`;
  const drop =
    process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] : [];
  const { stdout, stderr } = Bun.spawnSync([...drop, process.execPath, "-e", script]);
  expect([stdout.toString(), stderr.toString()]).toEqual(["", ""]);
});

describe("DOCKER_API_VERSION", () => {
  test.each([
    ["", ""],
    ["1.41", "1.41"],
    ["v1.41", "1.41"],
  ])("%j is version %j", (text, version) => {
    expect(choose("", { DOCKER_API_VERSION: text }).apiVersion).toBe(version);
  });

  test.each(["foo", "1", "1.41.2", "1,41", "-1.41"])("%j is refused", (text) => {
    const { message, hint } = failureOf("usage", () => choose("", { DOCKER_API_VERSION: text }));
    expect(message).toBe(`Cannot use DOCKER_API_VERSION "${text}": it is no version`);
    expect(hint).toBe("such as 1.41; unset it to let the gateway choose");
  });
});

function sites(...given: Parameters<typeof chooseEngines>[0]) {
  return chooseEngines(given, {}).map(({ site }) => site);
}

describe("of several Engines", () => {
  const blue = { name: "blue", url: "unix:///b.sock", address: undefined };
  const red = { name: "red", url: "ssh://bob@far:22/x.sock", address: undefined };

  test("the machine of each is that of its URL, or the one that is named", () => {
    expect(sites(blue, red, { ...blue, name: "green", address: "127.0.0.1" })).toEqual([
      { engine: "blue", host: undefined },
      { engine: "red", host: "far" },
      { engine: "green", host: "127.0.0.1" },
    ]);
    expect(sites({ name: "", url: "tcp://far", address: undefined })).toEqual([undefined]);
  });

  test.each(["unix:///c.sock", "tcp://127.0.0.1", "tcp://localhost:2375", "tcp://[::1]:1"])(
    "only one has networks that are this machine's: not %s beside another",
    (url) => {
      const failure = failureOf("usage", () => sites(blue, { ...blue, name: "green", url }));
      expect(failure.message).toContain('Cannot use both Engines "blue" and "green"');
      expect(failure.hint).toContain("--engine-address green=127.0.0.1");
    },
  );
});
