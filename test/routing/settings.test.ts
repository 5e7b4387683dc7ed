// The settings of services: which labels they come from, whose count, and how their profile is called.

import { describe, expect, test } from "bun:test";
import { explainContainer } from "../../src/api/explain/container.ts";
import { explainUrl } from "../../src/api/explain/url.ts";
import { durationOf } from "../../src/lib/durations.ts";
import type { Container, LabelFile, Service } from "../../src/model.ts";
import { readLabels } from "../../src/routing/labels.ts";
import { route } from "../../src/routing/routing.ts";
import { withFiles } from "../../src/routing/settings/files.ts";
import { profileOf } from "../../src/routing/settings/profile.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

/** The settings that labels give. */
function read(labels: Record<string, string>) {
  const found = readLabels(
    Object.fromEntries(Object.entries(labels).map(([name, text]) => [`gateway.${name}`, text])),
  );
  if ("reason" in found) throw new Error(found.reason);
  return { settings: found.route.settings, warnings: found.warnings };
}

function model(...containers: readonly Container[]) {
  return route(snapshot(containers), HOST, ROUTING);
}

test.each([
  ["timeout", "90s", "90s"],
  ["timeout", " 1M30S ", "90s"],
  ["timeout", "60s", "1m"],
  ["timeout", "0m1000ms", "1s"],
  ["timeout", "1h", "1h"],
  ["timeout.connect", "1500ms", "1500ms"],
  ["timeout.tunnel", "24h", "1d"],
  ["balance", "LeastConn", "leastconn"],
  ["balance", "roundrobin", "roundrobin"],
  ["balance", "hash:X-User", "hash:x-user"],
  ["balance", "hash:cookie:User", "hash:cookie:User"],
  ["balance", "hash:cookie", "hash:cookie"],
  ["check", "/health?full=1&x='$a'", "/health?full=1&x='$a'"],
  ["check.interval", "1000ms", "1s"],
  ["check.status", "200, 300-399", "200,300-399"],
  ["check.host", "A.org:8080", "a.org:8080"],
  ["check.host", "a.org", "a.org"],
  ["sticky", "JSESSION_id.1", "JSESSION_id.1"],
  ["sticky.secure", "yes", "true"],
  ["sticky.samesite", "Lax", "lax"],
  ["scheme", "HTTPS", "https"],
  ["scheme", "h2c", "h2c"],
  ["scheme", "FCGI", "fcgi"],
  ["https.verify", "no", "false"],
  ["https.sni", "A.org", "a.org"],
  ["slowstart", "30000ms", "30s"],
  ["compress", "on", "true"],
  ["queue", "0", "0"],
  ["errors.404", "/srv/a page's.html", "/srv/a page's.html"],
  ["errors.5xx", "/srv/x", "/srv/x"],
  ["queue", "007", "7"],
  ["queue", "30s", "30s"],
])("%s=%j is %j", (name, text, value) => {
  expect(read({ [name]: text })).toEqual({ settings: { [name]: value }, warnings: [] });
});

