// HAProxy's configuration as text: its sections, words, sockets, state file and servers.

import { expect, test } from "bun:test";
import {
  parseConfig,
  respellStatsSocket,
  sectionsOf,
  serverStateFile,
  splitWords,
  statsSocket,
  withSections,
  type Section,
} from "../../src/config/sections.ts";
import { serversIn } from "../../src/config/servers.ts";
import { randomNumbers } from "../lab/make.ts";

test.each([
  ["", []],
  ["   # only a comment", []],
  ["  bind  *:80\tssl ", ["bind", "*:80", "ssl"]],
  ["a b # c", ["a", "b"]],
  ["a b#c d", ["a", "b"]],
  ["a '#' \"#\" \\# b", ["a", "#", "#", "#", "b"]],
  ["a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]],
  ["a '' \"\"", ["a", "", ""]],
  ["a'b'\"c\"d", ["abcd"]],
  [`'it'\\''s' "say \\"x\\""`, ["it's", 'say "x"']],
  ["'a\\b' \"a\\\\b\" a\\\\b", ["a\\b", "a\\b", "a\\b"]],
  [`"it's" 'say "x"'`, ["it's", 'say "x"']],
])("the words of %j", (line, words) => {
  expect(splitWords(line)).toEqual(words);
});

/** The sections without the fields that repeat their text. */
function parse(text: string) {
  return parseConfig(text).map(({ kind, name, head, lines }) => ({ kind, name, head, lines }));
}

test("the sections of a configuration have no comments, and one space between words", () => {
  const text = `
# heading
global
    log   /dev/log  local0   # here
	stats socket /run/x.sock

defaults base
frontend http from base
    bind *:80
    http-response set-header X "a  b" # 'c
backend foo:bar from base
    server a 1.1.1.1:80 check
  backend other
`;
  expect(parse(text)).toEqual([
    {
      kind: "global",
      name: "",
      head: "global",
      lines: ["log /dev/log local0", "stats socket /run/x.sock"],
    },
    { kind: "defaults", name: "base", head: "defaults base", lines: [] },
    {
      kind: "frontend",
      name: "http",
      head: "frontend http from base",
      lines: ["bind *:80", 'http-response set-header X "a  b"'],
    },
    {
      kind: "backend",
      name: "foo:bar",
      head: "backend foo:bar from base",
      lines: ["server a 1.1.1.1:80 check"],
    },
    { kind: "backend", name: "other", head: "backend other", lines: [] },
  ]);
});

test("lines before the first section are kept, because HAProxy reads them", () => {
  expect(parse(".if version_atleast(3.0)\nglobal\n  daemon\n")).toEqual([
    { kind: "", name: "", head: "", lines: [".if version_atleast(3.0)"] },
    { kind: "global", name: "", head: "global", lines: ["daemon"] },
  ]);
});

test.each([
  ["global\n  daemon\n", false],
  ["global\n.if version_atleast(3.0)\n  daemon\n.endif\n", true],
  ["global\n  # .if\n  log .if\n", false],
])("whether %j has conditions: %p", (text, conditional) => {
  expect(parseConfig(text).some((section) => section.conditional)).toBe(conditional);
});

test("a word opens a section only at the start of a line", () => {
  const text = "backend b\n  http-request set-header backend global\n  globally x\n# frontend f\n";
  expect(parse(text)).toHaveLength(1);
  expect(parse("backend b # first\n\tlisten\nglobal").map(({ kind }) => kind)).toEqual([
    "backend",
    "listen",
    "global",
  ]);
});

test.each([
  "peers p",
  "resolvers r",
  "userlist u",
  "mailers m",
  "cache c",
  "http-errors e",
  "ring r",
  "log-forward l",
  "log-profile l",
  "program p",
  "fcgi-app f",
  "crt-store s",
  "traces",
  "acme a",
  "healthcheck h",
  "listen l",
])("%s opens a section", (head) => {
  expect(parseConfig(`global\n${head}\n  x y\n`).map((section) => section.head)).toEqual([
    "global",
    head,
  ]);
});

test.each([
  ["global\n stats socket /run/x.sock mode 600 level admin", "/run/x.sock"],
  ["global\n stats socket unix@/run/x.sock", "/run/x.sock"],
  ["global\n stats socket '/run/with blank.sock'", "/run/with blank.sock"],
  ["global\n stats timeout 1s\n stats socket ipv4@127.0.0.1:99\n stats socket /b", "/b"],
  ["global\n daemon\ndefaults\nglobal\n stats socket /second", "/second"],
  ["global\n # stats socket /run/x.sock\n", undefined],
  ["global\n stats socket *:99", undefined],
  ["frontend f\n stats socket /run/x.sock", undefined],
  ["", undefined],
])("the stats socket of %j", (text, path) => {
  expect(statsSocket(parseConfig(text))).toBe(path);
});

test.each([
  ["global\n server-state-file /run/state", "/run/state"],
  ["global\n server-state-base /run\n server-state-file state", "/run/state"],
  ["global\n server-state-file state\n server-state-base /var/lib", "/var/lib/state"],
  ["global\n server-state-file state", undefined],
  ["global\n server-state-base /run", undefined],
  ["backend b\n server-state-file /run/state", undefined],
])("the state file of %j", (text, path) => {
  expect(serverStateFile(parseConfig(text))).toBe(path);
});

test("the servers of a configuration, with their backends", () => {
  const text = `
defaults
    default-server check
backend a
    server a:1 1.1.1.1:80 check
    server-template t 3 x.example.com:80
    # server no 1.1.1.1:81
    server 'a 2' [fd00::1]:80 # comment
frontend f
    server nobody 1.1.1.1:82
listen l
    server l1 1.1.1.1:83 backup
`;
  const servers = serversIn(parseConfig(text)).map(({ backend, server }) => {
    return [backend, server.name, `${server.address}:${server.port}`, server.settings.join(" ")];
  });
  expect(servers).toEqual([
    ["a", "a:1", "1.1.1.1:80", "check check"],
    ["a", "a 2", "[fd00::1]:80", "check"],
    ["l", "l1", "1.1.1.1:83", "check backup"],
  ]);
});

/** Lines that open a section, belong to one, or only look as if they opened one. */
const LINES = [
  "backend a",
  "backend b from x",
  "  server s 1.2.3.4:80",
  "global",
  "defaults x",
  " backend  c",
  "backendx",
  "frontend",
  "# backend d",
  "",
  ".if x",
];

test("sections taken over from an earlier version equal those parsed again", () => {
  const random = randomNumbers(7);
  let [text, previous] = ["", parseConfig("")];
  for (let round = 0; round < 3_000; round++) {
    const lines = text.split("\n");
    const line = LINES[Math.floor(random() * LINES.length)] ?? "";
    const at = Math.floor(random() * (lines.length + 1));
    text = lines.toSpliced(at, Math.floor(random() * 3), line).join("\n");
    if (text.length > 600) text = "";
    const sections = parseConfig(text, previous);
    expect(plain(sections)).toEqual(plain(parseConfig(text)));
    // HAProxy keeps some that are gone, at the end.
    const left = random() < 0.3 ? previous.slice(0, 2) : [];
    previous = [...sections, ...left];
  }
});

function plain(sections: readonly Section[]) {
  return sections.map(({ text, kind, name, title, head, lines, conditional }) => {
    return { text, kind, name, title, head, lines, conditional };
  });
}

test.each(["global\n  a\n", "global\n  a", ""])("sections are added at the end of %j", (config) => {
  const all = withSections({ config, assets: {} }, "backend a\nbackend b\n");
  const read = parseConfig(all.config);
  // A line's end may be missing in the text of the last one before.
  expect(plain(sectionsOf(all)).map(({ text, ...rest }) => [text.trimEnd(), rest])).toEqual(
    plain(read).map(({ text, ...rest }) => [text.trimEnd(), rest]),
  );
  expect(sectionsOf(all).length).toBe(config === "" ? 2 : 3);
});

test.each([
  [
    "global\n  stats socket /run/a.sock level admin\n",
    "global\n  stats socket /run/./a.sock level admin\n",
  ],
  [
    "global\n\tstats  socket unix@/run/x/a.sock\n",
    "global\n\tstats  socket unix@/run/x/./a.sock\n",
  ],
  // Only the socket: the same text elsewhere names something else.
  [
    "global\n  stats socket /a.sock\nfrontend f\n  bind unix@/a.sock\n",
    "global\n  stats socket /./a.sock\nfrontend f\n  bind unix@/a.sock\n",
  ],
  ["global\n  stats socket ipv4@127.0.0.1:9\n", "global\n  stats socket ipv4@127.0.0.1:9\n"],
  ["global\n", "global\n"],
])("the stats socket of %j is spelled otherwise: %j", (config, respelled) => {
  expect(respellStatsSocket(config)).toBe(respelled);
});

function withServer(name: string): string {
  return `backend ${name}\n    server s 127.0.0.1:1\n`;
}

test("sections that did not change are taken over, wherever others did", () => {
  const before = parseConfig(["a", "b", "c", "d", "e"].map(withServer).join(""));
  const after = parseConfig(["new", "a", "c", "d", "more"].map(withServer).join(""), before);
  const kept = after.filter((section) => before.includes(section)).map(({ name }) => name);
  expect([after.map(({ name }) => name), kept]).toEqual([
    ["new", "a", "c", "d", "more"],
    ["a", "c", "d"],
  ]);
});
