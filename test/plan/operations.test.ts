// Plans that change a running HAProxy without a reload.

import { describe, expect, test } from "bun:test";
import type { Files } from "../../src/model.ts";
import type { Aliases } from "../../src/config/operations.ts";
import { withUnremovedBackends, type Plan } from "../../src/plan/plan.ts";
import { files } from "../lab/make.ts";
import { withServers, BASE, plan, routes, tell, V26, V34 } from "../lab/plans.ts";

describe("operations if HAProxy's capabilities are known, else a reload with the reasons", () => {
  test.each<[string, Files, Files, string[], string[]]>([
    [
      "one more server",
      withServers("x 1.1.1.1:1"),
      withServers("x 1.1.1.1:1", "y 1.1.1.2:1"),
      ["add server b/y"],
      ['backend "b" changed (server y)'],
    ],
    [
      "one server less",
      withServers("x 1.1.1.1:1", "y 1.1.1.2:1"),
      withServers("x 1.1.1.1:1"),
      ["remove server b/y"],
      ['backend "b" changed (server y)'],
    ],
    [
      "another address",
      withServers("x 1.1.1.1:1 check"),
      withServers("x 1.1.1.2:1 check"),
      ["move server b/x"],
      ['backend "b" changed (server x)'],
    ],
    [
      "another port",
      withServers("x [fd00::1]:1"),
      withServers("x [fd00::1]:2"),
      ["move server b/x"],
      ['backend "b" changed (server x)'],
    ],
    [
      "disabled",
      withServers("x 1.1.1.1:1"),
      withServers("x 1.1.1.1:1 disabled"),
      ["drain server b/x"],
      ['backend "b" changed (server x)'],
    ],
    [
      "enabled",
      withServers("x 1.1.1.1:1 disabled"),
      withServers("x 1.1.1.1:1"),
      ["enable server b/x"],
      ['backend "b" changed (server x)'],
    ],
    [
      "a rolling upgrade: first the new one, then the old",
      withServers("old 1.1.1.1:1"),
      withServers("new 1.1.1.2:1"),
      ["add server b/new", "remove server b/old"],
      ['backend "b" changed (server new)', 'backend "b" changed (server old)'],
    ],
    ["a new route", routes(""), routes("/a/ a|1\n"), ["add entry /a/ a|1"], ["map /m changed"]],
    [
      "a route's backend",
      routes("/a/ a|1\n"),
      routes("/a/ b|1\n"),
      ["set entry /a/ b|1"],
      ["map /m changed"],
    ],
    [
      "a route is gone",
      routes("/a/ a\n/b/ b\n"),
      routes("/b/ b\n"),
      ["delete entry /a/"],
      ["map /m changed"],
    ],
    [
      "a repeated key: the map as a whole",
      routes("/a/ a\n"),
      routes("/a/ a\n/a/ b\n"),
      ["replace map with 2"],
      ["map /m changed"],
    ],
    [
      "very many changes: the map as a whole",
      routes("/z/ z\n"),
      routes(Array.from({ length: 100 }, (_, index) => `/${index}/ a\n`).join("")),
      ["replace map with 100"],
      ["map /m changed"],
    ],
  ])("%s", (_, before, after, operations, reasons) => {
    for (const capabilities of [V26, V34]) {
      expect(tell(plan(before, after, capabilities))).toEqual(operations);
    }
    expect(plan(before, after, undefined)).toEqual({ kind: "reload", reasons });
  });

  test("an added server gets the settings of its defaults", () => {
    const done = plan(withServers(), withServers("x [fd00::1]:8000 check disabled"), V34);
    expect(done).toMatchObject({
      operations: [
        {
          do: "add server",
          backend: "b",
          server: {
            name: "x",
            address: "[fd00::1]",
            port: "8000",
            settings: ["inter", "2s", "check"],
            disabled: true,
          },
        },
      ],
    });
  });
});

describe("the settings of an added server come from", () => {
  const first = "defaults\n  default-server inter 1s check\n";
  const second = "defaults\n  default-server inter 2s\n";
  const named = "defaults n\n  default-server inter 3s\n";
  const child = "defaults h from n\n  default-server fall 2\n";

  // HERE marks the place of the added server.
  test.each<[string, string, string[]]>([
    [
      "the defaults that its backend names",
      `${first}${named}backend b from n\nHERE`,
      ["inter", "3s"],
    ],
    [
      "the parent of those defaults too",
      `${named}${child}backend b from h\nHERE`,
      ["inter", "3s", "fall", "2"],
    ],
    [
      "the defaults before its backend",
      `${first}frontend f\nbackend b\nHERE`,
      ["inter", "1s", "check"],
    ],
    [
      "the last of several defaults before it",
      `${first}frontend f\n${second}backend b\nHERE${named}`,
      ["inter", "2s"],
    ],
    [
      "the last defaults before it, with a name too",
      `${first}frontend f\n${named}backend b\nHERE`,
      ["inter", "3s"],
    ],
    [
      "the default-server line of its backend too",
      `${second}backend b\n  default-server fall 3\nHERE`,
      ["inter", "2s", "fall", "3"],
    ],
    ["its own line alone without defaults", "frontend f\nbackend b\nHERE", []],
  ])("%s", (_, config, settings) => {
    const before = files(config.replace("HERE", ""));
    const after = files(config.replace("HERE", "  server x 1.1.1.1:1 weight 5\n"));
    expect(plan(before, after, V34)).toMatchObject({
      operations: [{ do: "add server", server: { settings: [...settings, "weight", "5"] } }],
    });
  });
});

