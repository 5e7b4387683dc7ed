// What changed between two models, as an operator reads it.

import { expect, test } from "bun:test";
import type { LogLine } from "../../src/lib/log.ts";
import type { Container, Model } from "../../src/model.ts";
import {
  changesBetween,
  Complaints,
  holdsBetween,
  lineOf,
  logState,
} from "../../src/gateway/report.ts";
import { History } from "../../src/gateway/history.ts";
import { firstState, withChanges, type Change, type State } from "../../src/gateway/state.ts";
import { route } from "../../src/routing/routing.ts";
import { listLogger } from "../lab/proxy.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

function model(containers: readonly Container[], domain?: string): Model {
  return route(snapshot(containers), HOST, { ...ROUTING, domain });
}

function messages(before: readonly Container[] | undefined, after: readonly Container[]): string[] {
  const old = before === undefined ? undefined : model(before);
  return lines(old, model(after)).map(({ message }) => message);
}

/** @param waited when a change was noticed is not known by default */
function lines(
  before: Model | undefined,
  after: Model,
  waited: (id: string) => number | undefined = () => undefined,
): LogLine[] {
  return changesBetween(before, after, waited).map((change) =>
    lineOf({ ...change, at: 0 }, "gateway."),
  );
}

const web = container("web-1");
const web2 = container("web-2", { attachments: [at("bridge", "172.17.0.3")] });

test.each<[string, Container[] | undefined, Container[], string[]]>([
  [
    "nothing was served",
    undefined,
    [web],
    ["routed /foo/bar -> 172.17.0.2:8000 (container web-1)"],
  ],
  ["nothing changed", [web], [web], []],
  ["one more", [web], [web, web2], ["routed /foo/bar -> 172.17.0.3:8000 (container web-2)"]],
  [
    "one less",
    [web, web2],
    [web2],
    ["removed /foo/bar -> 172.17.0.2:8000 (container web-1, it has ended)"],
  ],
  [
    "another address",
    [web],
    [{ ...web, attachments: [at("bridge", "172.17.0.9")] }],
    ["routed /foo/bar -> 172.17.0.9:8000 (container web-1)"],
  ],
  [
    "paused",
    [web, web2],
    [{ ...web, state: "paused" }, web2],
    ["no requests for /foo/bar -> 172.17.0.2:8000 (container web-1, it is paused)"],
  ],
  [
    "no more paused",
    [{ ...web, state: "paused" }, web2],
    [web, web2],
    ["routed /foo/bar -> 172.17.0.2:8000 (container web-1)"],
  ],
  [
    "another reason",
    [{ ...web, health: "starting" }, web2],
    [{ ...web, health: "unhealthy" }, web2],
    ["no requests for /foo/bar -> 172.17.0.2:8000 (container web-1, it is unhealthy)"],
  ],
  [
    "a crash loop keeps its route",
    [web],
    [{ ...web, state: "restarting" }],
    ["no requests for /foo/bar -> 172.17.0.2:8000 (container web-1, it is restarting)"],
  ],
  [
    "it runs again",
    [{ ...web, state: "restarting" }],
    [web],
    ["routed /foo/bar -> 172.17.0.2:8000 (container web-1)"],
  ],
  [
    "it does not run again",
    [{ ...web, state: "restarting" }],
    [],
    ["removed /foo/bar (container web-1, it has ended)"],
  ],
  [
    "it has lost its networks, and will end",
    [web],
    [{ ...web, attachments: [], stopping: 1 }],
    ["removed /foo/bar -> 172.17.0.2:8000 (container web-1, it is ending)"],
  ],
  [
    "candidate ports are one line",
    [],
    [{ ...web, exposed: [] }],
    ["routed /foo/bar -> 172.17.0.2:8000 or 80 (container web-1)"],
  ],
  [
    "made anew under its name",
    [web],
    [{ ...web, id: "f".repeat(64) }],
    [
      "routed /foo/bar -> 172.17.0.2:8000 (container web-1)",
      "removed /foo/bar -> 172.17.0.2:8000 (container web-1, it has ended)",
    ],
  ],
  [
    "another image",
    [web],
    [{ ...web, image: "other" }],
    [
      "routed /other -> 172.17.0.2:8000 (container web-1)",
      "removed /foo/bar -> 172.17.0.2:8000 (container web-1, it has ended)",
    ],
  ],
])("%s", (_, before, after, expected) => {
  expect(messages(before, after)).toEqual(expected);
});

test("how long it took, and the facts for machines", () => {
  const told = lines(undefined, model([web, { ...web2, state: "paused" }]), (id) =>
    id === web.id ? 12.4 : undefined,
  );
  expect(told).toEqual([
    {
      level: "info",
      message: "routed /foo/bar -> 172.17.0.2:8000 (container web-1, 12 ms)",
      fields: {
        event: "routed",
        route: "/foo/bar",
        server: "172.17.0.2:8000",
        container: "web-1",
        id: web.id,
        ms: 12,
      },
    },
    {
      level: "info",
      message: "no requests for /foo/bar -> 172.17.0.3:8000 (container web-2, it is paused)",
      fields: {
        event: "no requests for",
        route: "/foo/bar",
        server: "172.17.0.3:8000",
        container: "web-2",
        id: web2.id,
        reason: "paused",
      },
    },
  ]);
});

test("by host name, a line names all hosts of its service", () => {
  const old = container("old", { image: "a/web", created: 1 });
  const young = container("young", { image: "b/web", created: 2 });
  const [before, after] = [model([old], "ex.org"), model([old, young], "ex.org")];
  expect(lines(before, after).map(({ message }) => message)).toEqual([
    "routed http://web.ex.org/, http://web-a.ex.org/ -> 172.17.0.2:8000 (container old)",
    "routed http://web-b.ex.org/ -> 172.17.0.2:8000 (container young)",
  ]);
});

