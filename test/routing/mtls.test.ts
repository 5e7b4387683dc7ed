// Certificates of clients: what labels mean, and which routes can ask for none.

import { expect, test } from "bun:test";
import { readLabels } from "../../src/routing/labels.ts";
import { route } from "../../src/routing/routing.ts";
import { withClientCertificates } from "../../src/routing/settings/client-certificates.ts";
import { withFiles } from "../../src/routing/settings/files.ts";
import type { Model } from "../../src/model.ts";
import { Authority } from "../lab/authority.ts";
import { labels as prefixed } from "../lab/labels.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

/** The rules that labels give. */
function read(labels: Record<string, string>) {
  const found = readLabels(prefixed(labels));
  if ("reason" in found) throw new Error(found.reason);
  return { ...found.route.rules, warnings: found.warnings };
}

const CLOSED = "the route answers 503 until it is right";
const MISSING = `label gateway.mtls.ca is missing, which names the file with who signs the certificates of clients: ${CLOSED}`;

test.each<[Record<string, string>, Record<string, string>, string, string[]]>([
  [{ mtls: "Required", "mtls.ca": "/a" }, { mtls: "required", "mtls.ca": "/a" }, "", []],
  [
    { mtls: "optional", "mtls.ca": "/a", "mtls.crl": "/b" },
    { mtls: "optional", "mtls.ca": "/a", "mtls.crl": "/b" },
    "",
    [],
  ],
  // Who names a file wants somebody kept out.
  [{ "mtls.ca": "/a" }, { mtls: "required", "mtls.ca": "/a" }, "", []],
  [{ mtls: "required" }, { mtls: "required" }, "mtls", [MISSING]],
  [{ "mtls.crl": "/b" }, { mtls: "required", "mtls.crl": "/b" }, "mtls", [MISSING]],
  [
    { mtls: "no", "mtls.ca": "/a" },
    { mtls: "required", "mtls.ca": "/a" },
    "mtls",
    [`label gateway.mtls="no" is not required or optional: ${CLOSED}`],
  ],
  [
    { "mtls.ca": "a" },
    {},
    "mtls.ca",
    [`label gateway.mtls.ca="a" is not the path of a file, such as /srv/clients.pem: ${CLOSED}`],
  ],
])("%j", (labels, values, label, warnings) => {
  const { warnings: told, ...rules } = read(labels);
  expect({ values: rules.values, closed: rules.closed, told }).toEqual({
    values,
    closed: label,
    told: warnings,
  });
});

const { root } = await Authority.make();

/** The services of containers with these labels, one each. */
function model(...all: Record<string, string>[]): Model {
  const containers = all.map((labels, index) => {
    const image = `app${index}`;
    return container(image, { image, labels: prefixed({ "mtls.ca": "/a", ...labels }) });
  });
  const made = route(snapshot(containers), HOST, ROUTING);
  return withFiles(made, () => ({ text: root }), "gateway.");
}

/** The label for which each route is closed. */
function closed({ services }: Model): Record<string, string> {
  const routes = services.flatMap(({ routes: own }) => own);
  return Object.fromEntries(routes.map(({ key, rules }) => [key, rules.closed]));
}

const SHOP = { host: "shop.example.com" };

test("clients are asked once for all routes of a host", () => {
  const made = model(
    { ...SHOP, path: "/" },
    { ...SHOP, path: "/x", "mtls.ca": "/b" },
    { ...SHOP, path: "/y", mtls: "optional" },
    { host: "other.example.com", path: "/", "mtls.ca": "/b" },
  );
  const { services, warnings } = withClientCertificates(made, true);
  expect(closed({ ...made, services })).toEqual({
    "shop.example.com/": "",
    "shop.example.com/x/": "mtls",
    "shop.example.com/y/": "",
    "other.example.com/": "",
  });
  expect(warnings).toEqual([
    `service app1 (container app1): label gateway.mtls of http://shop.example.com/x: http://shop.example.com/ trusts other authorities, and a client is asked once for all of a host: ${CLOSED}`,
  ]);
  // A service that did not change is the same object.
  const again = withClientCertificates(made, true).services;
  expect(again.every((service, index) => service === services[index])).toBe(true);
});

test("nobody can be asked without TLS, or where any host is served", () => {
  const both = model({ ...SHOP, path: "/" }, { path: "/x" });
  const without = withClientCertificates(both, false);
  expect(closed(without)).toEqual({ "shop.example.com/": "mtls", "/x/": "mtls" });
  expect(without.warnings).toHaveLength(2);
  const withTls = withClientCertificates(both, true);
  expect(closed(withTls)).toEqual({ "shop.example.com/": "", "/x/": "mtls" });
  expect(withTls.warnings).toEqual([
    `service app1 (container app1): label gateway.mtls of /x: clients are asked for certificates by the host that they want, and this route has none: name one with label gateway.host: ${CLOSED}`,
  ]);
});

test("where nobody asks, all is the same object", () => {
  const made = route(snapshot([container("a")]), HOST, ROUTING);
  expect(withClientCertificates(made, true)).toBe(made);
});