describe("backends that are added and removed", () => {
  const spare = "backend _spare_1 from d\nbackend _spare_2 from d\n";
  const otherSpare = "backend _spare_3 from other\n";
  const other = "defaults other\n  timeout server 1s\n";
  const web = "backend web from d\n  server x 1.1.1.1:1\n";
  const api = "backend api from other\n  server y 1.1.1.1:2\n";
  const entry = { "/m": "/web/ web|1\n" };

  test("3.4 adds a backend, and publishes it before a route leads there", () => {
    expect(tell(plan(files(BASE, { "/m": "" }), files(BASE + web, entry), V34))).toEqual([
      "add backend web",
      "add server web/x",
      "publish backend web",
      "add entry /web/ web|1",
    ]);
  });

  test("3.4 removes a backend after its routes and servers", () => {
    expect(tell(plan(files(BASE + web, entry), files(BASE, { "/m": "" }), V34))).toEqual([
      "delete entry /web/",
      "remove server web/x",
      "remove backend web",
    ]);
  });

  test("2.6 uses a spare backend, and an alias for its name", () => {
    const before = files(BASE + spare, { "/m": "" });
    const after = files(BASE + spare + web, entry);
    const done = plan(before, after, V26);
    expect(tell(done)).toEqual(["add server _spare_1/x", "add entry /web/ _spare_1|1"]);
    const aliases = { web: "_spare_1" };
    expect(done).toMatchObject({ aliases });

    const moved = files(BASE + spare + web.replace(".1:1", ".9:1"), entry);
    expect(tell(plan(after, moved, V26, aliases))).toEqual(["move server _spare_1/x"]);
    expect(tell(plan(after, before, V26, aliases))).toEqual([
      "delete entry /web/",
      "remove server _spare_1/x",
    ]);
  });

  test("2.6 uses no spare backend twice", () => {
    const second = web.replace("web", "shop");
    const after = files(BASE + spare + web + second, { "/m": "/web/ web|1\n/shop/ shop|1\n" });
    const done = plan(files(BASE + spare + web, entry), after, V26, { web: "_spare_1" });
    expect(done).toMatchObject({ aliases: { web: "_spare_1", shop: "_spare_2" } });
    expect(tell(done)).toEqual(["add server _spare_2/x", "add entry /shop/ _spare_2|1"]);
  });

  test("2.6 without a spare backend reloads", () => {
    const reason = 'backend "web" is new (HAProxy 2.6 cannot add one at run time)';
    const expected: Plan = { kind: "reload", reasons: [reason] };
    expect(plan(files(BASE), files(BASE + web), V26)).toEqual(expected);
  });

  test("2.6 uses no spare backend with other defaults", () => {
    const before = BASE + other + spare;
    const route = { "/m": "/api/ api|1\n" };
    expect(plan(files(before, route), files(before + api, route), V26)).toEqual({
      kind: "reload",
      reasons: ['backend "api" is new (HAProxy 2.6 cannot add one at run time)'],
    });
    const withOther = before + otherSpare;
    const done = plan(files(withOther, { "/m": "" }), files(withOther + api, route), V26);
    expect(done).toMatchObject({ aliases: { api: "_spare_3" } });
    expect(tell(done)).toEqual(["add server _spare_3/y", "add entry /api/ _spare_3|1"]);
  });

  describe("that have rules about answers", () => {
    const rules = "  tcp-response inspect-delay 1h\n  tcp-response content accept\n";
    const withRules = (text: string): string => text.replaceAll(" from d\n", ` from d\n${rules}`);
    const ruledWeb = withRules(web);
    const before = files(BASE + withRules(spare), { "/m": "" });
    const after = files(BASE + ruledWeb + withRules(spare), entry);

    test.each([V26, V34])("are served by a spare one that has the same rules", (capabilities) => {
      const done = plan(before, after, capabilities);
      expect(tell(done)).toEqual(["add server _spare_1/x", "add entry /web/ _spare_1|1"]);
      expect(done).toMatchObject({ aliases: { web: "_spare_1" } });
      expect(tell(plan(after, before, capabilities, { web: "_spare_1" }))).toEqual([
        "delete entry /web/",
        "remove server _spare_1/x",
      ]);
    });

    test("take a reload where no spare one is left, or none has these rules", () => {
      const aliases = { one: "_spare_1", two: "_spare_2" };
      const cannotAdd = reload(" (HAProxy 2.6 cannot add one at run time)");
      expect(plan(before, after, V34, aliases)).toEqual(reload(" (no spare backend is left)"));
      expect(plan(before, after, V26, aliases)).toEqual(cannotAdd);
      for (const others of ["", spare, withRules(spare).replaceAll("1h", "2h")]) {
        const from = files(BASE + others, entry);
        const to = files(BASE + ruledWeb + others, entry);
        const own = ' and has lines of its own: tcp-response (in defaults "d" they need no reload)';
        expect(plan(from, to, V34)).toEqual(reload(own));
        expect(plan(from, to, V26)).toEqual(cannotAdd);
      }
    });

    test("are new, and no more, while HAProxy's capabilities are not known", () => {
      expect(plan(before, after, undefined)).toMatchObject({
        reasons: ['backend "web" is new', 'backend "web" changed (server x)', "map /m changed"],
      });
    });

    test("are removed by 3.4 if the file had them", () => {
      expect(tell(plan(after, before, V34)).at(-1)).toBe("remove backend web");
    });

    test("stay in the files where HAProxy keeps them, with their rules", () => {
      const kept = (aliases: Aliases, removesBackends: boolean): string =>
        withUnremovedBackends({ files: after, aliases }, before, removesBackends).config;
      const rest = `backend web from d\n${rules.replaceAll(/^ {2}/gm, "")}`;
      expect(kept({}, false)).toBe(before.config + rest);
      expect(kept({ web: "_spare_1" }, true)).toBe(before.config + rest);
      expect(kept({}, true)).toBe(before.config);
    });
  });

  describe("that speak FastCGI", () => {
    const app = "fcgi-app a\n  docroot /srv\n";
    const own = "  use-fcgi-app a\n  server _fcgi 127.0.0.1:1 disabled\n";
    const withApp = (text: string): string => text.replaceAll(" from d\n", ` from d\n${own}`);
    const before = files(BASE + app + withApp(spare), { "/m": "" });
    const after = files(BASE + app + withApp(web) + withApp(spare), entry);

    test.each([V26, V34])("are served by a spare one of the same application", (capabilities) => {
      const done = plan(before, after, capabilities);
      expect(tell(done)).toEqual(["add server _spare_1/x", "add entry /web/ _spare_1|1"]);
      expect(tell(plan(after, before, capabilities, { web: "_spare_1" }))).toEqual([
        "delete entry /web/",
        "remove server _spare_1/x",
      ]);
      const another = files(BASE + app + withApp(spare).replace("-app a", "-app b"), { "/m": "" });
      expect(plan(another, after, capabilities).kind).toBe("reload");
    });

    test("are removed by 3.4 with the server that HAProxy wants", () => {
      expect(tell(plan(after, before, V34))).toEqual([
        "delete entry /web/",
        "remove server web/x",
        "remove server web/_fcgi",
        "remove backend web",
      ]);
    });

    test("an application of which nobody is left stays, and one that is new is a reload", () => {
      const none = files(BASE, { "/m": "" });
      expect(plan(before, none, V26).kind).toBe("none");
      expect(withUnremovedBackends({ files: before, aliases: {} }, none, true).config).toContain(
        "fcgi-app a\ndocroot /srv\n",
      );
      expect(plan(none, files(BASE + app, { "/m": "" }), V34)).toEqual({
        kind: "reload",
        reasons: ['fcgi-app "a" is new'],
      });
    });
  });

  test("if one change takes a reload there are no operations, and only its reason is given", () => {
    const after = files(BASE.replace(":80", ":81") + web);
    expect(plan(files(BASE), after, V34)).toEqual({
      kind: "reload",
      reasons: ['frontend "f" changed'],
    });
  });

  test("without known capabilities, the reasons name the backend", () => {
    expect(plan(files(BASE), files(BASE + web), undefined)).toEqual({
      kind: "reload",
      reasons: ['backend "web" is new', 'backend "web" changed (server x)'],
    });
    expect(plan(files(BASE + web), files(BASE), undefined)).toEqual({
      kind: "reload",
      reasons: ['backend "web" changed (server x)', 'backend "web" is gone'],
    });
  });
});

/** A reload because of the new backend. @param why the rest of its reason */
function reload(why: string): Plan {
  return { kind: "reload", reasons: [`backend "web" is new${why}`] };
}
