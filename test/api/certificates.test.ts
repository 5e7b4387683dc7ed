// What is told of certificates: a row for each host, an explanation of each URL, and who renews one.

import { describe, expect, test } from "bun:test";
import { certificatesDocument, type Https } from "../../src/api/certificates.ts";
import { explainHosts, explainHttps } from "../../src/api/explain/https.ts";
import { renew } from "../../src/api/renewal.ts";
import type { CertificateState, Service } from "../../src/model.ts";
import { chooseCertificates } from "../../src/routing/certificates.ts";
import { route } from "../../src/routing/routing.ts";
import { withFiles } from "../../src/routing/settings/files.ts";
import { Authority } from "../lab/authority.ts";
import { labels } from "../lab/labels.ts";
import { certificate, container, failureOf, HOST, ROUTING, snapshot } from "../lab/make.ts";

const NOW = Date.parse("2026-11-29T12:00:00Z");
const AUTHORITY = { host: "ca.example.net", folder: "/acme" };
const SHOP = certificate("/certs/shop.pem", ["shop.example.com"]);
const WILD = certificate("/acme/_.example.com.pem", ["*.example.com"]);
const OLD = certificate("/certs/old.pem", ["old.org"], {
  notAfter: NOW - 86_400_000,
  expired: true,
});
const SOON = certificate("/certs/soon.pem", ["soon.org"], { notAfter: NOW + 3 * 86_400_000 });
const DEFAULT = certificate("/certs/default.pem", ["any.org"], { isDefault: true });

function https(rest: Partial<Https> = {}, options: Partial<Https["options"]> = {}): Https {
  const tls = { listen: ["*:443"], profile: "intermediate", strictSni: false, redirect: true };
  return {
    options: { ...tls, ...options } as Https["options"],
    authority: AUTHORITY,
    shown: chooseCertificates([SHOP, WILD, OLD, SOON]),
    states: [],
    warnings: [],
    ...rest,
  };
}

function state(name: string, rest: Partial<CertificateState> = {}): CertificateState {
  const nothing = { reason: "", nextTry: undefined, notAfter: undefined, issuer: "" };
  return { name, state: "waiting", underway: false, ...nothing, ...rest };
}

function services(hosts: string): readonly Service[] {
  const web = container("web", { labels: { "gateway.host": hosts } });
  return route(snapshot([web, container("any", { image: "any" })]), HOST, ROUTING).services;
}

/** The rows with the parts that most tests look at. */
function read(about: Https, hosts: string) {
  return certificatesDocument(about, services(hosts), NOW).certificates.map((row) => {
    const { name, routed, match, source, daysLeft, problem } = row;
    return [name, routed, match, source, daysLeft, problem];
  });
}

describe("the rows", () => {
  test("have each name of a route and of a certificate, what is wrong first", () => {
    expect(read(https(), "blog.example.com,new.org")).toEqual([
      ["new.org", true, "default", "self-signed", null, "no certificate is for it"],
      ["old.org", false, "exact", "file", -1, "it is too old: clients refuse it"],
      ["soon.org", false, "exact", "file", 3, "it ends soon: renew it"],
      ["*.example.com", false, "exact", "acme", 32, ""],
      ["blog.example.com", true, "wildcard", "acme", 32, ""],
      ["shop.example.com", false, "exact", "file", 32, ""],
    ]);
  });

  test("tell what the authority does", () => {
    const states = [
      state("a.org", { nextTry: NOW + 60_000, reason: "it does not lead here" }),
      state("b.org", { underway: true }),
    ];
    const shown = chooseCertificates([DEFAULT]);
    const { certificates } = certificatesDocument(https({ states, shown }), [], NOW);
    expect(certificates).toEqual([
      expect.objectContaining({
        name: "a.org",
        match: "default",
        path: "/certs/default.pem",
        authority: "ca.example.net",
        renewal: "2026-11-29T12:01:00.000Z",
        problem: "it does not lead here",
      }),
      expect.objectContaining({ name: "any.org", authority: "", problem: "" }),
      expect.objectContaining({ name: "b.org", renewal: null, underway: true, problem: "" }),
    ]);
  });

  test("say where a connection is refused, and that there is no HTTPS", () => {
    expect(read(https({}, { strictSni: true }), "new.org")[0]?.slice(2, 4)).toEqual([
      "none",
      "none",
    ]);
    const none = certificatesDocument(https({ options: undefined }), services("a.org"), NOW);
    expect(none).toEqual({ https: false, certificates: [], authorities: [], warnings: [] });
  });
});

