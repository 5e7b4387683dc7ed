// What a container asks for, from everything that says a part of it, up to the keys of the map.

import { describe, expect, test } from "bun:test";
import {
  readIntent,
  type Intent,
  type Refusal,
  type RouteIntent,
} from "../../src/routing/intent.ts";
import { toGroup, toService, warningsOf } from "../../src/routing/service.ts";
import type { Container } from "../../src/model.ts";
import { container } from "../lab/make.ts";

type IntentReader = (container: Container) => Partial<Intent> | Refusal;

const web = container("web", { image: "reg.example.com/foo/bar:1.2" });

/** A reader that says this of every container. */
function says(part: Partial<Intent> | Refusal): IntentReader {
  return () => part;
}

const service = (value: string, by = value) => ({ service: { value, source: by } });
const routes = (...value: readonly RouteIntent[]) => ({ routes: { value, source: "test" } });
const PLAIN = says({ ...service("s"), ...routes({ host: "", path: "/s" }) });

function intentOf(readers: readonly IntentReader[]): Intent {
  const intent = readIntent(web, readers);
  if ("reason" in intent) throw new Error(intent.reason);
  return intent;
}

/** A container that is placed, without servers. */
const member = (each: Container, ...readers: IntentReader[]) => ({
  container: each,
  intent: intentOf([PLAIN, ...readers]),
  servers: [],
  decisions: [],
});

test("an image and labels", () => {
  const labels = {
    "gateway.port": "81",
    "gateway.network": "back",
    "gateway.strip": "off",
    "gateway.prot": "x",
  };
  expect(readIntent({ ...web, labels })).toEqual({
    service: { value: "foo/bar", source: `image ${web.image}` },
    routes: { value: [{ host: "", path: "/foo/bar" }], source: `image ${web.image}` },
    port: { value: 81, source: "label gateway.port" },
    network: { value: "back", source: "label gateway.network" },
    strip: { value: false, source: "label gateway.strip" },
    settings: {},
    registry: "reg.example.com",
    warnings: ["container web: label gateway.prot is unknown, gateway.port was probably meant"],
  });
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
    expect(readIntent(web, readers)).toEqual(expected);
  });
});

describe("of several readers", () => {
  test("the later one wins, for what it says", () => {
    const port = (value: number, by: string) => says({ port: { value, source: by } });
    const intent = intentOf([PLAIN, port(1, "weak"), port(2, "strong"), says(service("t"))]);
    expect(intent.port).toEqual({ value: 2, source: "strong" });
    expect(intent.service.value).toBe("t");
    expect(intent.routes.value).toEqual([{ host: "", path: "/s" }]);
    expect([intent.network, intent.registry, intent.settings]).toEqual([undefined, "", {}]);
  });

  test("the warnings of all are told", () => {
    const [a, b] = [says({ warnings: ["a"] }), says({ warnings: ["b"] })];
    expect(intentOf([a, PLAIN, b]).warnings).toEqual(["a", "b"]);
  });
});

describe("one more reader is enough for another name and other routes", () => {
  /** As labels of another kind would say it. */
  const shop = says({
    ...service("shop"),
    ...routes({ host: "shop.example.com", path: "/" }, { host: "example.com", path: "/shop" }),
  });
  test("the keys of the map end in a slash, so that whole segments match", () => {
    const made = toService(toGroup("shop", [member(web, shop)]), undefined);
    expect(made.name).toBe("shop");
    expect(made.routes).toEqual([
      {
        host: "shop.example.com",
        path: "/",
        strip: false,
        key: "shop.example.com/",
        backend: "shop",
      },
      {
        host: "example.com",
        path: "/shop",
        strip: true,
        key: "example.com/shop/",
        backend: "shop",
      },
    ]);
    expect(made.waiting).toEqual([{ id: web.id, container: "web", why: "running" }]);
  });

  test.each<[RouteIntent, string]>([
    [{ host: "", path: "/foo/bar" }, "/foo/bar/"],
    [{ host: "", path: "/" }, "/"],
    [{ host: "a.org", path: "/" }, "a.org/"],
    [{ host: "a.org", path: "/x/y" }, "a.org/x/y/"],
  ])("%j is %s", (wanted, key) => {
    const group = toGroup("s", [member(web, says(routes(wanted)))]);
    expect(toService(group, undefined).routes.map((each) => each.key)).toEqual([key]);
  });

  test("a service has the routes of all its containers, each once", () => {
    const other = container("other");
    const more = says(routes({ host: "", path: "/s" }, { host: "a.org", path: "/" }));
    const made = toService(toGroup("s", [member(web), member(other, more)]), undefined);
    expect(made.routes.map(({ key }) => key).toSorted()).toEqual(["/s/", "a.org/"]);
  });

  test("by host names they are those that were assigned", () => {
    const made = toService(toGroup("a/s", [member(web, shop)]), ["s.ex.org", "s-a.ex.org"]);
    expect(made.routes).toEqual([
      { host: "s.ex.org", path: "/", strip: false, key: "s.ex.org/", backend: "a:s" },
      { host: "s-a.ex.org", path: "/", strip: false, key: "s-a.ex.org/", backend: "a:s" },
    ]);
  });

  test("what is said of the containers is said of the service", () => {
    const warn = says({ warnings: ["odd"], registry: "r" });
    const group = toGroup("s", [member(web, warn), member(container("other"))]);
    expect(warningsOf(group, undefined)).toEqual([
      "odd",
      "images s and r/s share one path, so requests are spread over all of them",
    ]);
  });
});
