// `install --print`, and the flags that are no use to a service: without root, systemd or HAProxy.

import { expect, setDefaultTimeout, test } from "bun:test";
import { gatewayDir } from "../e2e/gateway.ts";
import { runToEnd } from "../e2e/program.ts";

setDefaultTimeout(60_000);

const MANAGED = ["--manage-haproxy", "--docker-host=tcp://127.0.0.1"];

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
#   copy this program to /usr/local/bin/docker-api-gateway
#   make the system user docker-api-gateway
#   systemctl daemon-reload
#   systemctl --quiet enable docker-api-gateway.service
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

test("uninstall takes no flags of the gateway's", async () => {
  const { status, stderr } = await runToEnd(["uninstall", "--manage-haproxy"], {}, gatewayDir());
  expect(status).toBe(2);
  expect(stderr).toContain('"--manage-haproxy"');
});
