// An address that goes to another container, and a server whose container is another one now.

import { describe, expect, test } from "bun:test";
import { WAITING_ROOM, type BackendServer } from "../../src/config/operations.ts";
import { ownerLine, ownersText } from "../../src/config/owners.ts";
import type { Files } from "../../src/model.ts";
import { mustMakeRoom, planChange } from "../../src/plan/plan.ts";
import { tell, V26, V34, withServers } from "../lab/plans.ts";

/** @param owners by place: the container, and perhaps a `+` for each restart */
function behind(files: Files, owners: Readonly<Record<string, string>>): Files {
  const lines = Object.entries(owners).map(([place, owner]) =>
    ownerLine(place, {
      id: owner.replaceAll("+", ""),
      name: owner,
      startedAt: owner,
      processes: undefined,
    }),
  );
  const owner = { kind: "owners", text: ownersText("here", lines) } as const;
  return { ...files, assets: { ...files.assets, "/owners": owner } };
}

function plan(before: Files, after: Files, version = V34): string[] {
  return tell(planChange({ files: before, aliases: {} }, after, version));
}

const SERVER = /^(\S+)\/(\S+) (\S+):(\d+)$/;
const NOTHING = tell({ kind: "none" });
const X = "10.0.0.1:80";
const Y = "10.0.0.2:80";

describe.each([
  ["2.6", V26],
  ["3.4", V34],
] as const)("HAProxy %s: the address", (_, version) => {
  test("goes to the next container: the one before is out first", () => {
    const before = behind(withServers(`a ${X}`), { [X]: "a" });
    const after = behind(withServers(`b ${X}`), { [X]: "b" });
    expect(plan(before, after, version)).toEqual([
      "disable server b/a",
      "add server b/b",
      "remove server b/a",
    ]);
  });

  test("changes hands with another: both are out first", () => {
    const before = behind(withServers(`a ${X}`, `b ${Y}`), { [X]: "a", [Y]: "b" });
    const after = behind(withServers(`a ${Y}`, `b ${X}`), { [X]: "b+", [Y]: "a+" });
    expect(plan(before, after, version)).toEqual([
      "disable server b/a",
      "disable server b/b",
      "move server b/a",
      "move server b/b",
    ]);
  });

  test("is another container's, and its own stays without requests: it is disabled, not drained", () => {
    const before = behind(withServers(`a ${X}`, `b ${Y}`), { [X]: "a", [Y]: "b" });
    const after = behind(withServers(`a ${X} disabled`, `b ${X}`), { [X]: "b" });
    expect(plan(before, after, version)).toEqual(["disable server b/a", "move server b/b"]);
  });

  test("stays with its container under another name: nothing is disabled", () => {
    const before = behind(withServers(`a ${X}`), { [X]: "a" });
    const after = behind(withServers("a:1 10.0.0.1:8000"), { "10.0.0.1:8000": "a" });
    expect(plan(before, after, version)).toEqual(["add server b/a:1", "remove server b/a"]);
  });

  test("is the host's, and each container there has its own port: one leaves as ever", () => {
    const [one, two, three] = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    const before = behind(withServers(`a ${one}`, `b ${two}`), { [one]: "a", [two]: "b" });
    const after = behind(withServers(`b ${two}`, `c ${three}`), { [two]: "b", [three]: "c" });
    expect(plan(before, after, version)).toEqual(["add server b/c", "remove server b/a"]);
  });

  test("is this machine's, and the next container there has another port", () => {
    const [one, two] = ["127.0.0.1:1", "127.0.0.1:2"];
    const before = behind(withServers(`a ${one}`), { [one]: "a" });
    const after = behind(withServers(`b ${two}`), { [two]: "b" });
    expect(plan(before, after, version)).toEqual(["add server b/b", "remove server b/a"]);
    const same = behind(withServers(`b ${one}`), { [one]: "b" });
    expect(plan(before, same, version)[0]).toBe("disable server b/a");
  });

  test("is taken by one that gets no requests yet: the one before gets none either", () => {
    const before = behind(withServers(`a ${X}`), { [X]: "a" });
    const after = behind(withServers(`b ${X} disabled`), { [X]: "b" });
    expect(plan(before, after, version)).toEqual([
      "disable server b/a",
      "add server b/b",
      "remove server b/a",
    ]);
  });

  test("of a waiting room is nobody's: it takes none from another", () => {
    const room = `${WAITING_ROOM} 127.0.0.1:1 disabled`;
    const [before, after] = [withServers(`a ${X}`, room), withServers(`a ${X}`)];
    const next = { ...after, config: `${after.config}backend c from d\n    server ${room}\n` };
    expect(plan(before, next, version).filter((each) => each.startsWith("disable"))).toEqual([]);
  });

  test("where nobody is known, a new server there counts as another's", () => {
    const [before, after] = [withServers(`a ${X}`), withServers(`b ${X}`)];
    expect(plan(before, after, version)[0]).toBe("disable server b/a");
  });
});

test("one that is removed after it was disabled is not drained again", () => {
  const before = behind(withServers(`a ${X}`), { [X]: "a" });
  const done = planChange({ files: before, aliases: {} }, withServers(`b ${X}`), V34);
  const last = done.kind === "runtime" ? done.operations.at(-1) : undefined;
  expect(last).toMatchObject({ do: "remove server", server: { name: "a", disabled: true } });
});

