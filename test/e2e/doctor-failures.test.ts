// `doctor` finds what is wrong with Docker, HAProxy, its reload, the template and the limits.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { findings, flagsOf } from "./asking.ts";
import { asUser, closeGateways, gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

const NOBODY = 65_534;

let engine: Engine;
let dir: string;
let flags: string[];

beforeAll(async () => {
  engine = await sharedEngine();
  dir = gatewayDir();
  flags = flagsOf({ output: join(dir, "haproxy.cfg"), port: await freePort() }, engine);
});

afterAll(closeGateways);

/** The flags with one of them otherwise. */
function instead(flag: string): string[] {
  const [name = ""] = flag.split("=");
  return [...flags.filter((each) => each.split("=")[0] !== name), flag];
}

function script(name: string, text: string, mode = 0o755): string {
  const path = join(dir, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, mode);
  return path;
}

describe("Docker", () => {
  test("is not there; the configuration is looked at all the same", async () => {
    const { status, levels, text } = await findings(
      instead(`--docker-host=unix://${dir}/none.sock`),
    );
    expect(status).toBe(1);
    expect(levels["Docker"]).toBe("failure");
    expect(text["Docker"]).toBe(
      `Cannot reach Docker at "unix://${dir}/none.sock": there is no such socket\n` +
        "hint: start Docker (systemctl start docker), or name its socket with --docker-host",
    );
    expect(levels["Configuration"]).toBe("ok");
    expect(text["Configuration"]).toEndWith(", without Docker's containers");
  });

  test("is not for this user", async () => {
    const { status, levels, text } = await findings(flags, asUser(NOBODY));
    expect(status).toBe(1);
    expect(levels["Docker"]).toBe("failure");
    expect(text["Docker"]).toStartWith(`Cannot reach Docker at "${engine.dockerHost}": `);
    expect(text["Docker"]).toContain("permission");
    expect(text["Docker"]).toContain("group docker");
  });

  test("does not know the API version that the environment asks for", async () => {
    const { status, levels, text } = await findings(flags, [], { DOCKER_API_VERSION: "9.99" });
    expect([status, levels["Docker"]]).toEqual([1, "failure"]);
    expect(text["Docker"]).toContain("unset DOCKER_API_VERSION");
  });

  test.each(["/containers/json", "/networks", "/events"])(
    "does not give %s, behind a socket proxy",
    async (forbidden) => {
      const socket = join(dir, "proxy.sock");
      const proxy = Bun.serve({
        unix: socket,
        fetch: ({ url }) => {
          const { pathname, search } = new URL(url);
          if (pathname.endsWith(forbidden)) return new Response("no\n", { status: 403 });
          return fetch(`http://engine${pathname}${search}`, { unix: engine.socket });
        },
      });
      try {
        const { status, levels, text } = await findings(instead(`--docker-host=unix://${socket}`));
        expect([status, levels["Docker"]]).toEqual([1, "failure"]);
        expect(text["Docker"]).toContain(`Cannot read "${forbidden}`);
        expect(text["Docker"]).toContain("a socket proxy must allow GET of /events, /containers");
      } finally {
        await proxy.stop(true);
      }
    },
  );
});

describe("HAProxy", () => {
  test("is not there", async () => {
    const { status, levels, text } = await findings(instead("--haproxy=/nowhere/haproxy"));
    expect([status, levels["HAProxy"]]).toEqual([1, "failure"]);
    expect(text["HAProxy"]).toStartWith('Cannot find HAProxy "/nowhere/haproxy"\nhint: install');
  });

  test.each([
    ["HAProxy version 2.4.22-f8e3218", "its version is 2.4.22"],
    ["HA-Proxy version 1.8.4-1deb90d", "its version is 1.8.4"],
  ])("is too old: %s", async (version, said) => {
    const program = script("old", `echo '${version} 2023/02/14'`);
    const { status, levels, text } = await findings(instead(`--haproxy=${program}`));
    expect([status, levels["HAProxy"]]).toEqual([1, "failure"]);
    expect(text["HAProxy"]).toBe(
      `Cannot use HAProxy "${program}": ${said}\n` +
        "hint: install HAProxy 2.6 or later, or name another with --haproxy",
    );
  });

  test("is another program", async () => {
    const { status, levels, text } = await findings(instead("--haproxy=/bin/echo"));
    expect([status, levels["HAProxy"]]).toEqual([1, "failure"]);
    expect(text["HAProxy"]).toStartWith('Cannot read the version of "/bin/echo"');
  });

  test("runs in another version than the program has", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost });
    await gateway.answers("/", 403);
    const program = script("newer", "echo 'HAProxy version 3.99.1 2030/01/01'");
    const own = flagsOf(gateway, engine).filter((flag) => !flag.startsWith("--haproxy="));
    const { levels, text } = await findings([...own, `--haproxy=${program}`]);
    expect(levels["HAProxy"]).toBe("warning");
    expect(text["HAProxy"]).toMatch(/^3\.99\.1, but \d+\.\d+\.\d+ runs now\nrestart HAProxy/);
  });
});