test.each([
  ["timeout", "90", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout", "0s", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout", "61m", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout", "1.5s", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout", "", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout", "9s\nserver", "a time, such as 90s or 5m (1ms to 1h)"],
  ["timeout.connect", "-1s", "a time, such as 2s (50ms to 1h)"],
  ["timeout.connect", "49ms", "a time, such as 2s (50ms to 1h)"],
  ["timeout.tunnel", "2d", "a time, such as 12h (1ms to 1d)"],
  [
    "balance",
    "static-rr",
    "roundrobin, leastconn, source, random, hash:HEADER or hash:cookie:NAME",
  ],
  ["balance", "hash:", "roundrobin, leastconn, source, random, hash:HEADER or hash:cookie:NAME"],
  ["balance", "hash:a)b", "roundrobin, leastconn, source, random, hash:HEADER or hash:cookie:NAME"],
  ["check", "health", "a path, such as /health"],
  ["check", "/a b", "a path, such as /health"],
  ["check", "/a%[src]", "a path, such as /health"],
  ["check", "/a\r\nX: y", "a path, such as /health"],
  ["check.interval", "50ms", "a time, such as 10s (100ms to 1h)"],
  ["check.status", "299-200", "a status, or several, such as 200-299,401"],
  ["check.status", "2xx", "a status, or several, such as 200-299,401"],
  ["check.host", "*.a.org", "a host name, such as shop.example.com"],
  ["check.host", "a.org:0", "a host name, such as shop.example.com"],
  ["check.host", "a.org:80:80", "a host name, such as shop.example.com"],
  [
    "sticky",
    "a b",
    "the name of a cookie: letters, digits, dots, hyphens and underscores (at most 60)",
  ],
  [
    "sticky",
    "a;b",
    "the name of a cookie: letters, digits, dots, hyphens and underscores (at most 60)",
  ],
  ["sticky.secure", "maybe", "true or false"],
  ["sticky.samesite", "loose", "lax, strict or none"],
  ["scheme", "ftp", "http, https, h2c, h2 or fcgi"],
  ["fcgi.root", "var/www", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/a/../b", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/a//b", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/a b", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/a%[src]", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "/a\n  log-stderr global", "the path of a folder, such as /var/www/html"],
  ["fcgi.root", "", "the path of a folder, such as /var/www/html"],
  ["fcgi.index", "", "the name of a script, such as index.php"],
  ["fcgi.index", "../x.php", "the name of a script, such as index.php"],
  ["fcgi.index", "x/", "the name of a script, such as index.php"],
  ["fcgi.index", "x),y", "the name of a script, such as index.php"],
  ["https.sni", "*.a.org", "a host name, such as shop.example.com"],
  ["slowstart", "500ms", "a time, such as 30s (1s to 1h)"],
  ["compress", "gzip", "true or false"],
  ["errors.404", "404.html", "the path of a file, such as /srv/pages/404.html"],
  ["errors.404", "", "the path of a file, such as /srv/pages/404.html"],
  ["errors.404", "/a\nb", "the path of a file, such as /srv/pages/404.html"],
  ["queue", "all", "a time, such as 30s (1ms to 1h), or a number (0 to 100000)"],
])("%s=%j costs only that", (name, text, allowed) => {
  const { settings, warnings } = read({ [name]: text, weight: "1" });
  expect(settings).toEqual({});
  const label = `label gateway.${name}=${JSON.stringify(text)}`;
  expect(warnings).toEqual([`${label} is not ${allowed}: the label counts for nothing`]);
});

test.each([
  ["check.status", "200", "check"],
  ["check.host", "a.org", "check"],
  ["sticky.secure", "true", "sticky"],
  ["https.verify", "false", "scheme=https"],
  ["https.sni", "a.org", "scheme=https"],
  ["sticky.samesite", "lax", "sticky"],
  ["fcgi.root", "/srv", "scheme=fcgi"],
  ["fcgi.index", "app.php", "scheme=fcgi"],
])("%s=%s means nothing without label gateway.%s", (name, text, needed) => {
  for (const prefix of ["gateway.", "gateway.route.a."]) {
    const labels = { [`${prefix}${name}`]: text, "gateway.route.a.path": "/a" };
    const { services, warnings } = model(container("web", { labels }));
    expect(services.map(({ settings }) => settings)).toEqual([{}]);
    expect(warnings).toEqual([
      `container web: label ${prefix}${name} counts for nothing without label ${prefix}${needed}`,
    ]);
  }
});

/** A container with labels that are given without their prefix. */
function labelled(labels: Readonly<Record<string, string>>) {
  const own = Object.entries(labels).map(([key, text]) => [`gateway.${key}`, text]);
  return model(container("web", { labels: Object.fromEntries(own) }));
}

describe("a certificate that is to be verified", () => {
  const NAMED = { scheme: "https", "https.sni": "a.org" };
  const CA = "/srv/ca.pem";

  test.each([
    [
      { ...NAMED, "https.verify": "yes" },
      { ...NAMED, "https.verify": "true" },
    ],
    [
      { ...NAMED, "https.ca": CA },
      { ...NAMED, "https.ca": CA, "https.verify": "true" },
    ],
    [
      { ...NAMED, scheme: "h2", "https.ca": CA, "https.verify": "true" },
      { ...NAMED, scheme: "h2", "https.ca": CA, "https.verify": "true" },
    ],
    [{ ...NAMED, "https.verify": "false" }, NAMED],
  ])("%j gives %j", (labels, settings) => {
    const { services, warnings } = labelled(labels);
    expect([services.map((each) => each.settings), warnings]).toEqual([[settings], []]);
  });

  test("without verification a CA means nothing", () => {
    const { services, warnings } = labelled({ ...NAMED, "https.verify": "no", "https.ca": CA });
    expect(services.map(({ settings }) => settings)).toEqual([NAMED]);
    expect(warnings).toEqual([
      "container web: label gateway.https.ca counts for nothing without label gateway.https.verify=true",
    ]);
  });

  test.each([
    [{ ...NAMED, "https.verify": "ture" }, 'https.verify="ture" is not true or false'],
    [
      { ...NAMED, "https.ca": "ca.pem" },
      'https.ca="ca.pem" is not the path of a file, such as /srv/ca.pem',
    ],
    [
      { scheme: "https", "https.verify": "true" },
      "https.verify=true needs label gateway.https.sni, the name that is in the certificate",
    ],
    [
      { scheme: "https", "https.ca": CA },
      "https.ca needs label gateway.https.sni, the name that is in the certificate",
    ],
    [
      { "https.sni": "a.org", "https.verify": "true" },
      "https.verify=true needs label gateway.scheme=https",
    ],
    [{ scheme: "h2c", "https.ca": CA }, "https.ca needs label gateway.scheme=https"],
  ])("%j costs the route: it would trust more", (labels, reason) => {
    const { services, rejections } = labelled(labels);
    expect(services).toEqual([]);
    expect(rejections.map((each) => each.reason)).toEqual([`label gateway.${reason}`]);
  });

  test("so does a further route", () => {
    const { services, rejections, warnings } = labelled({
      "route.a.path": "/a",
      "route.a.scheme": "https",
      "route.a.https.verify": "true",
    });
    expect(services.map(({ routes }) => routes.map(({ path }) => path))).toEqual([["/foo/bar"]]);
    expect([rejections, warnings]).toEqual([
      [],
      [
        "container web: label gateway.route.a.https.verify=true needs label gateway.route.a.https.sni, the name that is in the certificate: that route is not served",
      ],
    ]);
  });
});

test.each([
  ["fcgi.root", "/srv/app/", { "fcgi.root": "/srv/app" }],
  ["fcgi.index", "/public/app.php", { "fcgi.index": "public/app.php" }],
])("%s=%s with FastCGI is %j", (name, text, setting) => {
  expect(read({ scheme: "fcgi", [name]: text })).toEqual({
    settings: { scheme: "fcgi", ...setting },
    warnings: [],
  });
});

test("a length of time has limits", () => {
  const parse = durationOf(10, 1_000);
  expect(["9ms", "10ms", "1s", "1001ms"].map(parse)).toEqual([undefined, "10ms", "1s", undefined]);
});

describe("the name of a profile", () => {
  test.each([
    [{}, "_backend"],
    [{ timeout: "5m" }, "_timeout:5m"],
    [{ check: "/health/x-y" }, "_check::health:x--y"],
    [{ "timeout.connect": "1s", timeout: "5m" }, "_timeout:5m_timeout.connect:1s"],
  ])("of %j is %s", (settings, name) => {
    expect(profileOf(settings)).toBe(name);
  });

  test("is different for different settings, and one that HAProxy takes", () => {
    const values = ["/a", "-a", "--a", ":a", "a", "-002fa", "a_y:b", "a_", "é", "a b"];
    const all = [...values.map((x) => ({ x })), { x: "a", y: "b" }].map((each) => profileOf(each));
    expect(new Set(all).size).toBe(all.length);
    for (const name of all) expect(name).toMatch(/^_[A-Za-z0-9_.:-]+$/);
  });
});

test("what is so anyway is no setting", () => {
  const labels = {
    "gateway.balance": "roundrobin",
    "gateway.sticky": "a",
    "gateway.sticky.secure": "no",
  };
  expect(model(container("web", { labels })).services[0]?.settings).toEqual({ sticky: "a" });
  const usual = { scheme: "fcgi", "fcgi.root": "/var/www/html/", "fcgi.index": "/index.php" };
  const own = Object.fromEntries(
    Object.entries(usual).map(([name, text]) => [`gateway.${name}`, text]),
  );
  expect(model(container("web", { labels: own })).services[0]?.settings).toEqual({
    scheme: "fcgi",
  });
});

test("the oldest container decides, and one warning names both", () => {
  const [old, young] = [
    container("z-old", { created: 1, labels: { "gateway.timeout": "5m" } }),
    container("a-young", { created: 2, labels: { "gateway.queue": "9" } }),
  ];
  const { services, warnings } = model(young, old);
  expect(services.map(({ settings, profile }) => [settings, profile])).toEqual([
    [{ timeout: "5m" }, "_timeout:5m"],
  ]);
  expect(warnings).toEqual([
    "containers z-old and a-young share service foo/bar and differ in label gateway.queue and label gateway.timeout: z-old is the oldest, so it is served without queue and with timeout=5m",
  ]);
  expect(services[0]?.servers).toHaveLength(2);
});

test("a further route with a setting has servers of its own, and takes none from its container", () => {
  const labels = {
    "gateway.timeout": "5m",
    "gateway.route.api.path": "/api",
    "gateway.route.api.queue": "3",
    "gateway.route.same.path": "/same",
  };
  const { services } = model(container("web", { labels }));
  expect(services.map(({ backend, settings }) => [backend, settings])).toEqual([
    ["foo:bar", { timeout: "5m" }],
    ["foo:bar::route:api", { queue: "3" }],
  ]);
  expect(services[0]?.routes.map(({ path }) => path)).toEqual(["/foo/bar", "/same"]);
  expect(services[1]?.servers.map(({ port }) => port)).toEqual([8000]);
});

test("explain tells each with its label, and that the oldest decides", () => {
  const labels = { "gateway.route.api.path": "/api", "gateway.route.api.timeout": "5m" };
  const web = container("web", { labels });
  const young = container("young", {
    created: 9,
    labels: { ...labels, "gateway.route.api.timeout": "6m" },
  });
  const made = model(web, young);
  const told = (each: Container): string[] =>
    explainContainer(each, snapshot([web, young]), HOST, ROUTING, made)
      .filter(({ about }) => about === "setting")
      .map(({ text }) => text);
  expect(told(web)).toEqual(["timeout=5m, from label gateway.route.api.timeout"]);
  expect(told(young)).toEqual([
    "timeout=6m, from label gateway.route.api.timeout",
    "it is served with timeout=5m, as the oldest container of the service has it",
  ]);
  const seen = { servers: [], oddities: [], routes: [] };
  expect(explainUrl("/api/x", made, seen, "gateway.")).toContainEqual({
    about: "setting",
    text: "timeout=5m, from label gateway.route.api.timeout",
  });
});

const OF_ERRORS =
  "counts for nothing: pages are for 400 to 599, such as errors.404, errors.4xx or errors.5xx";
const QUESTION =
  "counts for nothing: in its place a page would take away the question for a password";
test.each([
  ["errors.200", OF_ERRORS],
  ["errors.401", QUESTION],
  ["errors.407", QUESTION],
  ["errors.3xx", OF_ERRORS],
  ["errors.40", OF_ERRORS],
  ["errors.", "is unknown"],
  ["errors", "is unknown"],
])("%s is no label", (name, problem) => {
  const { settings, warnings } = read({ [name]: "/srv/x" });
  expect(settings).toEqual({});
  expect(warnings.length).toBe(1);
  expect(warnings[0]).toContain(`label gateway.${name} ${problem}`);
});

/** What is said of a further route without the password of its container's own. */
const OPEN_ROUTE =
  "container web: label gateway.auth is not for route a, which is open to all " +
  "unless label gateway.route.a.auth asks for a password there, too";

test("a file that is of no use is told, and what it is about is served without it", () => {
  const labels = { "gateway.errors.404": "/srv/a", "gateway.errors.503": "/srv/b" };
  const containers = [container("web", { labels }), container("plain", { image: "plain" })];
  const before = model(...containers);
  const problem = { problem: "there is no such file" };
  const files = { "/srv/a": { text: "page" }, "/srv/b": problem };
  const readFile = (path: string) => files[path as keyof typeof files];
  const after = withFiles(before, readFile, "gateway.");
  expect(after.services.map((each) => each.files)).toEqual([files, undefined]);
  const told = 'gateway.errors.503="/srv/b" counts for nothing: there is no such file';
  expect(after.services.map((each) => each.fileProblems)).toEqual([[told], undefined]);
  expect(after.services[1]).toBe(before.services[1] as Service);
  expect(withFiles(before, readFile, "gateway.").services[0]).toBe(after.services[0] as Service);
  expect(after.warnings).toEqual([
    'service foo/bar (container web): label gateway.errors.503="/srv/b" counts for nothing: there is no such file',
  ]);
  const lines = explainContainer(
    container("web", { labels }),
    snapshot(containers),
    HOST,
    ROUTING,
    after,
  );
  expect(lines.map(({ text }) => text)).toContain(`label ${told}`);
  const seen = { servers: [], oddities: [], routes: [] };
  expect(explainUrl("/foo/bar", after, seen, "gateway.").map(({ text }) => text)).toContain(
    "errors.404=/srv/a, from label gateway.errors.404",
  );
});

describe("files that keep somebody out", () => {
  const HASH = "$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki";
  const labels = {
    "gateway.auth": `eve:${HASH}`,
    "gateway.auth.file": "/srv/users",
    "gateway.route.a.path": "/a",
    "gateway.scheme": "https",
    "gateway.https.sni": "a.org",
    "gateway.https.ca": "/srv/ca.pem",
  };
  const CA = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const missing = { problem: "there is no such file" };

  function filled(
    files: Readonly<Record<string, LabelFile>>,
    own: typeof labels | object = labels,
  ) {
    const { services, warnings } = withFiles(
      model(container("web", { labels: { ...own } })),
      (path) => files[path] ?? missing,
      "gateway.",
    );
    return { services, warnings };
  }

  test("users of the file come to those of the label", () => {
    const text = `# of the shop\n\n  bob:${HASH}\r\nal@x.org:${HASH}`;
    const { services, warnings } = filled(
      { "/srv/users": { text } },
      { "gateway.auth": `eve:${HASH}`, "gateway.auth.file": "/srv/users" },
    );
    const { values, closed } = services[0]?.routes[0]?.rules ?? {};
    expect([values?.["auth"], closed, warnings]).toEqual([
      `eve:${HASH},bob:${HASH},al@x.org:${HASH}`,
      "",
      [],
    ]);
    expect(services[0]?.files).toEqual({});
  });

  test.each([
    [missing, "there is no such file"],
    [{ text: "" }, "it is empty"],
    [{ text: "# nobody\n" }, "it has no user"],
    [
      { text: `bob:${HASH}\neve:secret\n` },
      'line 2, "eve:...", is no user with a hash that HAProxy can check, such as bob:$2y$10$... (bcrypt with a cost of 4 to 12, SHA-512 or SHA-256)',
    ],
  ])("with the users %j nobody gets in", (file, problem) => {
    const own = { "gateway.auth": `eve:${HASH}`, "gateway.auth.file": "/srv/users" };
    const { services, warnings } = filled({ "/srv/users": file }, own);
    expect(services[0]?.routes.map(({ rules }) => rules.closed)).toEqual(["auth.file"]);
    expect(services[0]?.profile).toBe("_rules");
    const told = `gateway.auth.file="/srv/users": ${problem}: the route answers 503 until it is right`;
    expect([warnings, services[0]?.fileProblems]).toEqual([
      [`service foo/bar (container web): label ${told}`],
      [told],
    ]);
  });

  test.each([
    [missing, "there is no such file"],
    [{ text: "bob" }, "it has no certificate in PEM"],
    [{ text: CA }, "a certificate in it cannot be read"],
  ])("without its CA no route of a service is open: %j", (file, problem) => {
    const { services, warnings } = filled({
      "/srv/users": { text: `bob:${HASH}` },
      "/srv/ca.pem": file,
    });
    expect(services.map(({ routes }) => routes.map(({ rules }) => rules.closed))).toEqual([
      ["https.ca", "https.ca"],
    ]);
    expect(warnings).toEqual([
      OPEN_ROUTE,
      `service foo/bar (container web): label gateway.https.ca="/srv/ca.pem": ${problem}: the route answers 503 until it is right`,
    ]);
  });

  test("a label that is no path lets nobody in", () => {
    const { services, warnings } = filled({}, { "gateway.auth.file": "users" });
    expect(services[0]?.routes.map(({ rules }) => rules.closed)).toEqual(["auth.file"]);
    expect(warnings).toEqual([
      'container web: label gateway.auth.file="users" is not the path of a file, such as /srv/users: the route answers 503 until it is right',
    ]);
  });
});
