// The unit's text: what differs between the ways of running, and its command line.

import { expect, test } from "bun:test";
import {
  haproxyPathUnit,
  haproxyUnit,
  type HaproxyService,
} from "../../../src/cli/service/haproxy-unit.ts";
import {
  commandOf,
  isOwnUnit,
  madeOf,
  serviceUnit,
  type Service,
} from "../../../src/cli/service/unit.ts";
import { failureOf } from "../../lab/make.ts";

const PROGRAM = "/usr/local/bin/docker-api-gateway";

/** Beside the distribution's HAProxy, on Debian 13. */
const PACKAGED: Service = {
  command: [PROGRAM],
  environment: {},
  managed: false,
  groups: ["haproxy"],
  capabilities: [],
  writes: ["/etc/haproxy", "-/run/haproxy"],
  logs: "",
  state: "",
  readsHome: false,
  made: [],
  systemd: 257,
};

/** With a HAProxy of its own, at port 80. */
const MANAGED: Service = {
  ...PACKAGED,
  command: [PROGRAM, "--manage-haproxy"],
  managed: true,
  groups: ["docker"],
  writes: [],
};

/** HAProxy's own service, at port 80. */
const HAPROXY: HaproxyService = {
  program: "/usr/sbin/haproxy",
  gateway: PROGRAM,
  config: "/run/x/haproxy.cfg",
  masterSocket: "/run/x/master.sock",
  capabilities: ["CAP_NET_BIND_SERVICE"],
  readsHome: false,
  systemd: 257,
};

/** The settings of a unit, each with all its values. */
function settings(service: Service): Record<string, string[]> {
  return settingsOf(serviceUnit(service));
}

