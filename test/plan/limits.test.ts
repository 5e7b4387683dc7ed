// The limits of changes at run time, and servers that are drained already when the plan is made.

import { describe, expect, test } from "bun:test";
import type { Files } from "../../src/model.ts";
import { planChange, withUnremovedBackends } from "../../src/plan/plan.ts";
import { files } from "../lab/make.ts";
import { BASE, plan, tell, V26, V34, withServers } from "../lab/plans.ts";

describe("a server without an IP address and a port takes a reload", () => {
  const reason = 'backend "b" changed (server y is not at an address and port)';

  test.each([
    ["a host name", "y db.example.com:80 check"],
    ["no port", "y 1.1.1.1"],
    ["port 0", "y 1.1.1.1:0"],
    ["a port relative to the client's", "y 1.1.1.1:+1"],
    ["IPv6 without a port", "y [fd00::1]"],
    ["a unix socket", "y unix@/run/app.sock"],
    ["an invalid address", "y 1.1.1.256:80"],
    ["no address", "y :80"],
  ])("%s", (_, server) => {
    expect(plan(withServers(), withServers(server), V34)).toEqual({
      kind: "reload",
      reasons: [reason],
    });
    expect(plan(withServers("y 1.1.1.1:80"), withServers(server), V34)).toMatchObject({
      kind: "reload",
    });
  });

  test("in a new backend too", () => {
    const backend = "backend web from d\n  server x web:80\n";
    expect(plan(files(BASE), files(BASE + backend), V34)).toEqual({
      kind: "reload",
      reasons: ['backend "web" changed (server x is not at an address and port)'],
    });
  });

  test("but it can be disabled, enabled and removed at run time", () => {
    const [on, off] = [withServers("y db:80"), withServers("y db:80 disabled")];
    expect(tell(plan(on, off, V34))).toEqual(["drain server b/y"]);
    expect(tell(plan(off, on, V34))).toEqual(["enable server b/y"]);
    expect(tell(plan(on, withServers(), V34))).toEqual(["remove server b/y"]);
  });
});

describe("whether a server is disabled comes from", () => {
  const inherited = BASE.replace("inter 2s", "inter 2s disabled");
  test.each<[string, string, boolean]>([
    ["its own line", BASE + backendOf("server x 1.1.1.1:1 disabled"), true],
    ["its defaults", inherited + backendOf("server x 1.1.1.1:1"), true],
    [
      "its own line, though its defaults say otherwise",
      inherited + backendOf("server x 1.1.1.1:1 enabled"),
      false,
    ],
  ])("%s", (_, config, disabled) => {
    const before = config.replace(/^ {2}server .*\n/m, "");
    expect(plan(files(before), files(config), V34)).toMatchObject({
      operations: [{ do: "add server", server: { disabled, settings: ["inter", "2s"] } }],
    });
  });
});

describe("whether a health check only opens a connection", () => {
  test.each<[boolean, string, string]>([
    [true, "", "check"],
    [true, "option httplog", "check weight 5"],
    [true, "", "check send-proxy check-send-proxy"],
    [false, "option httpchk GET /", "check"],
    [false, "option tcp-check", "check"],
    [false, "option redis-check", "check"],
    [false, "tcp-check connect", "check"],
    [false, "", "check port 8081"],
    [false, "", "check addr 1.1.1.2"],
    [false, "", "check ssl verify none"],
    [false, "", "check check-ssl"],
    [false, "", "check agent-check agent-port 5"],
    [false, "", "check healthcheck hc"],
    [false, "default-server port 8081", "check"],
  ])("%p: %s; %s", (connectCheckOnly, line, server) => {
    const after = BASE + backendOf(line, `server x 1.1.1.1:1 ${server}`);
    const before = after.replace(/^ {2}server .*\n/m, "");
    expect(plan(files(before), files(after), V34)).toMatchObject({
      operations: [{ do: "add server", server: { connectCheckOnly } }],
    });
  });

  test("depends on the defaults too", () => {
    const http = BASE.replace("defaults d\n", "defaults d\n  option httpchk\n");
    const before = `${http}backend b from d\n`;
    expect(plan(files(before), files(`${before}  server x 1.1.1.1:1 check\n`), V34)).toMatchObject({
      operations: [{ server: { connectCheckOnly: false } }],
    });
  });
});

