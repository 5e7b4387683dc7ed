// Which lines of the list of certificates ask clients for one.

import { expect, test } from "bun:test";
import { chooseCertificates } from "../../src/routing/certificates.ts";
import { clientRules } from "../../src/template/clients.ts";
import { toTlsContext } from "../../src/template/tls.ts";
import { keyOf } from "../../src/lib/places.ts";
import { NO_RULES, type Route } from "../../src/model.ts";
import { certificate } from "../lab/make.ts";

/** A route that asks for certificates, if it names who signs them. */
function routeOf(host: string, path: string, ca = "", mtls = "required"): Route {
  const authorities = { ca: { path: ca, text: ca }, crl: undefined };
  const rules =
    ca === "" ? NO_RULES : { values: { mtls }, closed: "", prefix: "gateway.", authorities };
  const key = keyOf({ host, path });
  return { host, path, strip: false, rewrite: "", key, backend: "b", rules };
}

const CERTIFICATES = [
  certificate("/wild.pem", ["*.example.com", "example.com"]),
  certificate("/shop.pem", ["shop.example.com"]),
  certificate("/shop.rsa.pem", ["shop.example.com"], { kind: "rsa" }),
];

/** The lines of the list, and the names in the map. */
function list(routes: readonly Route[], strictSni = false): string[][] {
  const options = {
    listen: ["*:443"],
    profile: "modern",
    strictSni,
    redirect: true,
    http3: false,
  } as const;
  const material = { ...chooseCertificates(CERTIFICATES), fallback: "", ticketKeys: "" };
  const rules = clientRules(routes);
  const { certificates, clients } = toTlsContext(options, material, routes);
  const lines = certificates.map(({ path, names, client }) => {
    const file = path.replace("/x/certificates/", "") || "default";
    const ca = client === false ? "" : ` ${client.verify} ${client.ca.slice(0, 3)}`;
    if (client !== false) expect(client).toEqual(rules?.(names) ?? client);
    return `${file}${ca} ${names}`;
  });
  const [all, ...names] = clients.map(({ key }) => key);
  // The one for all of them is the first to change.
  expect(all).toBe(rules === undefined ? undefined : "*");
  return [lines, names];
}

test("none without such a route", () => {
  const expected = [
    "shop.pem shop.example.com",
    "shop.rsa.pem shop.example.com",
    "wild.pem *.example.com example.com",
  ];
  expect(list([routeOf("shop.example.com", "/"), routeOf("", "/x", "/ca")])).toEqual([
    expected,
    [],
  ]);
});

test("a host has its own certificates, one by its wildcard, or that for unknown names", () => {
  const routes = ["shop.example.com", "wiki.example.com", "a.example.org"].map((host) =>
    routeOf(host, "/", "/ca"),
  );
  const own = [
    "shop.pem required ca- shop.example.com",
    "shop.rsa.pem required ca- shop.example.com",
    "wild.pem required ca- wiki.example.com",
  ];
  const quiet = "wild.pem *.example.com example.com";
  const names = ["shop.example.com", "wiki.example.com"];
  expect(list(routes)).toEqual([
    [quiet, "default required ca- a.example.org", ...own],
    ["a.example.org", ...names],
  ]);
  // There nobody is connected whose name no certificate has.
  expect(list(routes, true)).toEqual([[quiet, ...own], names]);
});

test("all names below a wildcard, each as its routes want it", () => {
  const routes = [
    routeOf("*.example.com", "/", "/ca"),
    routeOf("wiki.example.com", "/open"),
    routeOf("shop.example.com", "/", "/ca", "optional"),
    routeOf("", "/any"),
  ];
  expect(list(routes)).toEqual([
    [
      "wild.pem example.com",
      "wild.pem required ca- *.example.com",
      "shop.pem optional ca- shop.example.com",
      "shop.rsa.pem optional ca- shop.example.com",
      "wild.pem optional ca- wiki.example.com",
    ],
    [".example.com", "shop.example.com", "wiki.example.com"],
  ]);
});

test("the narrowest host that asks says whom it trusts; who is turned away anyway asks for nothing", () => {
  const closed = { ...routeOf("a.b.org", "/z"), rules: { ...NO_RULES, closed: "auth" } };
  const rules = clientRules([
    routeOf("*.org", "/", "/one"),
    routeOf("*.b.org", "/", "/two"),
    routeOf("a.b.org", "/x"),
    closed,
  ]);
  const [one, two] = [rules?.("c.org"), rules?.("x.b.org")];
  expect(one).toMatchObject({ verify: "required" });
  expect(two).toMatchObject({ verify: "required" });
  expect(two?.trust).not.toBe(one?.trust ?? "");
  expect(rules?.("a.b.org")).toEqual({ ...two, verify: "optional" } as typeof two);
  expect(rules?.("*.b.org")).toEqual(two);
  expect(rules?.("org")).toBeUndefined();
});
