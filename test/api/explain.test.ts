// What explains a container or a URL, by whatever word is asked for.

import { describe, expect, test } from "bun:test";
import { asText, explain, type Kind, type World } from "../../src/api/explain/explain.ts";
import type { Https } from "../../src/api/certificates.ts";
import { NO_CHOICE } from "../../src/routing/certificates.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const WEB = container("web-1", { image: "acme/web:1" });
const NO_HTTPS: Https = {
  options: undefined,
  authority: undefined,
  shown: NO_CHOICE,
  states: [],
  warnings: [],
};
const SHOP = container("shop-1", { image: "acme/shop:2" });

function world(rest: Partial<World> = {}): World {
  const all = snapshot([WEB, SHOP]);
  return {
    snapshot: all,
    reach: HOST,
    routing: ROUTING,
    model: route(all, HOST, ROUTING),
    index: false,
    https: NO_HTTPS,
    engines: { find: () => Promise.resolve([]) },
    running: () => {
      throw new GatewayError("haproxy", "Cannot ask HAProxy: it does not run");
    },
    ...rest,
  };
}

async function subjects(word: string, kind: Kind): Promise<string[]> {
  return (await explain(word, kind, world())).map(({ subject }) => subject);
}

test.each<[string, Kind, string[]]>([
  ["web-1", "any", ["web-1"]],
  ["web-1", "container", ["web-1"]],
  [WEB.id.slice(0, 12), "container", ["web-1"]],
  ["acme/shop", "any", ["shop-1"]],
  ["acme/shop:2", "image", ["shop-1"]],
  ["/acme/web/x", "any", ["/acme/web/x"]],
  ["/acme/web/x", "url", ["/acme/web/x"]],
  ["tcp://localhost:5432", "any", ["tcp://localhost:5432"]],
])("%s as %s is %j", async (word, kind, found) => {
  expect(await subjects(word, kind)).toEqual(found);
});

test.each<[string, Kind, string]>([
  ["acme/shop", "container", "there is no such container"],
  ["web-1", "image", "no container runs of such an image"],
  ["none", "any", "there is no such container, and none runs of such an image"],
])("%s as %s is nothing", (word, kind, problem) => {
  expect(explain(word, kind, world())).rejects.toThrow(`Cannot explain "${word}": ${problem}`);
});

async function answers(url: string, index: boolean): Promise<string> {
  return asText(await explain(url, "url", world({ index })));
}

describe("the page of all routes", () => {
  test("is what / is answered with", async () => {
    for (const url of ["/", "http://any.org/"]) {
      expect(await answers(url, true)).toMatch(/^answer +200: the page that lists the routes/m);
    }
  });

  test("is nowhere else, and only with --index", async () => {
    expect(await answers("/x", true)).toContain("403: no route matches it");
    expect(await answers("/", false)).toContain("403: no route matches it");
  });
});
