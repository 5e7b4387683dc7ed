// `install --print`, and the flags that are no use to a service: without root, systemd or HAProxy.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gatewayDir } from "../e2e/gateway.ts";
import { runToEnd, type Finished } from "../e2e/program.ts";
import { makeContext, useContext } from "../lab/docker-context.ts";

setDefaultTimeout(120_000);

const PROGRAM = "/usr/local/bin/docker-api-gateway";
const MANAGED = ["--manage-haproxy", "--docker-host=tcp://127.0.0.1"];

/** Prints the unit where that docker context is in use. */
async function printWith(
  context: Parameters<typeof makeContext>[2],
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const DOCKER_CONFIG = gatewayDir();
  makeContext(DOCKER_CONFIG, "work", context);
  useContext(DOCKER_CONFIG, "work");
  return runToEnd(["install", "--print", ...flags], { DOCKER_CONFIG, ...env });
}

/** What the unit would be, and what would be done. */
async function print(flags: readonly string[], cwd = "/"): Promise<string> {
  const { status, stdout, stderr } = await runToEnd(["install", "--print", ...flags], {}, cwd);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

test("it prints the unit and what would be done, as a unit", async () => {
  const text = await print(MANAGED);
  expect(text).toStartWith("# /etc/systemd/system/docker-api-gateway.service\n");
  expect(text).toContain(
    "\nExecStart=/usr/local/bin/docker-api-gateway --manage-haproxy --docker-host=tcp://127.0.0.1\n",
  );
  expect(text).toEndWith(`
# To install it:
#   write /etc/systemd/system/docker-api-gateway.service
#   write /etc/systemd/system/docker-api-gateway-haproxy.service
#   write /etc/systemd/system/docker-api-gateway-haproxy.path
#   copy this program to /usr/local/bin/docker-api-gateway
#   make the system user docker-api-gateway
#   systemctl daemon-reload
#   systemctl --quiet enable docker-api-gateway.service docker-api-gateway-haproxy.path
#   start docker-api-gateway-haproxy.path
#   start docker-api-gateway.service
`);
  // No group may do anything at a TCP port.
  expect(text).not.toContain("SupplementaryGroups");
});

test("files are named as the service finds them", async () => {
  const dir = "/usr/share";
  const flags = ["--template-file=own.hbs", "--output-file", "x/h.cfg", "--haproxy=sbin/haproxy"];
  const text = await print([...flags, "--master-socket=../m.sock", "--bin-dir=bin"], dir);
  expect(text).toContain(
    "\nExecStart=/usr/share/bin/docker-api-gateway --template-file=/usr/share/own.hbs " +
      "--output-file=/usr/share/x/h.cfg --master-socket=/usr/m.sock " +
      "--haproxy=/usr/share/sbin/haproxy\n",
  );
  expect(text).toContain("\nReadWritePaths=/usr/share/x\n");
  // A program on PATH is looked for there.
  expect(await print(["--haproxy=haproxy"], dir)).toContain(" --haproxy=haproxy\n");
});

test("only ports below 1024 take a right", async () => {
  const right = "AmbientCapabilities=CAP_NET_BIND_SERVICE\n";
  expect(await print(MANAGED)).toContain(right);
  expect(await print([...MANAGED, "--listen=*:8080"])).not.toContain(right);
  expect(await print([...MANAGED, "--listen=*:8080", "--listen=[::1]:443"])).toContain(right);
  // A template of one's own may have any port.
  expect(await print([...MANAGED, "--listen=*:8080", "--template-file=/x"])).toContain(right);
});

test("flags from the environment become the service's", async () => {
  const words = ["install", "--print"];
  const { stdout } = await runToEnd(words, {
    GATEWAY_DOMAIN: "example.com",
    GATEWAY_LISTEN: "*:81",
  });
  expect(stdout).toContain("docker-api-gateway --domain=example.com --listen=*:81\n");
});

test("keys of root's and Docker's certificates are readable", async () => {
  expect(await print([])).toContain("\nProtectHome=yes\n");
  for (const host of ["ssh://host", "unix:///run/user/1000/docker.sock"]) {
    expect(await print([`--docker-host=${host}`])).toContain("\nProtectHome=read-only\n");
  }
  const env = { DOCKER_HOST: "tcp://engine", DOCKER_TLS_VERIFY: "1", HOME: "/home/me" };
  const { stdout } = await runToEnd(["install", "--print"], env);
  expect(stdout).toContain('\nEnvironment="DOCKER_CERT_PATH=/home/me/.docker"\n');
  expect(stdout).toContain('\nEnvironment="DOCKER_TLS_VERIFY=1"\n');
  expect(stdout).toContain("\nProtectHome=read-only\n");
});

test("several Engines are those of the service, and none is of a context", async () => {
  const flags = ["--docker-host=a=unix:///run/a.sock", "--docker-host=b=ssh://host"];
  const more = ["--engine-address=b=192.0.2.7"];
  const { status, stdout } = await printWith({ host: "npipe://" }, [...flags, ...more]);
  expect(status).toBe(0);
  expect(stdout).toContain(`\nExecStart=${PROGRAM} ${[...flags, ...more].join(" ")}\n`);
  // The ssh program has its keys in the home.
  expect(stdout).toContain("\nProtectHome=read-only\n");
  const { stderr } = await printWith({ host: "" }, [
    "--docker-host=a=unix:///run/a.sock",
    "--docker-host=b=unix:///tmp/b.sock",
    more.join(),
  ]);
  expect(stderr).toContain('Cannot install a service with "/tmp/b.sock"');
});

describe("a docker context", () => {
  const TLS = { "ca.pem": "a", "cert.pem": "b", "key.pem": "c" };

  test.each(["unix:///run/user/1000/docker.sock", "tcp://10.0.0.1:2375", "ssh://me@host"])(
    "of %s becomes a flag of the service, which has no contexts",
    async (host) => {
      const env = { DOCKER_TLS_VERIFY: "1", DOCKER_API_VERSION: "1.41" };
      const { status, stdout, stderr } = await printWith({ host }, [], env);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toContain(`\nExecStart=${PROGRAM} --docker-host=${host}\n`);
      // Variables that the docker program would not heed now are none for the service either.
      expect(stdout).toContain('\nEnvironment="DOCKER_API_VERSION=1.41"\n');
      expect(stdout).not.toContain("DOCKER_TLS");
    },
  );

  test("that another flag overrules does not matter", async () => {
    const flags = ["--docker-host=unix:///run/d.sock"];
    const { status, stdout } = await printWith({ host: "npipe://" }, flags);
    expect(status).toBe(0);
    expect(stdout).toContain(`\nExecStart=${PROGRAM} --docker-host=unix:///run/d.sock\n`);
  });

  test("with certificates that the service may not read is refused", async () => {
    const host = "tcp://engine:2376";
    const managed = await printWith({ host, certificates: TLS }, ["--manage-haproxy"]);
    const without = await printWith({ host, certificates: { "ca.pem": "a" } });
    const text = 'Cannot install a service with docker context "work": ';
    expect(managed.stderr).toContain(`${text}the service may not read its certificates\n`);
    expect(without.stderr).toContain(`${text}it has TLS without cert.pem\n`);
    for (const { status, stderr } of [managed, without]) {
      expect(status).toBe(2);
      expect(stderr).toContain("DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH");
    }
  });

  test("with root's certificates becomes variables, where they are not below /tmp", async () => {
    const { status, stderr } = await printWith({ host: "tcp://engine", certificates: TLS });
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^Cannot install a service with "\/tmp\/.*\/docker": it has another \/tmp$/m,
    );
    const DOCKER_CONFIG = mkdtempSync("/dev/shm/docker-");
    try {
      const parts = { host: "tcp://engine", skip: true, certificates: TLS };
      const { tls } = makeContext(DOCKER_CONFIG, "skip", parts);
      const env = { DOCKER_CONFIG, DOCKER_CONTEXT: "skip" };
      const { stdout } = await runToEnd(["install", "--print"], env);
      expect(stdout).toContain(`\nExecStart=${PROGRAM} --docker-host=tcp://engine\n`);
      const lines = ["DOCKER_TLS=1", `DOCKER_CERT_PATH=${tls}`].map(
        (each) => `Environment="${each}"`,
      );
      expect(stdout).toContain(`\n${lines.join("\n")}\n`);
      // Of another user's files root's service without capabilities may read none.
      chownSync(join(tls, "key.pem"), 65_534, 65_534);
      const refused = await runToEnd(["install", "--print"], env);
      expect(refused.stderr).toContain("the service may not read its certificates");
    } finally {
      rmSync(DOCKER_CONFIG, { recursive: true });
    }
  });

  test("of before does not come back where a service sees homes", async () => {
    const host = "unix:///var/run/docker.sock";
    const flags = ["install", "--print", "--template-file=/home/me/own.hbs"];
    const line = '\nEnvironment="DOCKER_CONTEXT=default"\n';
    expect((await runToEnd(flags)).stdout).toContain(line);
    expect((await runToEnd([...flags, `--docker-host=${host}`])).stdout).not.toContain(line);
  });
});

