// Which of Traefik's routers gets a request: there the one with the longest rule or the highest
// priority, here the more exact host and then the longer path.

import { expect, test } from "bun:test";
import { BCRYPT, EVERYBODY, labelsOf, type Texts } from "./read.ts";

/** Labels of routers, by their names. */
function routers(all: Readonly<Record<string, Texts>>): Texts {
  const options = Object.entries(all).flatMap(([name, own]) =>
    Object.entries(own).map(([option, value]) => [`traefik.http.routers.${name}.${option}`, value]),
  );
  return {
    "traefik.http.middlewares.auth.basicauth.users": `bob:${BCRYPT}`,
    ...Object.fromEntries(options),
  };
}

/** The routes as `host path`, with a star where a password is asked for. */
function routesOf(all: Readonly<Record<string, Texts>>): readonly string[] {
  const labels = labelsOf(routers(all));
  const prefixes = Object.keys(labels).flatMap((name) => /^(.*?)path$/.exec(name)?.[1] ?? []);
  return prefixes.flatMap((prefix) => {
    const text = (name: string): string => labels[prefix + name] ?? "";
    const mark = text("auth") === "" ? "" : "*";
    return text("path")
      .split(",")
      .flatMap((path) =>
        text("host")
          .split(",")
          .map((host) => `${host}${path}${mark}`),
      );
  });
}

const WIDE = { rule: "Host(`a`)", middlewares: "auth" };
const DEEP = { rule: "Host(`a`) && PathPrefix(`/x`)" };

test.each<[string, Readonly<Record<string, Texts>>, string[]]>([
  ["the longer rule is the more exact one", { w: WIDE, d: DEEP }, ["a/*", "a/x"]],
  ["a priority for what is wider", { w: { ...WIDE, priority: "100" }, d: DEEP }, ["a/*"]],
  ["a priority that changes nothing", { w: { ...WIDE, priority: "9" }, d: DEEP }, ["a/*", "a/x"]],
  [
    "a priority for what is more exact",
    { w: { ...WIDE, priority: "100" }, d: { ...DEEP, priority: "101" } },
    ["a/*", "a/x"],
  ],
  ["a negative one for what is more exact", { w: WIDE, d: { ...DEEP, priority: "-1" } }, ["a/*"]],
  [
    "a rule that is longer, but wider",
    { w: { ...WIDE, rule: "Host(`a`) || Host(`a-very-long-name.example.com`)" }, d: DEEP },
    ["a/*", "a-very-long-name.example.com/*"],
  ],
  [
    "another listener",
    {
      w: { ...WIDE, priority: "100", entrypoints: "websecure" },
      d: { ...DEEP, entrypoints: "web" },
    },
    ["a/*", "a/x"],
  ],
  [
    "one listener of several",
    {
      w: { ...WIDE, priority: "100", entrypoints: "web,websecure" },
      d: { ...DEEP, entrypoints: "web" },
    },
    ["a/*"],
  ],
  [
    "a path without what is below it covers nothing",
    {
      w: { ...WIDE, rule: "Host(`a`) && Path(`/x`)", priority: "100" },
      d: { rule: "Host(`a`) && PathPrefix(`/x/y`)" },
    },
    ["a/x*", "a/x/y"],
  ],
  [
    "a deeper path of a wider host",
    { w: { ...WIDE, rule: "Host(`*.a`) && PathPrefix(`/x`)" }, d: { rule: "Host(`b.a`)" } },
    ["b.a/", "*.a/x*", "b.a/x*"],
  ],
  [
    "a deeper path of any host, with a low priority",
    { w: { ...WIDE, rule: "PathPrefix(`/x`)", priority: "1" }, d: { rule: "Host(`b.a`)" } },
    ["b.a/", "/x*"],
  ],
])("%s", (_, all, expected) => {
  expect([...routesOf(all)].toSorted()).toEqual(expected.toSorted());
});

test("with more routes than any container needs, nobody gets in", () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`r${index}`, { rule: `Host(\`h${index}\`)` }]),
  );
  const { deny, auth } = labelsOf(routers({ ...many, r1: WIDE }));
  expect({ deny, auth }).toEqual({ deny: EVERYBODY, auth: undefined });
});
