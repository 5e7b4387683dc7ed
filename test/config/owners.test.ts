// The file that says who is behind each server: written, read, and compared.

import { describe, expect, test } from "bun:test";
import type { Files } from "../../src/model.ts";
import {
  changedHands,
  ownerLine,
  ownersText,
  parseOwners,
  renewedPlaces,
  type Owner,
} from "../../src/config/owners.ts";

const SCOPE = "44bd7777-0334-4d08-a154-54f954b4e7c8 pid:[4026531836]";
const WEB: Owner = {
  id: "a".repeat(64),
  name: "web",
  startedAt: "2026-11-22T21:41:01.264926066Z",
  processes: [{ pid: 42, started: "1842527" }],
};
const GUEST: Owner = {
  ...WEB,
  id: "b".repeat(64),
  processes: [...(WEB.processes ?? []), { pid: 7, started: "9" }],
};
const REMOTE: Owner = { ...WEB, id: "c".repeat(64), processes: undefined };
const UNREAD: Owner = { ...REMOTE, id: "d".repeat(64), startedAt: "" };

function text(...owners: readonly (readonly [place: string, owner: Owner])[]): string {
  return ownersText(
    SCOPE,
    owners.map(([place, owner]) => ownerLine(place, owner)),
  );
}

/** Files of which only the owners matter. */
function owned(...owners: readonly (readonly [place: string, owner: Owner])[]): Files {
  return { config: "", assets: { "/owners": { kind: "owners", text: text(...owners) } } };
}

test("what is written is read again", () => {
  const owners = parseOwners(
    text(
      ["172.17.0.2:80", WEB],
      ["[fd00::1]:80", GUEST],
      ["127.0.0.1:8080", REMOTE],
      ["127.0.0.1:8080", UNREAD],
    ),
  );
  expect(owners?.scope).toBe(SCOPE);
  expect([...(owners?.byPlace ?? [])]).toEqual([
    ["172.17.0.2:80", [WEB]],
    ["[fd00::1]:80", [GUEST]],
    ["127.0.0.1:8080", [REMOTE, UNREAD]],
  ]);
});

test("nobody is behind any server", () => {
  expect(parseOwners(text())).toEqual({ scope: SCOPE, byPlace: new Map() });
});

describe("a file that is not whole is no file", () => {
  const whole = text(["172.17.0.2:80", WEB], ["172.17.0.3:80", GUEST]);
  test.each([
    ["empty", ""],
    ["zeros, as after a power cut", "\0".repeat(whole.length)],
    ["without its end", whole.slice(0, -4)],
    ["without its beginning", whole.slice(10)],
    ["a line that lacks its end", whole.replace(/ 42\/1842527 web$/m, "")],
    ["another program's", "scope x\nend\n"],
  ])("%s", (_, part) => {
    expect(parseOwners(part)).toBeUndefined();
  });
  test("cut off anywhere", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(parseOwners(whole.slice(0, length))).toBeUndefined();
    }
  });
});

describe("who is new", () => {
  const before = text(["172.17.0.1:80", REMOTE], ["172.17.0.2:80", WEB], ["172.17.0.3:80", GUEST]);
  const after = (owner: Owner): string =>
    text(["172.17.0.1:80", REMOTE], ["172.17.0.2:80", owner], ["172.17.0.3:80", GUEST]);

  test.each<[string, Owner, boolean]>([
    ["nobody", WEB, false],
    ["another container", { ...WEB, id: "e".repeat(64) }, true],
    ["the same container after a restart", { ...WEB, startedAt: "2026-11-22T22:00:00Z" }, true],
    ["one whose processes cannot be seen any more", { ...WEB, processes: undefined }, false],
    ["one that was renamed", { ...WEB, name: "shop" }, false],
    ["one of which the Engine did not tell the start", { ...WEB, startedAt: "" }, false],
  ])("%s", (_, owner, isNew) => {
    expect([...renewedPlaces(before, after(owner))]).toEqual(isNew ? ["172.17.0.2:80"] : []);
  });

  test("a place that had nobody before is not renewed, and one without anybody is gone", () => {
    const [none, some] = [text(), text(["172.17.0.2:80", WEB])];
    expect([...renewedPlaces(none, some), ...renewedPlaces(some, none)]).toEqual([]);
  });

  test("one of two that share a place", () => {
    const place = "127.0.0.1:80";
    const restarted = { ...GUEST, startedAt: "2026-11-22T22:00:00Z" };
    const [former, now] = [
      text([place, WEB], [place, GUEST]),
      text([place, WEB], [place, restarted]),
    ];
    expect([...renewedPlaces(former, now)]).toEqual([place]);
  });
});

describe("addresses that change hands", () => {
  const before = owned(["10.0.0.1:80", WEB], ["[fd00::1]:80", GUEST], ["127.0.0.1:80", WEB]);

  test("nothing changes", () => {
    expect([...changedHands(before, before)]).toEqual([]);
  });

  test("whatever the port", () => {
    const after = owned(["10.0.0.1:8000", GUEST], ["[fd00::1]:8000", WEB]);
    expect([...changedHands(before, after)]).toEqual(["10.0.0.1", "fd00::1"]);
  });

  test("not one that its container keeps, or shares, or that nobody has", () => {
    const after = owned(["10.0.0.1:8000", WEB], ["127.0.0.1:81", GUEST], ["127.0.0.1:80", WEB]);
    expect([...changedHands(before, after)]).toEqual([]);
  });
});
