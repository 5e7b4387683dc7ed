// Which certificates are wanted for which routes.

import { expect, test } from "bun:test";
import { wishesOf, type Means } from "../../src/acme/wishes.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";
import { route } from "../../src/routing/routing.ts";

const PUBLIC: Means = { dns: false, isPublic: true };

/** What is wanted for containers with these labels. */
function wishes(labels: Record<string, Record<string, string>>, means = PUBLIC) {
  const containers = Object.entries(labels).map(([name, own]) =>
    container(name, { image: name, labels: own }),
  );
  const { wanted, unwanted } = wishesOf(route(snapshot(containers), HOST, ROUTING).services, means);
  return {
    wanted: wanted.map(({ file, names }) => `${file}: ${names.join()}`),
    unwanted: unwanted.map(({ name }) => name),
  };
}

test("one for each host, whichever services have it, and none for routes of any host", () => {
  const shop = { "gateway.host": "b.example.com,a.example.com" };
  const api = { "gateway.host": "a.example.com", "gateway.path": "/api" };
  expect(wishes({ shop, api, plain: {} })).toEqual({
    wanted: ["a.example.com: a.example.com", "b.example.com: b.example.com"],
    unwanted: [],
  });
});

test("one for all hosts of a service, or none", () => {
  const shop = { "gateway.host": "b.example.com,a.example.com", "gateway.acme": "together" };
  const off = { "gateway.host": "c.example.com", "gateway.acme": "off" };
  const { wanted } = wishes({
    shop,
    off,
    other: { "gateway.host": "a.example.com", "gateway.path": "/o" },
  });
  expect(wanted).toEqual([
    expect.stringMatching(/^_together\.\S{12}: a\.example\.com,b\.example\.com$/),
  ]);
});

test("none for ports from which bytes are forwarded", () => {
  const db = { "gateway.tcp": "5432", "gateway.tcp.sni": "db.example.com", "gateway.port": "5432" };
  expect(wishes({ db })).toEqual({ wanted: [], unwanted: [] });
});

test("a wildcard takes DNS-01, and a public authority knows no name without a dot", () => {
  const shop = { "gateway.host": "*.example.com,shop" };
  expect(wishes({ shop })).toEqual({ wanted: [], unwanted: ["*.example.com", "shop"] });
  expect(wishes({ shop }, { dns: true, isPublic: false })).toEqual({
    wanted: ["_.example.com: *.example.com", "shop: shop"],
    unwanted: [],
  });
});

test("a label that is wrong counts for nothing, and is told", () => {
  const labels = { "gateway.host": "a.example.com", "gateway.acme": "both" };
  const model = route(snapshot([container("a", { labels })]), HOST, ROUTING);
  expect(model.services[0]?.certificates).toBeUndefined();
  expect(model.warnings.join()).toContain('gateway.acme="both" is not together or off');
});

test("the oldest container of a service decides, and that is told", () => {
  const one = container("one", {
    created: 1,
    labels: { "gateway.host": "a.test", "gateway.acme": "off" },
  });
  const two = container("two", { created: 2, labels: { "gateway.host": "a.test" } });
  const model = route(snapshot([two, one]), HOST, ROUTING);
  expect(model.services[0]?.certificates).toBe("off");
  expect(model.warnings.join()).toContain("differ in label acme");
});
