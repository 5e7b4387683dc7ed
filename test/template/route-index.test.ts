// The routes in pieces, as the page of --index follows them.

import { expect, test } from "bun:test";
import { indexOf } from "../../src/template/route-index.ts";
import { NO_RULES, type Service } from "../../src/model.ts";

/** A service with a route for each of these paths. */
function service(name: string, paths: readonly string[]): Service {
  return {
    name,
    backend: name,
    profile: "_backend",
    settings: {},
    servers: [],
    waiting: [],
    hold: "",
    routes: paths.map((path) => ({
      host: "",
      path,
      strip: true,
      rewrite: "",
      key: `${path}/`,
      backend: name,
      rules: NO_RULES,
    })),
  };
}

/** The rows in the order in which the page has them. */
function followed(services: readonly Service[]): string[] {
  const pieces = new Map(indexOf(services, String).map(({ key, value }) => [key, value]));
  const rows: string[] = [];
  for (let key: string | undefined = "first"; key !== undefined && key !== "";) {
    const [next = "", ...own]: string[] = (pieces.get(key) ?? "").slice(1).split(",");
    rows.push(...own.filter((row) => row !== ""));
    key = next;
  }
  return rows;
}

const PATHS = Array.from({ length: 3_000 }, (_, index) => `/p${String(index).padStart(5, "0")}`);

test("each route is there once, in order", () => {
  const services = [service("b", PATHS.slice(1_000)), service("a", PATHS.slice(0, 1_000))];
  expect(followed(services)).toEqual(
    PATHS.map((path, index) => `|${encodeURIComponent(path)}|${index < 1_000 ? "a" : "b"}`),
  );
});

test("without routes there is one piece", () => {
  expect(indexOf([], String)).toEqual([{ key: "first", value: "=," }]);
  expect(followed([])).toEqual([]);
});

test("a route more changes one piece, or two", () => {
  const before = new Map(
    indexOf([service("a", PATHS)], String).map(({ key, value }) => [key, value]),
  );
  for (const path of ["/a", "/p00500x", "/p01234x", "/p02999x", "/z"]) {
    const after = indexOf([service("a", [...PATHS, path])], String);
    const changed = after.filter(({ key, value }) => before.get(key) !== value);
    expect([1, 2]).toContain(changed.length);
    expect(after.length - before.size).toBe(changed.length - 1);
  }
});

test("a piece comes after the one that it leads to, so that none is led to before it is there", () => {
  const keys = indexOf([service("a", PATHS)], String).map(({ key }) => key);
  const nexts = indexOf([service("a", PATHS)], String).map(
    ({ value }) => value.slice(1).split(",")[0],
  );
  expect(keys.at(-1)).toBe("first");
  expect(nexts).toEqual(["", ...keys.slice(0, -1)]);
});

test("no piece is too long for a command", () => {
  const long = PATHS.map((path) => `${path}/${"x".repeat(400)}`);
  for (const { value } of indexOf([service("a", long)], String))
    expect(value.length).toBeLessThan(9_000);
});
