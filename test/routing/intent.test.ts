// What a container asks for, from everything that says a part of it.

import { describe, expect, test } from "bun:test";
import {
  readIntent,
  STRIPPED,
  titleOf,
  type Intent,
  type PartialIntent,
  type Refusal,
  type RouteIntent,
} from "../../src/routing/intent.ts";
import { nameOf } from "../../src/lib/places.ts";
import { NO_RULES, type Container } from "../../src/model.ts";
import { container } from "../lab/make.ts";

type IntentReader = (container: Container) => PartialIntent | Refusal;

const web = container("web", { image: "reg.example.com/foo/bar:1.2" });
const OPTIONS = {
  labelPrefix: "gateway.",
  onlyEnabled: false,
  compat: "all" as const,
  defaultRule: undefined,
};

/** A reader that says this of every container. */
function says(part: PartialIntent | Refusal): IntentReader {
  return () => part;
}

const at = (host: string, path: string): RouteIntent => {
  return { host, path, source: "test", isDefault: false, treatment: STRIPPED, rules: NO_RULES };
};
const service = (value: string, by = value) => ({ service: { value, source: by } });
const routes = (...value: readonly RouteIntent[]) => ({ routes: value });
const PLAIN = says({ ...service("s"), ...routes(at("", "/s")) });

function intentOf(readers: readonly IntentReader[]): Intent {
  const intent = readIntent(web, OPTIONS, readers);
  if ("reason" in intent) throw new Error(intent.reason);
  return intent;
}

/** What a container with these labels asks for, each with what becomes of its prefix. */
function asked(labels: Container["labels"], rest: Partial<Container> = {}): string[] {
  const intent = readIntent({ ...web, ...rest, labels });
  if ("reason" in intent) return [`refused: ${intent.reason}`];
  return intent.routes.map((route) => {
    const { strip, rewrite } = route.treatment;
    return `${nameOf(route)} ${rewrite || (strip ? "stripped" : "left on")}`;
  });
}

test("an image and labels", () => {
  const labels = {
    "gateway.port": "81",
    "gateway.network": "back",
    "gateway.strip": "off",
    "gateway.prot": "x",
  };
  expect(readIntent({ ...web, labels })).toEqual({
    service: { value: "foo/bar", source: `image ${web.image}` },
    routes: [
      {
        host: "",
        path: "/foo/bar",
        source: `image ${web.image}`,
        isDefault: true,
        treatment: { strip: false, rewrite: "", source: "label gateway.strip" },
        rules: NO_RULES,
      },
    ],
    port: { value: 81, source: "label gateway.port" },
    network: { value: "back", source: "label gateway.network" },
    settings: {},
    branches: [],
    server: { weight: undefined, split: undefined, backup: false, maxconn: undefined, said: [] },
    certificates: undefined,
    registry: "reg.example.com",
    translatedFrom: undefined,
    warnings: ["container web: label gateway.prot is unknown, gateway.port was probably meant"],
  });
});

describe("the routes that labels ask for", () => {
  test.each<[string, Container["labels"], string[]]>([
    ["none: the image's", {}, ["/foo/bar stripped"]],
    ["a host: at its root", { host: "a.org" }, ["http://a.org/ stripped"]],
    ["a path: instead of the image's", { path: "/x" }, ["/x stripped"]],
    ["the root", { path: "/" }, ["/ stripped"]],
    ["both must match", { host: "a.org", path: "/x" }, ["http://a.org/x stripped"]],
    [
      "several of both are all of them",
      { host: "a.org,*.b.org", path: "/x,/" },
      [
        "http://a.org/x stripped",
        "http://a.org/ stripped",
        "http://*.b.org/x stripped",
        "http://*.b.org/ stripped",
      ],
    ],
    ["strip is for all of them", { path: "/x /y", strip: "no" }, ["/x left on", "/y left on"]],
    ["rewrite of the image's path", { rewrite: "/app" }, ["/foo/bar /app"]],
    ["rewrite to the root is to strip", { path: "/x", rewrite: "/" }, ["/x stripped"]],
    ["rewrite at a host", { host: "a.org", rewrite: "/app" }, ["http://a.org/ /app"]],
    ["rewrite beats strip", { strip: "no", rewrite: "/app" }, ["/foo/bar /app"]],
    [
      "a further route has its own",
      { strip: "no", "route.api.host": "a.org", "route.api.path": "/api", "route.b.path": "/b" },
      ["/foo/bar left on", "http://a.org/api stripped", "/b stripped"],
    ],
    [
      "a further one is treated as it says itself",
      { path: "/x", "route.b.path": "/b", "route.b.rewrite": "/c" },
      ["/x stripped", "/b /c"],
    ],
    [
      "the same route twice counts once, as the further one says",
      { path: "/x", "route.b.path": "/x", "route.b.strip": "no" },
      ["/x left on"],
    ],
    ["one host of several is wrong", { host: "a.org,b!" }, ["http://a.org/ stripped"]],
    [
      "a wrong host puts it nowhere else",
      { host: "b!" },
      [
        'refused: label gateway.host="b!" is not a host name, such as shop.example.com, or a wildcard, such as *.example.com',
      ],
    ],
    [
      "a wrong rewrite neither",
      { rewrite: "x" },
      ['refused: label gateway.rewrite="x" is not a path, such as /app'],
    ],
    ["a wrong host costs no further route", { host: "b!", "route.a.path": "/a" }, ["/a stripped"]],
    ["a wrong further one costs only itself", { "route.a.path": "a" }, ["/foo/bar stripped"]],
    ["a further one without a place", { "route.a.strip": "no" }, ["/foo/bar stripped"]],
  ])("%s", (_, labels, expected) => {
    const all = Object.entries(labels).map(([label, text]) => [`gateway.${label}`, text]);
    expect(asked(Object.fromEntries(all))).toEqual(expected);
  });

  test.each<[Container["labels"], string]>([
    [
      { strip: "no", rewrite: "/a" },
      "label gateway.strip=false counts for nothing beside label gateway.rewrite",
    ],
    [
      { host: "b!", "route.a.path": "/a" },
      'label gateway.host="b!" is not a host name, such as shop.example.com, or a wildcard, such as *.example.com: that route is not served',
    ],
    [
      { "route.a.path": "a" },
      'label gateway.route.a.path="a" is not a path, such as /shop or /: that route is not served',
    ],
    [
      { "route.a.strip": "no" },
      "neither label gateway.route.a.host nor label gateway.route.a.path is there: that route is not served",
    ],
  ])("%j has a warning", (labels, warning) => {
    const all = Object.entries(labels).map(([label, text]) => [`gateway.${label}`, text]);
    const intent = readIntent({ ...web, labels: Object.fromEntries(all) });
    expect("warnings" in intent && intent.warnings).toEqual([`container web: ${warning}`]);
  });

  test("there is an end to their number", () => {
    const many = Array.from({ length: 30 }, (_, index) => `h${index}.org`).join();
    const labels = { "gateway.host": many, "gateway.path": "/a /b /c /d" };
    const intent = readIntent({ ...web, labels });
    expect("routes" in intent && intent.routes).toHaveLength(100);
    expect("warnings" in intent && intent.warnings).toEqual([
      "container web: it asks for 120 routes, and gets the first 100",
    ]);
  });

  test("an image without a name has one by a label, and then a place", () => {
    const image = "f".repeat(64);
    const bare = `image ${image} is a bare ID, which has no path`;
    expect(asked({}, { image })).toEqual([`refused: ${bare}`]);
    expect(asked({ "gateway.service": "x" }, { image })).toEqual([`refused: ${bare}`]);
    expect(asked({ "gateway.host": "a.org" }, { image })).toEqual([
      `refused: ${bare}; label gateway.service names the service of such a container`,
    ]);
    const labels = { "gateway.host": "a.org", "gateway.service": "x" };
    expect(asked(labels, { image })).toEqual(["http://a.org/ stripped"]);
  });
});

