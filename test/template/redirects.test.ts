// Proves that redirects and cookies of a container find their way back below the prefix.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

/** What a container of foo/bar answers, and what the client gets, which asked `www.test:81`. */
const LOCATIONS: readonly (readonly [sent: string, got: string])[] = [
  ["/login", "/foo/bar/login"],
  ["/", "/foo/bar/"],
  ["/?q=/x", "/foo/bar/?q=/x"],
  ["/x?to=http://www.test:81/y#z", "/foo/bar/x?to=http://www.test:81/y#z"],
  ["/a//b", "/foo/bar/a//b"],
  ["/%2F%c3%a9 x", "/foo/bar/%2F%c3%a9 x"],

  // The application knows of its prefix already.
  ["/foo/bar", "/foo/bar"],
  ["/foo/bar/", "/foo/bar/"],
  ["/foo/bar/login", "/foo/bar/login"],
  ["/foo/bar?q", "/foo/bar?q"],
  ["/foo/bar#f", "/foo/bar#f"],
  ["http://www.test:81/foo/bar", "http://www.test:81/foo/bar"],
  ["http://www.test:81/foo/bar/x", "http://www.test:81/foo/bar/x"],
  ["http://www.test:81/foo/bar?q", "http://www.test:81/foo/bar?q"],

  // These only look so.
  ["/foo", "/foo/bar/foo"],
  ["/foo/barn", "/foo/bar/foo/barn"],
  ["/foo/bar.html", "/foo/bar/foo/bar.html"],
  ["/foo/bar;p", "/foo/bar/foo/bar;p"],
  ["/bar/x", "/foo/bar/bar/x"],
  ["/x/foo/bar", "/foo/bar/x/foo/bar"],
  ["http://www.test:81/foo/barn", "http://www.test:81/foo/bar/foo/barn"],

  // The same host, whole URL.
  ["http://www.test:81/x", "http://www.test:81/foo/bar/x"],
  ["https://www.test:81/x", "https://www.test:81/foo/bar/x"],
  ["http://www.test:81/", "http://www.test:81/foo/bar/"],
  ["http://www.test:81", "http://www.test:81/foo/bar"],
  ["http://www.test:81?q", "http://www.test:81/foo/bar?q"],
  ["http://www.test:81#f", "http://www.test:81/foo/bar#f"],
  ["HTTP://WWW.Test:81/x", "HTTP://WWW.Test:81/foo/bar/x"],
  ["http://www.test/x", "http://www.test/foo/bar/x"],
  ["http://www.test:80/x", "http://www.test:80/foo/bar/x"],
  ["https://www.test", "https://www.test/foo/bar"],
  ["https://www.test:443/x", "https://www.test:443/foo/bar/x"],
  ["//www.test:81/x", "//www.test:81/foo/bar/x"],
  ["//www.test/x?y", "//www.test/foo/bar/x?y"],
  ["//www.test/foo/bar/x", "//www.test/foo/bar/x"],

  // Another place.
  ["//other/x", "//other/x"],
  ["http://other/x", "http://other/x"],
  ["http://other", "http://other"],
  ["https://other/foo/bar/x", "https://other/foo/bar/x"],
  ["http://www.test:8181/x", "http://www.test:8181/x"],
  ["http://www.test:81.other/x", "http://www.test:81.other/x"],
  ["http://wwwxtest:81/x", "http://wwwxtest:81/x"],
  ["http://user@www.test:81/x", "http://user@www.test:81/x"],
  ["ftp://www.test:81/x", "ftp://www.test:81/x"],
  ["mailto:a@www.test", "mailto:a@www.test"],

  // Relative to where the client is.
  ["x", "x"],
  ["x/y?q", "x/y?q"],
  ["../x", "../x"],
  ["./x", "./x"],
  ["?q", "?q"],
  ["#f", "#f"],

  // The mark of the rewriting in what is rewritten.
  ["/a|b", "/foo/bar/a|b"],
  ["/a|/foo/bar/b", "/foo/bar/a|/foo/bar/b"],
  ["/|x|y", "/foo/bar/|x|y"],
  ["/||", "/foo/bar/||"],
  ["/foo/bar/a|b|/foo/bar", "/foo/bar/a|b|/foo/bar"],
  ["/foo/bar|x", "/foo/bar/foo/bar|x"],
  ["//other/x|y|z", "//other/x|y|z"],
  ["//other|x|/foo/bar", "//other|x|/foo/bar"],
  ["http://www.test:81/a|b|c", "http://www.test:81/foo/bar/a|b|c"],
  ["http://www.test:81|/a", "http://www.test:81|/a"],
  ["http://other/a|b|c", "http://other/a|b|c"],
  ["x|y|z", "x|y|z"],
  ["?a|http://|b", "?a|http://|b"],
];