describe("the container behind a server", () => {
  const lines = withServers(`a ${X}`, `b ${Y}`);
  const before = behind(lines, { [X]: "a", [Y]: "b" });

  test("was restarted: the server starts anew", () => {
    expect(plan(before, behind(lines, { [X]: "a+", [Y]: "b" }))).toEqual(["enable server b/a"]);
  });

  test("is another one: the same", () => {
    expect(plan(before, behind(lines, { [X]: "a", [Y]: "c" }))).toEqual(["enable server b/b"]);
  });

  test("was restarted, and gets no requests: nothing is to do", () => {
    const paused = withServers(`a ${X} disabled`, `b ${Y}`);
    expect(plan(behind(paused, { [X]: "a" }), behind(paused, { [X]: "a+" }))).toEqual(NOTHING);
  });

  test("was not known before", () => {
    expect(plan(lines, before)).toEqual(NOTHING);
    expect(plan(before, lines)).toEqual(NOTHING);
  });

  test("was restarted, and HAProxy can only be reloaded", () => {
    const after = behind(lines, { [X]: "a+", [Y]: "b" });
    expect(planChange({ files: before, aliases: {} }, after, undefined)).toEqual({
      kind: "reload",
      reasons: ['backend "b" changed (server a)'],
    });
  });

  test("was restarted beside other changes", () => {
    const more = behind(withServers(`a ${X}`, `b ${Y}`, "c 10.0.0.3:80"), { [X]: "a+", [Y]: "b" });
    expect(plan(before, more)).toEqual(["add server b/c", "enable server b/a"]);
  });
});

describe("a server of an earlier configuration must make room", () => {
  test("for another one at its address, whatever the port", () => {
    expect(makesRoom("web/a 10.0.0.1:80", now("shop/b 10.0.0.1:8000"))).toBe(true);
    expect(makesRoom("web/a fd00::1:80", now("shop/b [fd00::1]:80"))).toBe(true);
    expect(makesRoom("web/a 10.0.0.2:80", now("shop/b 10.0.0.1:80"))).toBe(false);
  });

  test("not for itself, not for one of its backend", () => {
    const own = now("_spare_1/a 10.0.0.1:8000");
    expect(makesRoom("web/a 10.0.0.1:80", own, now("shop/b 10.0.0.1:80"))).toBe(false);
    expect(makesRoom("web/a 10.0.0.1:80", now("web/b 10.0.0.1:80"))).toBe(false);
  });

  test("for one without requests, too: it may get some at once", () => {
    expect(makesRoom("web/a 10.0.0.1:80", now("shop/b 10.0.0.1:80", true))).toBe(true);
  });

  test("on this machine's own address only at its port", () => {
    expect(makesRoom("web/a 127.0.0.1:80", now("shop/b 127.0.0.1:80"))).toBe(true);
    expect(makesRoom("web/a 127.0.0.1:81", now("shop/b 127.0.0.1:80"))).toBe(false);
    expect(makesRoom("web/a ::1:81", now("shop/b [::1]:80"))).toBe(false);
  });

  test("on a machine where containers publish ports only at its port", () => {
    const [own, other] = [publishedAt("10.0.0.1:81"), publishedAt("[fd00::1]:81")];
    expect(makesRoomIn(own, "web/a 10.0.0.1:80", now("shop/b 10.0.0.1:81"))).toBe(false);
    expect(makesRoomIn(own, "web/a 10.0.0.1:81", now("shop/b 10.0.0.1:81"))).toBe(true);
    expect(makesRoomIn(other, "web/a 10.0.0.1:80", now("shop/b 10.0.0.1:81"))).toBe(true);
    expect(makesRoomIn(other, "web/a fd00::1:80", now("shop/b [fd00::1]:81"))).toBe(false);
  });

  test("not for the waiting room", () => {
    expect(makesRoom("web/a 10.0.0.1:1", now(`shop/${WAITING_ROOM} 10.0.0.1:1`))).toBe(false);
  });
});

/** Files with one container, which publishes a port there. */
function publishedAt(place: string): Files {
  const owner = {
    id: "b",
    name: "b",
    startedAt: "",
    processes: undefined,
    isPublished: true,
  } as const;
  const text = ownersText("here", [ownerLine(place, owner)]);
  return { config: "", assets: { "/owners": { kind: "owners", text } } };
}

/** Whether a server makes room for these, given as `backend/name address:port`. */
function makesRoom(former: string, ...servers: BackendServer[]): boolean {
  return makesRoomIn({ config: "", assets: {} }, former, ...servers);
}

function makesRoomIn(files: Files, former: string, ...servers: BackendServer[]): boolean {
  const [, backend = "", name = "", address = "", port = ""] = SERVER.exec(former) ?? [];
  return mustMakeRoom(servers, files)({ backend, name, address, port });
}

function now(text: string, disabled = false): BackendServer {
  const [, backend = "", name = "", address = "", port = ""] = SERVER.exec(text) ?? [];
  const rest = { settings: [], disabled, connectCheckOnly: false, cookieKey: "" };
  return { backend, server: { name, address, port, ...rest } };
}