test.each([
  ["--once", 'Cannot read flag "--once": there is no such flag'],
  ["--listen=nonsense", 'Cannot listen on "nonsense"'],
  ["--template-file=/tmp/own.hbs", 'Cannot install a service with "/tmp/own.hbs"'],
  ["--output-file=/var/tmp/x/h.cfg", 'Cannot install a service with "/var/tmp/x/h.cfg"'],
  ["--bin-dir=/tmp", 'Cannot install a service with "/tmp/docker-api-gateway"'],
  ["--docker-host=unix:///tmp/d.sock", 'Cannot install a service with "/tmp/d.sock"'],
  ["--manage-haproxy --haproxy=/root/haproxy", "its user docker-api-gateway may not go there"],
  ["--bin-dir=/a b", 'Cannot install "/a b/docker-api-gateway"'],
  ["--manage-haproxy --docker-host=ssh://host", "with --manage-haproxy and ssh://"],
  ["--manage-haproxy --output-file=/x/h.cfg", "with --manage-haproxy and --output-file"],
  ["--manage-haproxy --master-socket=/x/m.sock", "with --manage-haproxy and --master-socket"],
])("%s is refused", async (flags, message) => {
  const words = flags.split(/ (?=--)/);
  const { status, stdout, stderr } = await runToEnd(["install", "--print", ...words]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).toContain("\n  hint: ");
});