const COOKIES: readonly (readonly [sent: string, got: string])[] = [
  // Without the slash, or the cookie would be missing from a request for /foo/bar itself
  // (RFC 6265, section 5.1.4).
  ["a=b; Path=/", "a=b; Path=/foo/bar"],
  ["a=b; path=/", "a=b; path=/foo/bar"],
  ["a=b; Path = /x", "a=b; Path = /foo/bar/x"],
  // Of several the last one counts (RFC 6265, section 5.3).
  ["a=b; Path=/x; Path=/y", "a=b; Path=/x; Path=/foo/bar/y"],
  // Browsers drop such a cookie with any other path (RFC 6265bis, section 4.1.3.2).
  ["__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"],
  ["__host-a=b; Path=/; Secure", "__host-a=b; Path=/; Secure"],
  ["__Secure-a=b; Path=/; Secure", "__Secure-a=b; Path=/foo/bar; Secure"],
  ["a=__Host-; Path=/", "a=__Host-; Path=/foo/bar"],
  ["a=b Path=/x", "a=b Path=/x"],
  ["a=b; PATH=/", "a=b; PATH=/foo/bar"],
  ["a=b;Path=/", "a=b;Path=/foo/bar"],
  ["a=b; HttpOnly; Path=/; SameSite=Lax", "a=b; HttpOnly; Path=/foo/bar; SameSite=Lax"],
  ["a=b; Path=/x", "a=b; Path=/foo/bar/x"],
  ["a=b; Path=/x/; Secure", "a=b; Path=/foo/bar/x/; Secure"],
  ["a=; Max-Age=0; Path=/", "a=; Max-Age=0; Path=/foo/bar"],
  [
    "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/; HttpOnly",
    "a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/foo/bar; HttpOnly",
  ],

  // The application knows of its prefix already.
  ["a=b; Path=/foo/bar", "a=b; Path=/foo/bar"],
  ["a=b; Path=/foo/bar; Secure", "a=b; Path=/foo/bar; Secure"],
  ["a=b; Path=/foo/bar ; Secure", "a=b; Path=/foo/bar ; Secure"],
  ["a=b; Path=/foo/bar/", "a=b; Path=/foo/bar/"],
  ["a=b; Path=/foo/bar/x; Secure", "a=b; Path=/foo/bar/x; Secure"],
  ["a=b; Path=/foo/barn", "a=b; Path=/foo/bar/foo/barn"],
  ["a=b; Path=/foo", "a=b; Path=/foo/bar/foo"],

  // Without a path, the browser takes that of the request, which has the prefix.
  ["a=b", "a=b"],
  ["a=b; Secure; HttpOnly", "a=b; Secure; HttpOnly"],
  ["a=b; Path=", "a=b; Path="],
  ["a=b; Path=x", "a=b; Path=x"],
  ["a=/x; Secure", "a=/x; Secure"],
  ["Path=/x", "Path=/x"],
  ["xpath=/x; Secure", "xpath=/x; Secure"],
  ["a=b; xPath=/", "a=b; xPath=/"],

  // The mark of the rewriting in what is rewritten.
  ["a=b|c; Path=/", "a=b|c; Path=/foo/bar"],
  ["a=|/x|; Path=/y", "a=|/x|; Path=/foo/bar/y"],
  ["a=b|c; Path=/foo/bar/x", "a=b|c; Path=/foo/bar/x"],
  ["a=b; Path=/x|y", "a=b; Path=/foo/bar/x|y"],
  ["a=b; Path=/x; Comment=c|/d", "a=b; Path=/foo/bar/x; Comment=c|/d"],
  ["a=b; Path=/; Comment=c|/foo/bar", "a=b; Path=/foo/bar; Comment=c|/foo/bar"],
  ["a=b|/foo/bar; Secure", "a=b|/foo/bar; Secure"],
];