/** The flags for a HAProxy that somebody else runs. */
function external(command: string): string[] {
  return [...flags.filter((flag) => flag !== "--manage-haproxy"), `--reload-cmd=${command}`];
}

describe("the reload command", () => {
  test("can be run", async () => {
    const program = script("reload", "exit 0");
    const { levels, text } = await findings(external(`${program} 'a b'`));
    expect(levels["Reload"]).toBe("ok");
    expect(text["Reload"]).toBe(`${program} a b`);
  });

  test.each(["/nowhere/reload", "no-such-reload"])("%s is not there", async (program) => {
    const { status, levels, text } = await findings(external(`${program} now`));
    expect([status, levels["Reload"]]).toEqual([1, "failure"]);
    expect(text["Reload"]).toBe(
      `Cannot run "${program}": there is no such program\n` +
        "name another --reload-cmd, or use --manage-haproxy",
    );
  });

  test("is no program", async () => {
    const program = script("text", "exit 0", 0o644);
    const { status, levels, text } = await findings(external(program));
    expect([status, levels["Reload"]]).toEqual([1, "failure"]);
    expect(text["Reload"]).toStartWith(`Cannot run "${program}": this user may not run it`);
  });
});

describe("the template", () => {
  test.each([
    ["does not parse", "{{#each backends}}\n", ["Parse error"]],
    ["asks for what there is not", "global\n{{nonsense}}\n", ["nonsense"]],
    [
      "is refused by HAProxy",
      "frontend f\n  nonsense\n",
      ["unknown keyword 'nonsense'", "haproxy.cfg:3]"],
    ],
  ])("%s", async (_, template, said) => {
    const file = join(dir, "own.hbs");
    writeFileSync(file, template);
    const { status, levels, text } = await findings([...flags, `--template-file=${file}`]);
    expect([status, levels["Configuration"]]).toEqual([1, "failure"]);
    for (const words of said) expect(text["Configuration"]).toContain(words);
    // HAProxy's lines are about the user's file, not about a copy of it.
    expect(text["Configuration"]).not.toContain("docker-api-gateway-doctor");
  });

  test("is not there", async () => {
    const { status, levels, text } = await findings([...flags, "--template-file=/nowhere/own.hbs"]);
    expect([status, levels["Configuration"]]).toEqual([1, "failure"]);
    expect(text["Configuration"]).toContain("/nowhere/own.hbs");
  });
});

describe("the limit of open files", () => {
  const few = ["sh", "-c", 'ulimit -n 1000; exec "$@"', "sh"];

  test("is low for a HAProxy to come", async () => {
    const { status, levels, text } = await findings(flags, few);
    expect([status, levels["Limits"]]).toEqual([0, "warning"]);
    expect(text["Limits"]).toBe(
      "1000 open files at most\n" +
        "raise it (ulimit -Hn, or LimitNOFILE= in the unit) and restart HAProxy",
    );
  });

  test("is low for the HAProxy that runs", async () => {
    const gateway = await startGateway({ dockerHost: engine.dockerHost, prefix: few });
    await gateway.answers("/", 403);
    const { worker } = await gateway.haproxy();
    const { levels, text } = await findings(flagsOf(gateway, engine));
    expect(levels["Limits"]).toBe("warning");
    expect(text["Limits"]).toMatch(
      new RegExp(
        `^1000 open files at most, for HAProxy \\(process ${worker}\\), so \\d+ connections\n`,
      ),
    );
  });
});

/** Hides /proc but for what Bun itself reads to start. */
const WITHOUT_PROC = [
  "unshare",
  "-m",
  "sh",
  "-c",
  'mount --bind /proc "$0" && mount -t tmpfs none /proc && mkdir /proc/self && ' +
    'ln -s "$0/self/maps" /proc/self/maps && exec "$@"',
];

test("without /proc it says what it cannot tell", async () => {
  const { status, levels, text } = await findings(flags, [...WITHOUT_PROC, gatewayDir()]);
  expect(levels).toMatchObject({ Listen: "warning", Limits: "warning", Configuration: "ok" });
  expect(text["Listen"]).toEndWith(
    "cannot be told: there is no /proc/net/tcp\nmount /proc to have it looked at",
  );
  expect(text["Limits"]).toBe(
    "cannot be told: there is no /proc/self/limits\nmount /proc to have it looked at",
  );
  expect(status).toBe(0);
});

test("wrong flags are wrong flags", async () => {
  const { status, stdout, stderr } = await runToEnd(["doctor", ...flags, "--wait=2s:1s"]);
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toContain("--wait");
});