function settingsOf(unit: string): Record<string, string[]> {
  const rows = unit
    .split("\n")
    .filter((line) => line !== "" && !/^[#[]/.test(line))
    .map((line): [string, string] => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    });
  const groups = Map.groupBy(rows, ([name]) => name);
  return Object.fromEntries([...groups].map(([name, all]) => [name, all.map(([, text]) => text)]));
}

test("each line is a comment, a section, or a setting", () => {
  const foreign = { ...PACKAGED, capabilities: ["CAP_CHOWN"] };
  const free = { ...MANAGED, groups: [] };
  const units = [
    ...[PACKAGED, foreign, MANAGED, free].map(serviceUnit),
    haproxyUnit(HAPROXY),
    haproxyUnit({ ...HAPROXY, capabilities: [] }),
    haproxyPathUnit(HAPROXY),
  ];
  for (const unit of units) {
    for (const line of unit.split("\n")) {
      expect(line).toMatch(/^(|# \S.*|\[(Unit|Service|Path|Install)\]|[A-Z]\w+=.*)$/);
      expect(line.length).toBeLessThanOrEqual(100);
      expect(line).not.toContain("undefined");
    }
  }
});

test("beside the distribution's HAProxy it is root, who may write two folders", () => {
  const unit = settings(PACKAGED);
  expect(unit).toMatchObject({
    Type: ["notify"],
    ExecStart: [PROGRAM],
    After: ["network-online.target docker.service haproxy.service"],
    CapabilityBoundingSet: [""],
    SupplementaryGroups: ["haproxy"],
    ReadWritePaths: ["/etc/haproxy", "-/run/haproxy"],
    ProtectSystem: ["strict"],
    ProtectHome: ["yes"],
  });
  for (const name of ["User", "AmbientCapabilities", "KillMode", "RuntimeDirectory"]) {
    expect(unit).not.toHaveProperty(name);
  }
});

test("with a HAProxy of its own it is a user of its own, who may write one folder", () => {
  const unit = settings(MANAGED);
  expect(unit).toMatchObject({
    After: ["network-online.target docker.service"],
    User: ["docker-api-gateway"],
    SupplementaryGroups: ["docker"],
    CapabilityBoundingSet: [""],
    Environment: ["XDG_RUNTIME_DIR=%t", "HAPROXY_UNIT=docker-api-gateway-haproxy.service"],
    RuntimeDirectory: ["docker-api-gateway"],
    // HAProxy goes on, and so do its files.
    RuntimeDirectoryPreserve: ["yes"],
    KillMode: ["process"],
    Wants: ["network-online.target docker-api-gateway-haproxy.path"],
  });
  expect(unit).not.toHaveProperty("ReadWritePaths");
  expect(unit).not.toHaveProperty("AmbientCapabilities");
  expect(settings({ ...MANAGED, groups: [] })).not.toHaveProperty("SupplementaryGroups");
});

test("HAProxy has a unit of its own: the same user, without Docker's socket", () => {
  const unit = settingsOf(haproxyUnit(HAPROXY));
  expect(unit).toMatchObject({
    Type: ["notify"],
    // Without the gateway nobody else looks whose addresses are in its configuration.
    ExecStartPre: [`-${PROGRAM} fence --output-file=/run/x/haproxy.cfg`],
    ExecStart: ["/usr/sbin/haproxy -Ws -S /run/x/master.sock,mode,600 -f /run/x/haproxy.cfg"],
    Restart: ["always"],
    User: ["docker-api-gateway"],
    AmbientCapabilities: ["CAP_NET_BIND_SERVICE"],
    CapabilityBoundingSet: ["CAP_NET_BIND_SERVICE"],
    ProtectSystem: ["strict"],
    ProtectHome: ["yes"],
    NoNewPrivileges: ["yes"],
  });
  // Nothing starts it but its configuration.
  for (const name of ["SupplementaryGroups", "WantedBy", "RuntimeDirectory"]) {
    expect(unit).not.toHaveProperty(name);
  }
  const free = settingsOf(haproxyUnit({ ...HAPROXY, capabilities: [], systemd: 252 }));
  expect(free).toMatchObject({ CapabilityBoundingSet: [""] });
  expect(free).not.toHaveProperty("AmbientCapabilities");
  expect(free).not.toHaveProperty("RestartSteps");
  const path = settingsOf(haproxyPathUnit(HAPROXY));
  expect(path).toMatchObject({
    PathExists: ["/run/x/haproxy.cfg"],
    Unit: ["docker-api-gateway-haproxy.service"],
    PartOf: ["docker-api-gateway-haproxy.service"],
    WantedBy: ["multi-user.target"],
  });
});

test("restarts come later and later where systemd can do that", () => {
  expect(settings(PACKAGED)).toMatchObject({
    Restart: ["always"],
    RestartSec: ["1s"],
    RestartSteps: ["8"],
    RestartMaxDelaySec: ["30s"],
  });
  // An older one warns of what it does not know.
  const old = settings({ ...PACKAGED, systemd: 253 });
  expect(old).toMatchObject({ Restart: ["always"], RestartSec: ["1s"] });
  expect(old).not.toHaveProperty("RestartSteps");
  expect(old).not.toHaveProperty("RestartMaxDelaySec");
  expect(settings({ ...PACKAGED, systemd: 254 })).toHaveProperty("RestartSteps");
});

test("a template at home is readable, and nothing else there is writable", () => {
  expect(settings({ ...PACKAGED, readsHome: true })).toMatchObject({ ProtectHome: ["read-only"] });
});

test.each([
  ["plain", "plain"],
  ["--listen=*:80", "--listen=*:80"],
  ["a b", '"a b"'],
  ["", '""'],
  ['say "x"', String.raw`"say \"x\""`],
  ["it's", `"it's"`],
  [String.raw`a\nb`, String.raw`"a\\nb"`],
  ["100%", "100%%"],
  ["$HOME", "$$HOME"],
  ["${HOME}", '"$${HOME}"'],
  ["a\nb\tc", String.raw`"a\u000ab\u0009c"`],
  [";", '";"'],
  ["#", '"#"'],
  ["größe", '"größe"'],
])("the word %j is written %s, and read again", (word, written) => {
  const unit = serviceUnit({ ...PACKAGED, command: [PROGRAM, word, "end"] });
  expect(unit).toContain(`\nExecStart=${PROGRAM} ${written} end\n`);
  expect(commandOf(unit)).toEqual([PROGRAM, word, "end"]);
});

test("variables are written as systemd reads them: $ is nothing special there", () => {
  const environment = { DOCKER_HOST: "unix:///x", DOCKER_CERT_PATH: `/a "b"/$c/100%` };
  expect(settings({ ...PACKAGED, environment })["Environment"]).toEqual([
    `"DOCKER_HOST=unix:///x"`,
    String.raw`"DOCKER_CERT_PATH=/a \"b\"/$c/100%%"`,
  ]);
});

test("a NUL cannot be said", () => {
  const failure = failureOf("usage", () => serviceUnit({ ...PACKAGED, command: ["a\0b"] }));
  expect(failure.message).toContain("NUL");
});

test("text that is no unit has no command", () => {
  expect(commandOf("")).toEqual([]);
  expect(commandOf("[Service]\nExecReload=/bin/true\n")).toEqual([]);
});

test("a unit tells what was made besides it, and that it is one of ours", () => {
  expect(madeOf(serviceUnit(PACKAGED))).toEqual([]);
  const made = [PROGRAM, "/opt/gateway/"];
  const unit = serviceUnit({ ...PACKAGED, made });
  expect(madeOf(unit)).toEqual(made);
  expect(isOwnUnit(unit)).toBe(true);
  for (const text of ["", "[Service]\nExecStart=/bin/true\n", `\n${unit}`]) {
    expect(isOwnUnit(text)).toBe(false);
  }
});

test.each([PACKAGED, MANAGED])("the folder of an access log can be written", (service) => {
  const own = settings({ ...service, logs: "gateway" });
  expect([own["LogsDirectory"], own["LogsDirectoryMode"]]).toEqual([["gateway"], ["0750"]]);
  const keeping = settings({ ...service, state: "gateway" });
  expect([keeping["StateDirectory"], keeping["StateDirectoryMode"]]).toEqual([
    ["gateway"],
    ["0700"],
  ]);
  const other = settings({ ...service, writes: ["/srv/logs"] });
  expect([other["ReadWritePaths"], other["LogsDirectory"]]).toEqual([["/srv/logs"], undefined]);
});
