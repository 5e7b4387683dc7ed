// The grammar of the labels: what is read, what an invalid value costs, what is misspelt.

import { expect, test } from "bun:test";
import { NO_RULES } from "../../src/model.ts";
import { readLabels, type Labels } from "../../src/routing/labels.ts";

/** What is read of labels. @throws Error if they are refused */
function read(labels: Record<string, string>, prefix?: string): Labels {
  const found = readLabels(labels, prefix);
  if ("reason" in found) throw new Error(found.reason);
  return found;
}

test.each([
  ["none", {}, {}],
  ["labels of other programs", { "traefik.enable": "false", gate: "1" }, {}],
  ["enable, true", { "gateway.enable": "true" }, { enable: true }],
  ["enable, in capitals", { "gateway.enable": "YES" }, { enable: true }],
  ["enable, 1", { "gateway.enable": "1" }, { enable: true }],
  ["enable, on", { "gateway.enable": " on " }, { enable: true }],
  ["enable, false", { "gateway.enable": "false" }, { enable: false }],
  ["enable, no", { "gateway.enable": "no" }, { enable: false }],
  ["enable, off", { "gateway.enable": "Off" }, { enable: false }],
  ["enable, 0", { "gateway.enable": "0" }, { enable: false }],
  ["port", { "gateway.port": "8080" }, { port: 8080 }],
  ["port with blanks", { "gateway.port": " 9 " }, { port: 9 }],
  ["network", { "gateway.network": "back end" }, { network: "back end" }],
  ["network with blanks", { "gateway.network": " x " }, { network: "x" }],
  ["service", { "gateway.service": "web" }, { service: "web" }],
  ["weight", { "gateway.weight": "256" }, { weight: 256 }],
  ["weight, none", { "gateway.weight": "0" }, { weight: 0 }],
  ["backup", { "gateway.backup": "true" }, { backup: true }],
  ["maxconn", { "gateway.maxconn": " 20 " }, { maxconn: 20 }],
])("of the container: %s", (_, labels, values) => {
  expect(read(labels)).toEqual({
    values,
    route: {
      name: "",
      prefix: "gateway.",
      values: {},
      port: undefined,
      settings: {},
      rules: NO_RULES,
      reason: undefined,
    },
    further: [],
    warnings: [],
  });
});

test.each([
  ["strip, false", { "gateway.strip": "false" }, { strip: false }],
  ["strip, true", { "gateway.strip": " True " }, { strip: true }],
  ["rewrite", { "gateway.rewrite": "/app/" }, { rewrite: "/app" }],
  ["host", { "gateway.host": "A.org" }, { host: ["a.org"] }],
  ["hosts", { "gateway.host": "a.org, *.b.org c.org" }, { host: ["a.org", "*.b.org", "c.org"] }],
  ["path", { "gateway.path": "/" }, { path: ["/"] }],
  ["paths", { "gateway.path": "/x/ /y" }, { path: ["/x", "/y"] }],
])("of the route: %s", (_, labels, values) => {
  expect(read(labels).route).toEqual({
    name: "",
    prefix: "gateway.",
    values,
    port: undefined,
    settings: {},
    rules: NO_RULES,
    reason: undefined,
  });
  const further = Object.entries(labels).map(([label, text]) => [
    label.replace("gateway.", "gateway.route.a_b-1."),
    text,
  ]);
  const { route, further: routes, warnings } = read(Object.fromEntries(further));
  expect(route.values).toEqual({});
  expect(routes).toEqual([
    {
      name: "a_b-1",
      prefix: "gateway.route.a_b-1.",
      values,
      port: undefined,
      settings: {},
      rules: NO_RULES,
      reason: undefined,
    },
  ]);
  expect(warnings).toEqual([]);
});

test("a port of a further route is about its servers", () => {
  const { values, further } = read({ "gateway.port": "80", "gateway.route.a.port": "90" });
  expect(values).toEqual({ port: 80 });
  const [{ name, port, reason } = {}] = further;
  expect({ name, port, reason }).toEqual({ name: "a", port: 90, reason: undefined });
  const [wrong] = read({ "gateway.route.a.port": "x", "gateway.route.a.path": "/a" }).further;
  expect(wrong?.reason).toBe('label gateway.route.a.port="x" is not a port number (1 to 65535)');
});

test("another prefix changes the labels and the messages", () => {
  const labels = { "my.gw.port": "81", "gateway.port": "82", "my.gw.route.x.path": "y" };
  const { values, further, warnings } = read(labels, "my.gw.");
  expect(values).toEqual({ port: 81 });
  expect(further[0]?.reason).toBe('label my.gw.route.x.path="y" is not a path, such as /shop or /');
  expect(warnings).toEqual([]);
  expect(readLabels({ "my.gw.port": "x" }, "my.gw.")).toEqual({
    reason: 'label my.gw.port="x" is not a port number (1 to 65535)',
  });
  expect(read({ "my.gw.prot": "x", "my.gwport": "1" }, "my.gw.").warnings).toEqual([
    "label my.gw.prot is unknown, my.gw.port was probably meant",
    "label my.gwport is unknown, my.gw.port was probably meant",
  ]);
});

