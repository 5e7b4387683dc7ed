// Where containers are served whose labels say nothing of it, by --default-rule.

import { describe, expect, test } from "bun:test";
import { parseDefaultRule } from "../../src/routing/default-rule.ts";
import { titleOf } from "../../src/routing/intent.ts";
import { route } from "../../src/routing/routing.ts";
import type { Container } from "../../src/model.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const SHOP = container("web-1", {
  image: "reg.example.com/acme/shop:1.2",
  labels: {
    "com.docker.compose.service": "shop",
    "com.docker.compose.project": "Acme",
    "com.example.site": "x.org",
  },
});
const TASK = container("acme_shop.1", {
  labels: {
    "com.docker.stack.namespace": "acme",
    "com.docker.swarm.service.name": "acme_shop",
  },
});
const ALONE = container("a_shop.1", { labels: { "com.docker.swarm.service.name": "a_shop" } });
const PLAIN = container("plain", { image: "nginx", attachments: [at("bridge", "172.17.0.3")] });

test.each<[string, string]>([
  ["/{{container.name}}", "/web-1"],
  ["/{{container.name}}/", "/web-1"],
  ["{{compose.service}}.{{compose.project}}.example.com", "shop.acme.example.com/"],
  ["{{image.name}}.example.com/{{image.tag}}", "shop.example.com/1.2"],
  ["/{{image.repository}}", "/acme/shop"],
  ["{{labels.[com.example.site]}}", "x.org/"],
  ["{{#if labels.none}}none{{else}}/other{{/if}}", "/other"],
  [" /a ", "/a"],
])("%s: %s", (rule, expected) => {
  const place = parseDefaultRule(rule)(SHOP);
  expect("reason" in place ? place.reason : place.host + place.path).toBe(expected);
});

test.each<[string, Container, string]>([
  ["{{swarm.service}}.{{swarm.stack}}.example.com", TASK, "shop.acme.example.com/"],
  ["/{{swarm.service}}", ALONE, "/a_shop"],
  ["/x{{swarm.stack}}{{swarm.service}}", PLAIN, "/x"],
])("%s for a task of a swarm", (rule, task, expected) => {
  const place = parseDefaultRule(rule)(task);
  expect("reason" in place ? place.reason : place.host + place.path).toBe(expected);
});

test.each([
  ["{{labels.none}}.example.com", '".example.com"'],
  ["/{{labels.none}}", '"/"'],
  ["{{labels.constructor}}", '""'],
  ["/a/{{labels.none}}/b", '"/a//b"'],
  ["a b.org", '"a b.org"'],
  ["/x, /y", '"/x, /y"'],
  ["/a/../b", '"/a/../b"'],
])("%s is no place: %s", (rule, shown) => {
  expect(parseDefaultRule(rule)(SHOP)).toEqual({ reason: `--default-rule gives ${shown}` });
});

test.each(["{{nothing}}", "{{container.nme}}", "{{#if", "{{container.name.x.y}}"])(
  "%s is refused before there is a container",
  (rule) => {
    expect(() => parseDefaultRule(rule)).toThrow(`Cannot use --default-rule "${rule}": `);
  },
);

function served(rule: string, ...containers: Container[]) {
  const options = { ...ROUTING, defaultRule: parseDefaultRule(rule) };
  const { services, rejections, warnings } = route(snapshot(containers), HOST, options);
  return {
    services: Object.fromEntries(
      services.map(({ name, routes, servers }) => [
        titleOf(name),
        [...routes.map(({ key }) => key), ...servers.map((each) => each.container)],
      ]),
    ),
    rejections: Object.fromEntries(rejections.map((each) => [each.container, each.reason])),
    warnings,
  };
}

describe("containers", () => {
  const second = container("web-2", {
    image: SHOP.image,
    labels: SHOP.labels,
    attachments: [at("bridge", "172.17.0.4")],
  });

  test("of one image at two places are two services", () => {
    const { services } = served("{{container.name}}.org", SHOP, second);
    expect(services).toEqual({
      "web-1.org": ["web-1.org/", "web-1"],
      "web-2.org": ["web-2.org/", "web-2"],
    });
  });

  test("at one place are one, and that of others has a reason", () => {
    const { services, rejections, warnings } = served(
      "{{compose.service}}.org",
      SHOP,
      second,
      PLAIN,
    );
    expect(services).toEqual({ "shop.org": ["shop.org/", "web-1", "web-2"] });
    expect(rejections).toEqual({
      plain: '--default-rule gives ".org", which is neither a host name nor a path',
    });
    expect(warnings).toEqual([]);
  });

  test("with a label that says where are served there, as without the rule", () => {
    const labels = { "gateway.host": "own.org" };
    const one = { ...SHOP, labels };
    const two = { ...second, labels };
    expect(served("{{container.name}}.org", one, two, PLAIN).services).toEqual({
      "acme/shop": ["own.org/", "web-1", "web-2"],
      "plain.org": ["plain.org/", "plain"],
    });
  });

  test("with other labels have what these say", () => {
    const labels = { "gateway.strip": "false", "gateway.service": "named" };
    const { services } = served("/{{container.name}}", { ...SHOP, labels });
    expect(services).toEqual({ named: ["/web-1/", "web-1"] });
  });

  test("with another proxy's labels are served as these say", () => {
    const labels = { "traefik.http.routers.a.rule": "Host(`t.org`)" };
    expect(Object.values(served("{{container.name}}.org", { ...SHOP, labels }).services)).toEqual([
      ["t.org/", "web-1"],
    ]);
  });
});