describe("a set of settings", () => {
  const set = `defaults _x:1\n  timeout server 9s\nbackend _spare_x:1_1 from _x:1\n`;
  const web = "backend web from _x:1\n  server x 1.1.1.1:1\n";
  const map = { "/m": "/web/ web\n" };

  test.each([V26, V34])("that is new is one reason, whatever comes with it", (capabilities) => {
    expect(plan(files(BASE, { "/m": "" }), files(BASE + set + web, map), capabilities)).toEqual({
      kind: "reload",
      reasons: ['defaults "_x:1" is new'],
    });
  });

  test.each([V26, V34])("that is out of use takes nothing, and comes back", (capabilities) => {
    const [none, used] = [files(BASE, { "/m": "" }), files(BASE + set + web, map)];
    const idle = files(BASE + set, { "/m": "" });
    expect(plan(idle, none, capabilities)).toEqual({ kind: "none" });
    expect(tell(plan(used, none, capabilities))).toContain("remove server web/x");
    const left = withUnremovedBackends({ files: used, aliases: {} }, none, true);
    expect(left.config).toBe(
      `${BASE}defaults _x:1\ntimeout server 9s\nbackend _spare_x:1_1 from _x:1\n`,
    );
    expect(tell(plan(left, used, capabilities))).toEqual([
      "add server _spare_x:1_1/x",
      "add entry /web/ _spare_x:1_1",
    ]);
    expect(plan(left, none, capabilities)).toEqual({ kind: "none" });
  });

  test("whose place matters to another section stays only by a reload", () => {
    const unnamed = BASE.replace("frontend f from d", "frontend f");
    expect(plan(files(unnamed + set), files(unnamed), V34)).toEqual({
      kind: "reload",
      reasons: ['defaults "_x:1" is gone'],
    });
  });
});

test("a default-server line holds for the servers after it", () => {
  const before = `${BASE}backend b from d\n  default-server weight 1\n`;
  const lines = ["server x 1.1.1.1:1", "default-server weight 1", "server y 1.1.1.1:2"];
  expect(plan(files(before), files(BASE + backendOf(...lines)), V34)).toMatchObject({
    operations: [
      { server: { name: "x", settings: ["inter", "2s"] } },
      { server: { name: "y", settings: ["inter", "2s", "weight", "1"] } },
    ],
  });
});

describe("a new backend", () => {
  const spares = "backend _spare_1 from d\nbackend _spare_2 from d\n";
  const web = "backend web from d\n  server x 1.1.1.1:1\n";
  const cannot = 'backend "web" is new (HAProxy 2.6 cannot add one at run time)';

  test.each([
    ["no map", {}],
    ["a map that leads to another backend", { "/m": "/web/ other|1\n" }],
    ["a map with its name after a |", { "/m": "/web/ 1|web\n" }],
    ["a map with its name as a key", { "/m": "web other\n" }],
  ])("does not get a spare one if no map leads to it: %s", (_, maps) => {
    expect(plan(files(BASE + spares, maps), files(BASE + spares + web, maps), V26)).toEqual({
      kind: "reload",
      reasons: [cannot],
    });
  });

  test("takes a reload when all spare ones are in use", () => {
    const backends = ["one", "two", "web"].map((name) => web.replace("web", name));
    const map = { "/m": "/one/ one\n/two/ two\n/web/ web\n" };
    expect(
      plan(files(BASE + spares, { "/m": "" }), files(BASE + spares + backends.join(""), map), V26),
    ).toEqual({ kind: "reload", reasons: [cannot] });
  });

  test("takes a reload for a line of its own, and none for the same line in its defaults", () => {
    expect(plan(files(BASE), files(`${BASE}${web}  maxconn 7\n`), V34)).toEqual({
      kind: "reload",
      reasons: [
        'backend "web" is new and has lines of its own: maxconn (in defaults "d" they need no reload)',
      ],
    });
    const inherited = BASE.replace("defaults d\n", "defaults d\n  maxconn 7\n");
    expect(tell(plan(files(inherited), files(inherited + web), V34))).toEqual([
      "add backend web",
      "add server web/x",
      "publish backend web",
    ]);
  });

  test("takes a reload if its defaults compress, which HAProxy ignores at run time", () => {
    const gzip = BASE.replace("defaults d\n", "defaults d\n  compression algo gzip\n");
    expect(plan(files(gzip), files(gzip + web), V34)).toEqual({
      kind: "reload",
      reasons: ['backend "web" is new (one that is added at run time does not compress)'],
    });
    const map = { "/m": "/web/ web\n" };
    expect(tell(plan(files(gzip + spares, { "/m": "" }), files(gzip + spares + web, map), V26)))
      // A spare backend is in the configuration from the start, so it compresses.
      .toEqual(["add server _spare_1/x", "add entry /web/ _spare_1"]);
  });
});