describe("folders of certificates", () => {
  const low = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n";
  const folder = (mode: number, uid = 0, gid = 0): string => {
    // Below /tmp a service finds another folder.
    const path = mkdtempSync("/dev/shm/certs-");
    chmodSync(path, mode);
    chownSync(path, uid, gid);
    folders.push(path);
    return path;
  };
  const folders: string[] = [];
  afterAll(() => {
    for (const path of folders) rmSync(path, { recursive: true });
  });

  test("a port of HTTPS may take a right, too", async () => {
    const flags = [...MANAGED, "--listen=*:8080", `--certs=${folder(0o755)}`];
    expect(await print(flags)).toContain(low);
    expect(await print([...flags, "--listen-https=*:8443"])).not.toContain(low);
  });

  test("are read by the group that may, or by everybody", async () => {
    const own = ["--output-file=/srv/haproxy.cfg"];
    for (const [flags, path, isNeeded] of [
      [MANAGED, folder(0o750, 0, 65_432), true],
      [MANAGED, folder(0o755, 0, 65_432), false],
      [own, folder(0o750, 0, 65_432), false],
      [own, folder(0o750, 65_431, 65_432), true],
    ] as const) {
      const text = await print([...flags, `--certs=${path}`]);
      expect(/^SupplementaryGroups=65432$/m.test(text)).toBe(isNeeded);
    }
  });

  test("that the service may not read, or that are not there, are refused", async () => {
    for (const [flags, problem] of [
      [[...MANAGED, `--certs=${folder(0o700)}`], "its user docker-api-gateway may not read it"],
      [[...MANAGED, `--certs=${folder(0o750)}`], "its user docker-api-gateway may not read it"],
      [[`--certs=${folder(0o700, 65_431)}`], "it is another user's"],
      [["--certs=/srv/none"], "there is no such folder"],
      [["--certs=/tmp"], "it has another /tmp"],
    ] as const) {
      const { status, stderr } = await runToEnd(["install", "--print", ...flags]);
      expect([status, stderr]).toEqual([2, expect.stringContaining(problem)]);
    }
  });
});

describe("where people and monitoring ask", () => {
  const files: string[] = [];
  const token = (mode: number, gid = 0, uid = 0): string => {
    const path = join(mkdtempSync("/dev/shm/token-"), "token");
    writeFileSync(path, "0123456789abcdef");
    chmodSync(path, mode);
    chownSync(path, uid, gid);
    files.push(path);
    return `--admin-token-file=${path}`;
  };
  afterAll(() => {
    for (const path of files) rmSync(dirname(path), { recursive: true });
  });
  const admin = "--admin=*:8404";
  const own = ["--output-file=/srv/haproxy.cfg"];

  test("the service has the flags, and the group that may read the token", async () => {
    const flag = token(0o640, 65_432);
    const text = await print([...MANAGED, admin, "--admin-host=watch.example.com", flag]);
    expect(text).toContain(` ${admin} --admin-host=watch.example.com ${flag}\n`);
    expect(text).toMatch(/^SupplementaryGroups=65432$/m);
    expect(await print([...own, admin, token(0o600)])).not.toContain("65432");
    const beside = "--admin=unix:/run/docker-api-gateway/a.sock";
    expect(await print([...MANAGED, beside])).toContain(` ${beside}\n`);
    expect(await print([...own, "--admin=unix:/dev/shm/a.sock"])).toMatch(
      /^ReadWritePaths=\/dev\/shm$/m,
    );
  });

  test("what a service cannot have is refused", async () => {
    for (const [flags, problem] of [
      [[...MANAGED, admin, token(0o600)], "its user docker-api-gateway may not read it"],
      [[...own, admin, token(0o600, 0, 65_431)], "root without rights may not read it"],
      [[...own, admin, "--admin-token-file=/srv/none"], "there is no such file"],
      [["--admin=127.0.0.1:81"], "ports below 1024 are root's"],
      [[...MANAGED, "--admin=unix:/run/a.sock"], "its user docker-api-gateway may not write there"],
      [[...own, "--admin=unix:/srv/none/a.sock"], 'there is no folder "/srv/none"'],
      [["--admin=unix:/tmp/a.sock"], "it has another /tmp"],
    ] as const) {
      const { status, stderr } = await runToEnd(["install", "--print", ...flags]);
      expect([status, stderr]).toEqual([2, expect.stringContaining(problem)]);
    }
  });
});

test("uninstall takes no flags of the gateway's", async () => {
  const { status, stderr } = await runToEnd(["uninstall", "--manage-haproxy"], {}, gatewayDir());
  expect(status).toBe(2);
  expect(stderr).toContain('"--manage-haproxy"');
});