// Who serves it in spite of that would do something else than the label wants.
test.each([
  ["enable", "maybe", 'label gateway.enable="maybe" is not true or false'],
  ["enable", "", 'label gateway.enable="" is not true or false'],
  ["port", "", 'label gateway.port="" is not a port number (1 to 65535)'],
  ["port", "0", 'label gateway.port="0" is not a port number (1 to 65535)'],
  ["port", "http", 'label gateway.port="http" is not a port number (1 to 65535)'],
  ["port", "80\nx", String.raw`label gateway.port="80\nx" is not a port number (1 to 65535)`],
  ["network", " ", 'label gateway.network="" is not the name of a network'],
  ["service", "a/b", 'label gateway.service="a/b" is not a name of letters, digits, dots, hyphens'],
])("gateway.%s=%j costs the container", (name, value, reason) => {
  const found = readLabels({ [`gateway.${name}`]: value });
  expect("reason" in found && found.reason).toStartWith(reason);
});

test.each([
  ["host", "a_b!", 'label gateway.host="a_b!" is not a host name, such as shop.example.com'],
  ["host", "", 'label gateway.host="" is not a host name'],
  ["host", "a! b!", 'label gateway.host="a! b!": "a!" is not a host name'],
  ["path", "shop", 'label gateway.path="shop" is not a path, such as /shop or /'],
  ["rewrite", "app", 'label gateway.rewrite="app" is not a path, such as /app'],
])("gateway.%s=%j costs the route", (name, value, reason) => {
  const { route, warnings } = read({ [`gateway.${name}`]: value, "gateway.strip": "false" });
  expect(route.reason).toStartWith(reason);
  expect(route.values).toEqual({ strip: false });
  expect(warnings).toEqual([]);
});

test.each([
  ["weight", "257", 'label gateway.weight="257" is not a weight (0 to 256)'],
  ["weight", "-1", 'label gateway.weight="-1" is not a weight (0 to 256)'],
  ["weight", "1 backup", 'label gateway.weight="1 backup" is not a weight (0 to 256)'],
  ["backup", "2", 'label gateway.backup="2" is not true or false'],
  ["maxconn", "0", 'label gateway.maxconn="0" is not a number of requests (1 to 1000000)'],
  ["maxconn", "1e3", 'label gateway.maxconn="1e3" is not a number of requests (1 to 1000000)'],
])("gateway.%s=%j of the container costs only that", (name, value, warning) => {
  const { values, warnings } = read({ [`gateway.${name}`]: value });
  expect(values).toEqual({});
  expect(warnings).toEqual([`${warning}: the label counts for nothing`]);
});

test.each([
  ["strip", "/x", {}, 'label gateway.strip="/x" is not true or false'],
  ["host", "a.org, b!", { host: ["a.org"] }, 'label gateway.host="a.org, b!": "b!" is not a host'],
  ["path", "/a b", { path: ["/a"] }, 'label gateway.path="/a b": "b" is not a path'],
])("gateway.%s=%j costs only that", (name, value, values, warning) => {
  const { route, warnings } = read({ [`gateway.${name}`]: value });
  expect(route).toEqual({
    name: "",
    prefix: "gateway.",
    values,
    port: undefined,
    settings: {},
    rules: NO_RULES,
    reason: undefined,
  });
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toStartWith(warning);
});

test.each([
  ["gateway.prot", "label gateway.prot is unknown, gateway.port was probably meant"],
  ["gateway.enabled", "label gateway.enabled is unknown, gateway.enable was probably meant"],
  ["gateway-port", "label gateway-port is unknown, gateway.port was probably meant"],
  ["gateway.networks", "label gateway.networks is unknown, gateway.network was probably meant"],
  ["gateway.stripe", "label gateway.stripe is unknown, gateway.strip was probably meant"],
  ["gateway.hosts", "label gateway.hosts is unknown, gateway.host was probably meant"],
  [
    "gateway.route.a.paths",
    "label gateway.route.a.paths is unknown, gateway.route.a.path was probably meant",
  ],
  [
    "gateway.route.a.ports",
    "label gateway.route.a.ports is unknown, gateway.route.a.port was probably meant",
  ],
  ["gateway.route.a", "label gateway.route.a is unknown"],
  ["gateway.route.a b.path", 'label "gateway.route.a b.path" is unknown'],
  ["gateway.middleware", "label gateway.middleware is unknown"],
  ["gateway.constructor", "label gateway.constructor is unknown"],
  ["gateway.__proto__", "label gateway.__proto__ is unknown"],
  ["gateway.", "label gateway. is unknown"],
  ["gateway.a\nb", String.raw`label "gateway.a\nb" is unknown`],
  ["gateways", undefined],
  ["other.port", undefined],
])("%j is unknown: %p", (name, warning) => {
  const found = read(Object.fromEntries([[name, "8080"]]));
  expect(found.warnings).toEqual(warning === undefined ? [] : [warning]);
  expect([found.values, found.route.values, found.further]).toEqual([{}, {}, []]);
});

test("the order of the labels does not matter, and long values are cut", () => {
  const labels = {
    "gateway.x": "1",
    "gateway.port": "81",
    "gateway.a": "1",
    "gateway.host": "a b!",
  };
  const turned = Object.fromEntries(Object.entries(labels).toReversed());
  expect(read(turned)).toEqual(read(labels));
  const { route } = read({ "gateway.path": "x".repeat(100_000) });
  expect(route.reason?.length).toBeLessThan(500);
});