describe("a setting that HAProxy refused on an added server", () => {
  const refusing = { ...V26, refusedSettings: new Set(["cookie", "redir"]) };
  const reason = 'HAProxy 2.6 takes no "cookie" on a server that is added while it runs';
  const one = "x 1.1.1.1:1 check cookie x";

  test("takes a reload, with one reason for all servers", () => {
    const three = withServers(one, "y 1.1.1.1:2 cookie y", "z 1.1.1.1:3 cookie z");
    expect(plan(withServers(one), three, V26).kind).toBe("runtime");
    expect(plan(withServers(one), three, refusing)).toEqual({ kind: "reload", reasons: [reason] });
  });

  test("takes a reload if it is inherited", () => {
    const inherited = files(BASE.replace("inter 2s", "inter 2s redir http://x"));
    const more = files(`${inherited.config}backend b from d\n  server x 1.1.1.1:1\n`);
    expect(plan(inherited, more, { ...V34, refusedSettings: new Set(["redir"]) })).toEqual({
      kind: "reload",
      reasons: ['HAProxy 3.4 takes no "redir" on a server that is added while it runs'],
    });
  });

  test("does not matter to servers that are there, nor to those that lack it", () => {
    const go = (...servers: string[]): string[] =>
      tell(plan(withServers(one), withServers(...servers), refusing));
    expect(go(`${one} disabled`)).toEqual(["drain server b/x"]);
    expect(go("x 1.1.1.2:1 check cookie x")).toEqual(["move server b/x"]);
    expect(go()).toEqual(["remove server b/x"]);
    expect(go(one, "y 1.1.1.1:2")).toEqual(["add server b/y"]);
  });
});

describe("a balance whose servers are known from the start takes a reload for a new one", () => {
  test.each([
    ["static-rr", ""],
    ["source", ""],
    ["uri whole", ""],
    ["url_param id", ""],
    ["hdr(X-User)", ""],
    ["rdp-cookie(x)", ""],
    ["hash path", ""],
    ["uri", "  hash-type map-based\n"],
    ["static-rr", "  hash-type consistent\n"],
  ])("balance %s %p", (method, more) => {
    const lines = `  balance ${method}\n${more}`;
    const reason = `backend "b" has "balance ${method}", with which HAProxy adds no server while it runs`;
    expect(plan(balanced(lines, 1), balanced(lines, 2), V34)).toEqual({
      kind: "reload",
      reasons: [reason],
    });
    expect(tell(plan(balanced(lines, 2), balanced(lines, 1), V34))).toEqual(["remove server b/z"]);
  });

  test.each([
    ["roundrobin", ""],
    ["leastconn", ""],
    ["first", ""],
    ["random(2)", ""],
    ["source", "  hash-type consistent\n"],
    ["uri", "  hash-type consistent sdbm avalanche\n"],
  ])("but not balance %s %p", (method, more) => {
    const lines = `  balance ${method}\n${more}`;
    expect(tell(plan(balanced(lines, 1), balanced(lines, 2), V34))).toEqual(["add server b/z"]);
  });

  test("of the defaults, unless the backend has its own", () => {
    const inherited = BASE.replace("inter 2s", "inter 2s\n  balance uri");
    const backend = "backend b from d\n";
    const server = "  server x 1.1.1.1:1\n";
    expect(plan(files(inherited), files(inherited + backend + server), V34)).toEqual({
      kind: "reload",
      reasons: ['backend "b" has "balance uri", with which HAProxy adds no server while it runs'],
    });
    const own = `${inherited}${backend}  balance leastconn\n`;
    expect(tell(plan(files(own), files(own + server), V34))).toEqual(["add server b/x"]);
  });
});