describe("who signs the certificates of clients", () => {
  const DAY = 86_400_000;
  /** Later than they are made: so the days that are left are never whole ones. */
  const now = Date.now() + 60_000;

  /** The rows of routes whose label names these files. */
  function rows(ca: string, crl: string | undefined, at = now, hosts = "shop.example.com") {
    const names = { mtls: "required", "mtls.ca": "/ca", ...(crl && { "mtls.crl": "/crl" }) };
    const web = container("web", { labels: labels({ host: hosts, ...names }) });
    const { services: asking } = withFiles(
      route(snapshot([web]), HOST, ROUTING),
      (path) => ({ text: path === "/ca" ? ca : (crl ?? "") }),
      "gateway.",
    );
    return certificatesDocument(https(), asking, at).authorities;
  }

  /** Whether each keeps everybody out, and what is wrong. */
  function problem(...about: Parameters<typeof rows>) {
    return rows(...about).map((row) => [
      row.refused,
      row.problem.replace(/on \S+?(?=[,:])/, "on DAY"),
    ]);
  }

  test("is told once, with all routes, what is wrong first", async () => {
    const [staff, short] = [await Authority.make("Staff"), await Authority.make("Short", 5)];
    const told = rows(staff.root + short.root, undefined, now, "a.org,b.org");
    expect(told.map(({ name, daysLeft, refused }) => [name, daysLeft, refused])).toEqual([
      ["Tests Short", 4, false],
      ["Tests Staff", 399, false],
    ]);
    expect(told[1]).toMatchObject({
      routes: ["https://a.org/", "https://b.org/"],
      path: "/ca",
      revoked: "",
      nextList: null,
      problem: "",
    });
    expect(told[0]?.problem).toMatch(
      /^it ends on \d{4}-..-..: put the certificate of its successor beside it into \/ca, and have/,
    );
  });

  test("and does not count any more, or soon will not", async () => {
    const [staff, old] = [await Authority.make("Staff"), await Authority.make("Old", -1)];
    const out = "so nobody with a certificate of it gets in";
    expect(problem(old.root, undefined)).toEqual([
      [true, `it expired on DAY, ${out}: put the certificate of its successor into /ca`],
    ]);
    const lists = await staff.revoked();
    expect(problem(staff.root, lists)).toEqual([[false, ""]]);
    const make = "have it make a new one for /crl";
    expect(problem(staff.root, lists, now + 31 * DAY)).toEqual([
      [true, `its list of what is revoked expired on DAY, ${out}: ${make}`],
    ]);
    expect(problem(staff.root, lists, now + 24 * DAY)).toEqual([
      [false, `its list of what is revoked ends on DAY: ${make}`],
    ]);
    // One that is made each day is as it should be.
    expect(problem(staff.root, await staff.revokedUntil(2))).toEqual([[false, ""]]);
    expect(problem(staff.root, await (await Authority.make("Other")).revoked())).toEqual([
      [true, `/crl has no list of it, ${out}: have it make one, and add that`],
    ]);
  });
});

