// What is told of the gateway: nothing secret, and what is not served.

import { expect, test } from "bun:test";
import { configDocument } from "../../src/api/files.ts";
import { describeNotServed, notServedOf } from "../../src/api/not-served.ts";
import { stateDocument, type Facts } from "../../src/api/state.ts";
import { firstState } from "../../src/gateway/state.ts";
import type { Files } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const FACTS: Facts = {
  version: "2.0.0",
  pid: 1,
  started: 0,
  output: "/etc/haproxy/haproxy.cfg",
  masterSocket: "/run/haproxy-master.sock",
  managesHaproxy: false,
  labelPrefix: "gateway.",
  options: {},
};
const COUNTED = { routes: [], problem: "" };

test("no password of an option is told", () => {
  const options = {
    "docker-host": "tcp://bob:secret@10.0.0.1:2376",
    "reload-cmd": "/usr/bin/curl -H 'Authorization: secret' http://127.0.0.1/reload",
    "acme-eab": "kid-1:secret",
    "acme-dns": "/srv/dns --token secret",
    listen: ["*:80"],
    index: true,
  };
  const document = stateDocument({ ...FACTS, options }, firstState("x", 0), COUNTED);
  expect(document.gateway.options).toEqual({
    "docker-host": "tcp://bob@10.0.0.1:2376",
    "reload-cmd": "/usr/bin/curl",
    "acme-eab": "kid-1:",
    "acme-dns": "/srv/dns",
    listen: ["*:80"],
    index: true,
  });
});

test("no hash of a label is told", () => {
  const hash = `$2y$10$${"a".repeat(53)}`;
  const labels = { "gateway.auth": `bob:${hash}` };
  const model = route(snapshot([container("web", { labels })]), HOST, ROUTING);
  const state = { ...firstState("x", 0), applied: model, desired: model };
  const document = stateDocument(FACTS, state, COUNTED);
  expect(document.services[0]?.routes[0]?.rules).toEqual(["auth=bob:..., from label gateway.auth"]);
  expect(JSON.stringify(document)).not.toContain(hash);
});

test("before the first pass there is nothing, and that is told too", () => {
  const document = stateDocument(FACTS, firstState("x", 0), COUNTED);
  expect(document).toMatchObject({ routes: [], services: [], notRouted: [], refusals: [] });
  expect(document.haproxy).toEqual({ version: null, problem: "" });
});

test("what is not served: not who wants nothing, nor who is about to end, each reason once", () => {
  const rejection = {
    image: "x:1",
    kind: "address",
    ending: false,
    expected: false,
  } as const;
  const model = {
    rejections: [
      { ...rejection, id: "1", container: "odd", reason: "it has no address" },
      { ...rejection, id: "2", container: "off", reason: "its label says so", expected: true },
      { ...rejection, id: "3", container: "going", reason: "it is ending", ending: true },
    ],
    refusals: [
      { ids: ["1"], route: "/a", reason: "a is another's" },
      { ids: ["4", "5"], route: "/b", reason: "b is another's" },
      { ids: ["6"], route: "/b", reason: "b is another's" },
    ],
  };
  const found = notServedOf(model);
  expect(found.notRouted.map(({ id }) => id)).toEqual(["1", "2"]);
  expect(describeNotServed(found)).toEqual(["container odd: it has no address", "b is another's"]);
});

function files(config: string, owners: string): Files {
  return {
    config,
    assets: {
      "/x/a.map": { kind: "map", text: "/a/ a\n" },
      "/x/a.owners": { kind: "owners", text: owners },
    },
  };
}

/** Files with the keys of tickets. */
function withKey(text: string): Files {
  return {
    config: "one",
    assets: { "/x/a.pem": { kind: "certificate", text } },
  };
}

test("no key is told, but whether it is another one", () => {
  const { applied, desired, differs } = configDocument("/x/a.cfg", {
    applied: withKey("key 1"),
    desired: withKey("key 2"),
  });
  expect(JSON.stringify([applied, desired])).not.toContain("key ");
  expect(applied?.["/x/a.pem"]).not.toBe(desired?.["/x/a.pem"]);
  expect(differs).toBe(true);
});

test("files: who owns the servers is the gateway's own affair", () => {
  const applied = files("one", "x");
  expect(configDocument("/x/a.cfg", { applied, desired: files("one", "y") })).toEqual({
    output: "/x/a.cfg",
    applied: { "/x/a.cfg": "one", "/x/a.map": "/a/ a\n" },
    desired: { "/x/a.cfg": "one", "/x/a.map": "/a/ a\n" },
    differs: false,
  });
  expect(configDocument("/x/a.cfg", { applied, desired: files("two", "x") }).differs).toBe(true);
  expect(configDocument("/x/a.cfg", { applied: undefined, desired: undefined })).toEqual({
    output: "/x/a.cfg",
    applied: null,
    desired: null,
    differs: false,
  });
});