describe.each(haproxyVersions())("the way back, HAProxy %s", (version) => {
  let app: App;
  let six: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    app = await startApp();
    six = await startApp({ name: "six", address: "::1" });
    site = await Site.make(version);
    const images = ["foo/bar", "foo", "grafana/grafana", "a/b/c"];
    const services = images.map((image) => serviceOf(app, { image }));
    haproxy = await site.start([...services, serviceOf(six)]);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    await app.stop();
    await six.stop();
  });

  test.each(LOCATIONS)("Location %s comes back as %s", async (sent, got) => {
    expect(await values("Location", [sent])).toEqual([got]);
  });

  test.each(COOKIES)("cookie %s comes back as %s", async (sent, got) => {
    expect(await values("Set-Cookie", [sent])).toEqual([got]);
  });

  test.each(["Content-Location", "Refresh"])("%s comes back as Location does", async (name) => {
    for (const [sent, got] of LOCATIONS) expect(await values(name, [sent])).toEqual([got]);
  });

  test.each([
    ["5; url=/x", "5; url=/foo/bar/x"],
    ["0;URL='/x'", "0;URL='/foo/bar/x'"],
    ['1.5, url = "http://www.test:81/x"', '1.5, url = "http://www.test:81/foo/bar/x"'],
    ["5; url=/foo/bar/x", "5; url=/foo/bar/x"],
    ["5; url=x", "5; url=x"],
    ["3; /x", "3; /foo/bar/x"],
    ["3,'http://www.test:81/x'", "3,'http://www.test:81/foo/bar/x'"],
    ["5; url=http://other/x", "5; url=http://other/x"],
    ["5", "5"],
  ])("Refresh %s comes back as %s", async (sent, got) => {
    expect(await values("Refresh", [sent], { status: 200 })).toEqual([got]);
  });

  test.each<[string[], string]>([
    [["</a>; rel=preload"], "</foo/bar/a>; rel=preload"],
    [
      ["</a>; rel=x, </b/c>;rel=y,</d?e=f>"],
      "</foo/bar/a>; rel=x, </foo/bar/b/c>;rel=y,</foo/bar/d?e=f>",
    ],
    [["</foo/bar/a>, </b>, </foo/barn>"], "</foo/bar/a>, </foo/bar/b>, </foo/bar/foo/barn>"],
    [
      ["<http://www.test:81/a>, <//WWW.test/b>"],
      "<http://www.test:81/foo/bar/a>, <//WWW.test/foo/bar/b>",
    ],
    [["<https://other/a>, <//other/b>, <c>"], "<https://other/a>, <//other/b>, <c>"],
    [['</a,b>; title="x|y"; rel="</z"'], '</foo/bar/a,b>; title="x|y"; rel="</z"'],
    [["</a>", "</b>"], "</foo/bar/a>, </foo/bar/b>"],
    [
      ["</a>", "</b>", "</c>, </d>", "<e>"],
      "</foo/bar/a>, </foo/bar/b>, </foo/bar/c>, </foo/bar/d>, <e>",
    ],
  ])("Link %s comes back as %s", async (sent, got) => {
    expect(await values("Link", sent, { status: 200 })).toEqual([got]);
  });

  test("an application that calls itself by its own address gets the client's host", async () => {
    const own = `127.0.0.1:${app.port}`;
    for (const [sent, got] of [
      [`http://${own}/x?y#z`, "http://www.test:81/foo/bar/x?y#z"],
      [`http://${own}`, "http://www.test:81/foo/bar"],
      [`http://${own}/foo/bar/x`, "http://www.test:81/foo/bar/x"],
      ["http://127.0.0.1/x", "http://www.test:81/foo/bar/x"],
      [`HTTPS://${own}/x`, "http://www.test:81/foo/bar/x"],
      [`//${own}/x`, "http://www.test:81/foo/bar/x"],
      [`http://127.0.0.1:${app.port + 1}/x`, `http://127.0.0.1:${app.port + 1}/x`],
      [`http://127.0.0.11:${app.port}/x`, `http://127.0.0.11:${app.port}/x`],
      [`//other/?u=http://${own}/`, `//other/?u=http://${own}/`],
    ] as const) {
      expect(await values("Location", [sent])).toEqual([got]);
    }
  });

  test("and so does one with an IPv6 address", async () => {
    const own = `[::1]:${six.port}`;
    for (const [sent, got] of [
      [`http://${own}/x`, "http://www.test:81/six/x"],
      ["http://[::1]/x", "http://www.test:81/six/x"],
      ["http://[::2]/x", "http://[::2]/x"],
    ] as const) {
      six.answerer = () => reply(302, [["Location", sent]]);
      const answer = await site.ask({ target: "/six/", headers: { Host: "www.test:81" } });
      expect(answer.header("Location")).toBe(got);
    }
  });

  test("all of them in one answer", async () => {
    app.answerer = () =>
      reply(201, [
        ["Location", "/a"],
        ["Content-Location", "/b"],
        ["Set-Cookie", "c=d; Path=/"],
        ["Link", "</e>"],
        ["Refresh", "1;url=/f"],
        ["X-Other", "/g"],
      ]);
    const { headers } = await site.ask({ target: "/foo/x" });
    const found = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
    expect(found).toMatchObject({
      location: "/foo/a",
      "content-location": "/foo/b",
      "set-cookie": "c=d; Path=/foo",
      link: "</foo/e>",
      refresh: "1;url=/foo/f",
      "x-other": "/g",
    });
  });

  test("each of several cookies is mended, in their order", async () => {
    const sent = [
      "a=1; Path=/",
      "b=2",
      "c=3; Path=/x; Secure",
      "d=4; Path=/foo/bar",
      "a=5; Path=/",
    ];
    expect(await values("Set-Cookie", sent)).toEqual([
      "a=1; Path=/foo/bar",
      "b=2",
      "c=3; Path=/foo/bar/x; Secure",
      "d=4; Path=/foo/bar",
      "a=5; Path=/foo/bar",
    ]);
  });

  test("up to a hundred cookies, a long one among them", async () => {
    const long = "x".repeat(4_000);
    for (const count of [1, 2, 60]) {
      const names = Array.from(
        { length: count },
        (_, index) => `c${index}=${index === 1 ? long : "v"}`,
      );
      const found = await values(
        "Set-Cookie",
        names.map((name) => `${name}; Path=/`),
      );
      expect(found).toEqual(names.map((name) => `${name}; Path=/foo/bar`));
    }
  });

  test("whatever the status and the prefix", async () => {
    for (const [status, target, sent, got] of [
      [201, "/foo/bar/things", "/things/1", "/foo/bar/things/1"],
      [301, "/foo", "/login", "/foo/login"],
      [303, "/foo/x", "/foo/login", "/foo/login"],
      [307, "/foo/x", "/foobar", "/foo/foobar"],
      [308, "/grafana/grafana", "/login", "/grafana/grafana/login"],
      [302, "/grafana/grafana/x", "/grafana/login", "/grafana/grafana/grafana/login"],
      [302, "/grafana/grafana/x", "/grafana/grafana/y", "/grafana/grafana/y"],
      [302, "/grafana/grafana/x", "/grafana", "/grafana/grafana/grafana"],
      [302, "/a/b/c/x", "/a/b/x", "/a/b/c/a/b/x"],
    ] as const) {
      expect(await values("Location", [sent], { status, target })).toEqual([got]);
    }
  });

  test("the client's host may be written in any way", async () => {
    for (const [host, sent, got] of [
      ["www.test", "http://www.test/x", "http://www.test/foo/bar/x"],
      ["www.test", "http://www.test:81/x", "http://www.test:81/x"],
      ["WWW.test", "http://www.test/x", "http://www.test/foo/bar/x"],
      ["www.test:80", "http://www.test/x", "http://www.test/foo/bar/x"],
      ["[::1]:8080", "http://[::1]:8080/x", "http://[::1]:8080/foo/bar/x"],
      ["w.w", "http://wxw/x", "http://wxw/x"],
    ] as const) {
      expect(await values("Location", [sent], { host })).toEqual([got]);
    }
  });

  test("a long URL is mended, and a long foreign one passes", async () => {
    const long = "x".repeat(6_000);
    expect(await values("Location", [`/${long}`])).toEqual([`/foo/bar/${long}`]);
    const foreign = `https://login.test/?to=${long}`;
    expect(await values("Location", [foreign])).toEqual([foreign]);
    expect(await values("Set-Cookie", [`a=${long}; Path=/`])).toEqual([`a=${long}; Path=/foo/bar`]);
  });

  /** What comes of an answer with these headers. */
  async function values(
    name: string,
    sent: readonly string[],
    options: { status?: number; target?: string; host?: string } = {},
  ): Promise<string[]> {
    const { status = 302, target = "/foo/bar/x", host = "www.test:81" } = options;
    app.answerer = () =>
      reply(
        status,
        sent.map((value) => [name, value]),
      );
    const answer = await site.ask({ target, headers: { Host: host } });
    expect(answer.status).toBe(status);
    return answer.headers
      .filter(([key]) => key.toLowerCase() === name.toLowerCase())
      .map(([, value]) => value);
  }
});