test("the name of a service is none that an image could give", () => {
  const intent = readIntent({ ...web, labels: { "gateway.service": "foo" } });
  expect("service" in intent && intent.service).toEqual({
    value: "service::foo",
    source: "label gateway.service",
  });
  expect(titleOf("service::foo")).toBe("foo");
  expect(titleOf("service/foo")).toBe("service/foo");
});

test("with --only-enabled only a label takes a container in", () => {
  const options = {
    labelPrefix: "my.",
    onlyEnabled: true,
    compat: "all" as const,
    defaultRule: undefined,
  };
  expect(readIntent(web, options)).toEqual({
    reason: "label my.enable is not true, and --only-enabled",
    optedOut: true,
  });
  expect(readIntent({ ...web, labels: { "my.enable": "yes" } }, options)).toHaveProperty("routes");
});

describe("refusals", () => {
  const off = { "gateway.enable": "false" };

  test.each<[string, Partial<Container>, string, boolean]>([
    ["the user opted out", { labels: off }, "label gateway.enable is false", true],
    ["an image without a name", { image: "a b" }, 'image "a b" has no valid repository', false],
    ["a bad label", { labels: { "gateway.port": "x" } }, "gateway.port", false],
    ["the labels' word is stronger", { image: "a b", labels: off }, "gateway.enable", true],
  ])("%s", (_, rest, reason, optedOut) => {
    const refusal = readIntent({ ...web, ...rest });
    expect(refusal).toMatchObject({ optedOut });
    expect("reason" in refusal && refusal.reason).toContain(reason);
  });

  const no = (reason: string, optedOut = false): IntentReader => says({ reason, optedOut });

  test.each<[string, IntentReader[], Refusal]>([
    ["the strongest counts", [no("a"), PLAIN, no("b", true)], { reason: "b", optedOut: true }],
    ["whoever says more after it", [no("a"), PLAIN], { reason: "a", optedOut: false }],
    ["nobody says anything", [], { reason: "nothing names its service", optedOut: false }],
    [
      "a name without a route",
      [says(service("s"))],
      { reason: "nothing names its service", optedOut: false },
    ],
  ])("%s", (_, readers, expected) => {
    expect(readIntent(web, OPTIONS, readers)).toEqual(expected);
  });
});

describe("of several readers", () => {
  test("the later one wins, for what it says", () => {
    const port = (value: number, by: string) => says({ port: { value, source: by } });
    const intent = intentOf([PLAIN, port(1, "weak"), port(2, "strong"), says(service("t"))]);
    expect(intent.port).toEqual({ value: 2, source: "strong" });
    expect(intent.service.value).toBe("t");
    expect(intent.routes).toEqual([at("", "/s")]);
    expect([intent.network, intent.registry, intent.settings]).toEqual([undefined, "", {}]);
  });

  test("the warnings of all are told", () => {
    const [a, b] = [says({ warnings: ["a"] }), says({ warnings: ["b"] })];
    expect(intentOf([a, PLAIN, b]).warnings).toEqual(["container web: a", "container web: b"]);
  });
});