test.each([
  ["", false],
  [" level operator", false],
  [" mode 600 level user", false],
  [" mode 600 level admin", true],
])("a stats socket with %p lets HAProxy be changed: %p", (words, may) => {
  const config = BASE.replace(" level admin", words);
  const reason =
    "the stats socket is not of level admin, so HAProxy cannot be changed while it runs";
  const more = files(`${config}backend b from d\n  server x 1.1.1.1:1\n`);
  expect(plan(files(config), more, V34)).toMatchObject(
    may ? { kind: "runtime" } : { kind: "reload", reasons: [reason] },
  );
});

describe("a server that was drained before the plan", () => {
  const [on, off] = [withServers("x 1.1.1.1:1"), withServers("x 1.1.1.1:1 disabled")];
  const overridden = new Set(["b/x"]);

  test("is enabled again if it is not disabled", () => {
    const applied = { files: on, aliases: {}, overridden };
    expect(tell(planChange(applied, on, V34))).toEqual(["enable server b/x"]);
    expect(planChange(applied, on, undefined).kind).toBe("reload");
  });

  test("is drained again if it is disabled now", () => {
    // The plan must not be empty, so that the files are written too.
    const applied = { files: on, aliases: {}, overridden };
    expect(tell(planChange(applied, off, V34))).toEqual(["drain server b/x"]);
  });

  test("is drained if it is disabled in both versions: it may have been enabled", () => {
    const applied = { files: off, aliases: {}, overridden };
    expect(tell(planChange(applied, off, V34))).toEqual(["drain server b/x"]);
  });

  test("is known by its backend's name in HAProxy", () => {
    const applied = { files: on, aliases: { b: "_spare_1" }, overridden };
    expect(planChange(applied, on, V26)).toEqual({ kind: "none" });
    const other = { ...applied, overridden: new Set(["_spare_1/x"]) };
    expect(tell(planChange(other, on, V26))).toEqual(["enable server _spare_1/x"]);
  });

  test("is moved or removed like any other", () => {
    const applied = { files: on, aliases: {}, overridden };
    const moved = withServers("x 1.1.1.2:1");
    expect(tell(planChange(applied, moved, V34))).toEqual(["move server b/x"]);
    expect(tell(planChange(applied, withServers(), V34))).toEqual(["remove server b/x"]);
  });

  test("takes a reload if the configuration has conditions", () => {
    const conditional = files(`${on.config}.if true\n  server y 1.1.1.1:2\n.endif\n`);
    const applied = { files: conditional, aliases: {}, overridden };
    expect(planChange(applied, conditional, V34).kind).toBe("reload");
  });
});

test("operations are in an order in which no request is lost", () => {
  const gone = "backend gone from d\n  server g 1.1.1.9:1\n";
  const before = files(
    `${withServers("stays 1.1.1.1:1", "stops 1.1.1.2:1", "moves 1.1.1.3:1", "back 1.1.1.4:1 disabled", "old 1.1.1.5:1").config}${gone}`,
    { "/m": "/gone/ gone\n/moved/ gone\n" },
  );
  const now = withServers(
    "stays 1.1.1.1:1",
    "stops 1.1.1.2:1 disabled",
    "moves 1.1.1.3:2",
    "back 1.1.1.4:1",
    "new 1.1.1.6:1",
  ).config;
  const after = files(`${now}backend web from d\n  server w 1.1.1.7:1\n`, {
    "/m": "/web/ web\n/moved/ b\n",
  });
  expect(tell(plan(before, after, V34))).toEqual([
    "add backend web",
    "add server b/new",
    "add server web/w",
    "move server b/moves",
    "enable server b/back",
    "drain server b/stops",
    "publish backend web",
    "add entry /web/ web",
    "set entry /moved/ b",
    "delete entry /gone/",
    "remove server b/old",
    "remove server gone/g",
    "remove backend gone",
  ]);
});

/** A backend with these lines and the first servers of two. */
function balanced(lines: string, count: number): Files {
  const servers = ["  server y 1.1.1.1:1\n", "  server z 1.1.1.1:2\n"].slice(0, count);
  return files(`${BASE}backend b from d\n${lines}${servers.join("")}`);
}

function backendOf(...lines: string[]): string {
  return `backend b from d\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
