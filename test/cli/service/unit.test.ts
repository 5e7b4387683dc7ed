// The unit's text: what differs between the ways of running, and its command line.

import { expect, test } from "bun:test";
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
  capabilities: ["CAP_NET_BIND_SERVICE"],
  writes: [],
};

/** The settings of a unit, each with all its values. */
function settings(service: Service): Record<string, string[]> {
  const rows = serviceUnit(service)
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
  const free = { ...MANAGED, groups: [], capabilities: [] };
  for (const service of [PACKAGED, foreign, MANAGED, free]) {
    for (const line of serviceUnit(service).split("\n")) {
      expect(line).toMatch(/^(|# \S.*|\[(Unit|Service|Install)\]|[A-Z]\w+=.*)$/);
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
    AmbientCapabilities: ["CAP_NET_BIND_SERVICE"],
    CapabilityBoundingSet: ["CAP_NET_BIND_SERVICE"],
    Environment: ["XDG_RUNTIME_DIR=%t"],
    RuntimeDirectory: ["docker-api-gateway"],
    RuntimeDirectoryPreserve: ["restart"],
    KillMode: ["process"],
  });
  expect(unit).not.toHaveProperty("ReadWritePaths");
  const free = settings({ ...MANAGED, groups: [], capabilities: [] });
  expect(free).toMatchObject({ CapabilityBoundingSet: [""] });
  expect(free).not.toHaveProperty("AmbientCapabilities");
  expect(free).not.toHaveProperty("SupplementaryGroups");
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