test.each([
  [
    "foreign",
    "does not speak HTTP/1.1: what it answers is something else (label gateway.port names another " +
      "port, gateway.enable=false leaves the container out)",
  ],
  [
    "none",
    "does not speak HTTP/1.1: it closes connections without an answer (label gateway.port names " +
      "another port, gateway.enable=false leaves the container out)",
  ],
  [
    "circle",
    "redirects to the very URL that was asked for: if it has a base URL of its own, label " +
      "gateway.strip=false leaves the prefix on",
  ],
  [
    "large",
    "answered with headers that are larger than 32 kB, or more than 250: its client got 502",
  ],
] as const)("odd answers, %s", (answers, what) => {
  const place = {
    route: "/foo/bar",
    server: "172.17.0.2:8000",
    container: "web-1",
    id: web.id,
  };
  expect(lineOf({ event: "odd answers", answers, ...place, at: 0 }, "gateway.")).toEqual({
    level: "warn",
    message: `container web-1 at 172.17.0.2:8000 (/foo/bar) ${what}`,
    fields: { event: "odd answers", reason: answers, ...place },
  });
});

test("a refused request", () => {
  expect(lineOf({ event: "refused request", client: "192.0.2.7", at: 0 }, "gateway.")).toEqual({
    level: "info",
    message: "refused a request of 192.0.2.7: its headers are larger than 32 kB, or more than 250",
    fields: { event: "refused request", client: "192.0.2.7" },
  });
});

test("complaints are told once, and again when they come back", () => {
  const complaints = new Complaints();
  const bad = container("bad", { image: "a b" });
  const off = container("off", { labels: { "gateway.enable": "false" } });
  const odd = container("odd", { labels: { "gateway.prot": "1" } });
  const tell = (...containers: Container[]): string[] =>
    complaints.fresh(model(containers)).map(({ level, message }) => `${level} ${message}`);
  const badLine =
    'warn not routed: container bad (image a b): image "a b" has no valid repository, hence no path';

  expect(tell(bad)).toEqual([badLine]);
  expect(tell(bad)).toEqual([]);
  // Who left it out knows why: that is no warning.
  expect(tell(bad, off)).toEqual([
    "info not routed: container off (image foo/bar): label gateway.enable is false",
  ]);
  // A database is no web server.
  expect(tell(bad, container("db", { image: "postgres:16", exposed: [5432] }))).toEqual([
    "info not routed: container db (image postgres:16): " +
      "5432 is PostgreSQL's port; label gateway.port=5432 if it does speak HTTP, label gateway.tcp=5432 to forward its bytes",
  ]);
  expect(tell(odd)).toEqual([
    "warn container odd: label gateway.prot is unknown, gateway.port was probably meant",
  ]);
  expect(tell(bad, odd)).toEqual([badLine]);
  // Who ends is nothing to complain of.
  const ending = container("ending", { attachments: [], stopping: 1 });
  expect(tell(bad, odd, ending)).toEqual([]);
  const [line] = new Complaints().fresh(model([bad]));
  expect(line?.fields).toEqual({
    event: "not routed",
    container: "bad",
    id: bad.id,
    image: "a b",
    reason: 'image "a b" has no valid repository, hence no path',
  });
});

function servedAt(path: string): Container {
  return container("other", { image: "other", labels: { "gateway.path": path } });
}

test("a held service is gone: only the routes are told that no other service has", () => {
  const labels = { "gateway.path": "/a,/b" };
  const [held] = model([container("web-1", { labels })]).services;
  if (held === undefined) throw new Error("it is not served");
  const services = [{ ...held, servers: [], waiting: [], hold: "waiting" as const }];
  const before: Model = { ...model([]), services };
  const told = (after: Model): string[] =>
    holdsBetween(before, after).map((change) => lineOf({ ...change, at: 0 }, "gateway.").message);
  expect(told(model([]))).toEqual(["no route: nothing is served at /a, /b any more"]);
  expect(told(model([servedAt("/a")]))).toEqual(["no route: nothing is served at /b any more"]);
  expect(told(model([servedAt("/a,/b")]))).toEqual([]);
});

test("what is logged is kept, but what is held back, and with why a pass failed", () => {
  const log: string[] = [];
  const history = new History();
  const listener = logState(listLogger(log), "gateway.", history);
  const before = firstState("docker", 0);
  const place = { route: "/a", server: "172.17.0.2:80", container: "a", id: "0123", reason: "" };
  let state = before;
  const publish = (next: State): void => {
    listener(next, state);
    state = next;
  };
  const routed: Change = {
    event: "routed",
    ...place,
    ms: undefined,
    at: 0,
    way: { how: "runtime", reasons: [] },
  };
  publish(withChanges(state, [routed]));
  expect(history.after(0)).toEqual([
    expect.objectContaining({
      message: "routed /a -> 172.17.0.2:80 (container a)",
      way: routed.way,
    }),
  ]);
  for (let count = 0; count < 100; count++) publish(withChanges(state, [routed]));
  expect(history.last).toBe(13);

  const problem = ["Cannot reload HAProxy", "  why"];
  publish({ ...state, problem });
  // The same one is told once.
  publish({ ...state, problem: [...problem] });
  publish({ ...state, problem: undefined });
  publish({ ...state, problem });
  const [one, other, ...more] = history.after(13);
  expect(more).toEqual([]);
  expect(other).toMatchObject({ ...one, number: 15, at: expect.any(Number) });
  expect(one).toMatchObject({
    level: "error",
    message: "Cannot reload HAProxy",
    fields: { event: "failure", details: ["why"] },
  });
});