describe("a URL", () => {
  const explain = (url: string, about = https()): string[] => {
    const { protocol, host, pathname, search } = new URL(url);
    const isPlain = pathname === "/plain";
    const asked = { isHttps: protocol === "https:", host, path: pathname + search, isPlain };
    return explainHttps(asked, about, NOW).lines.map((line) => `${line.about}: ${line.text}`);
  };
  const LAST = "by Let's Encrypt R11, until 2027-01-01";

  test.each<[string, Https, string[]]>([
    [
      "https://shop.example.com/",
      https(),
      [
        `certificate: /certs/shop.pem (ec), for shop.example.com, ${LAST}: it is for that very name`,
        "http: is sent here with 308",
      ],
    ],
    [
      "https://blog.example.com/",
      https({ states: [state("blog.example.com", { nextTry: NOW + 7_200_000 })] }),
      [
        `certificate: /acme/_.example.com.pem (ec), for *.example.com, ${LAST}: its *.example.com is for that name`,
        "acme: ca.example.net is asked in 2 h",
        "http: is sent here with 308",
      ],
    ],
    [
      "https://new.org/",
      https({ shown: chooseCertificates([DEFAULT]) }),
      [
        `certificate: /certs/default.pem (ec), for any.org, ${LAST}: the default one, as none is for that name: clients refuse it`,
        "http: is served, too: only a host with a valid certificate is sent here",
      ],
    ],
    [
      "https://new.org/",
      https(
        { states: [state("new.org", { reason: "its label", nextTry: undefined })] },
        { redirect: false },
      ),
      [
        "certificate: none is for that name, so one that the gateway signs itself is shown: clients refuse it",
        "acme: ca.example.net is not asked for one: its label",
        "http: is served, too (--no-redirect)",
      ],
    ],
    [
      "https://new.org/",
      https({}, { strictSni: true }),
      ["answer: no connection: no certificate is for that name, and --strict-sni refuses such"],
    ],
    [
      "https://a.org/",
      https({ options: undefined }),
      [
        "https: not served (--certs or --acme begins it); what a proxy in front takes TLS off goes on:",
      ],
    ],
    ["http://new.org/", https(), []],
    ["http://shop.example.com/plain", https(), []],
    ["http://shop.example.com/.well-known/acme-challenge/x", https(), []],
    ["http://shop.example.com/", https({}, { redirect: false }), []],
  ])("%s", (url, about, lines) => {
    expect(explain(url, about)).toEqual(lines);
  });

  test("by HTTP is sent to where HTTPS listens", () => {
    expect(explain("http://shop.example.com/x?y=1", https({}, { listen: ["*:8443"] })).at(-1)).toBe(
      "answer: 308, to https://shop.example.com:8443/x?y=1; what is asked for there goes on:",
    );
  });

  test("of a container each host has its certificate", () => {
    const lines = explainHosts(services("shop.example.com,new.org"), https(), NOW);
    expect(lines.map(({ text }) => text.slice(0, 34))).toEqual([
      "shop.example.com: /certs/shop.pem ",
      "new.org: none is for that name, so",
    ]);
  });
});

describe("a renewal", () => {
  const acme = { renew: (name: string) => (name === "a.org" ? ["a.org", "b.org"] : undefined) };
  const about = https({
    states: [state("*.w.org", { state: "failed", reason: "it is a wildcard" })],
  });
  const refusal = (name: string, own = about, who: typeof acme | undefined = acme): string => {
    const { message, hint } = failureOf("usage", () => renew(name, own, services("new.org"), who));
    return `${message}; ${hint}`;
  };

  test("is the authority's", () => {
    expect(renew("a.org", about, [], acme)).toEqual({
      names: ["a.org", "b.org"],
      authority: "ca.example.net",
    });
  });

  test.each([
    [
      "shop.example.com",
      'Cannot renew "shop.example.com": its certificate is /certs/shop.pem; who',
    ],
    ["blog.example.com", 'Cannot renew "blog.example.com": no route has that name, and no'],
    ["*.example.com", 'Cannot renew "*.example.com": no route has that name any more; it is made'],
    ["*.w.org", 'Cannot renew "*.w.org": it is a wildcard; give it one with --certs'],
    ["shp.example.com", "no certificate is for it; did you mean shop.example.com?"],
    ["new.org", "no certificate is for it; its label acme=off says so"],
  ])("of %s is refused", (name, message) => {
    expect(refusal(name)).toContain(message);
  });

  test("without an authority --acme is missing", () => {
    const own = https({ authority: undefined });
    expect(refusal("new.org", own, { renew: () => undefined })).toContain("--acme gets one");
  });
});
