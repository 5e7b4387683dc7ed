// Proves which container a path leads to and what path it sees there, byte by byte.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { climbs as isSaidToClimb } from "../../src/routing/climbing.ts";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { randomNumbers } from "../lab/make.ts";
import { startApp, type App, type Received } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

/** The deepest prefix that is provided for whatever runs, and a deeper one. */
const DEEP = "a/b/c/d/e/f/g/h";
const DEEPER = `${DEEP}/i/j`;

const ROUTED: readonly (readonly [target: string, image: string, seen: string])[] = [
  ["/foo", "foo", "/"],
  ["/foo/", "foo", "/"],
  ["/foo/x?y=1", "foo", "/x?y=1"],
  ["/foo?y=1", "foo", "/?y=1"],
  ["/foo?", "foo", "/?"],
  ["/foo/?", "foo", "/?"],
  ["/foo/x?", "foo", "/x?"],
  ["/foo?a/b", "foo", "/?a/b"],
  ["/foo?/foo/bar", "foo", "/?/foo/bar"],
  ["/foo/x?to=http://h/foo/bar", "foo", "/x?to=http://h/foo/bar"],
  ["/foo/foo/foo", "foo", "/foo/foo"],
  ["/foo/x/", "foo", "/x/"],
  ["/foo/index.html", "foo", "/index.html"],

  // The longest prefix wins, by whole segments.
  ["/foo/bar", "foo/bar", "/"],
  ["/foo/bar/", "foo/bar", "/"],
  ["/foo/bar/x", "foo/bar", "/x"],
  ["/foo/bar?x", "foo/bar", "/?x"],
  ["/foo/barn", "foo", "/barn"],
  ["/foo/ba", "foo", "/ba"],
  ["/foo/BAR", "foo", "/BAR"],
  ["/foo/bar;p=1", "foo", "/bar;p=1"],
  ["/foo/bar%2Fx", "foo", "/bar%2Fx"],

  // Nothing is normalised: how it is meant is the container's to know.
  ["/foo/./x", "foo", "/./x"],
  ["/foo//bar", "foo", "//bar"],
  ["/foo//", "foo", "//"],
  ["/foo/bar//x", "foo/bar", "//x"],
  ["/foo/x//y/..", "foo", "/x//y/.."],
  ["/foo/x/../y", "foo", "/x/../y"],
  ["/foo/a/b/../../c", "foo", "/a/b/../../c"],
  ["/foo/a/%2e%2E/b", "foo", "/a/%2e%2E/b"],
  ["/foo/a/.%2e;p=1/b/..", "foo", "/a/.%2e;p=1/b/.."],
  ["/foo/a%2F..%2fb", "foo", "/a%2F..%2fb"],
  ["/foo/a/b\\..\\c", "foo", "/a/b\\..\\c"],
  ["/foo/a%5cb%5C..", "foo", "/a%5cb%5C.."],
  [
    "/foo/1/2/3/4/5/6/7/8/../../../../../../../../9",
    "foo",
    "/1/2/3/4/5/6/7/8/../../../../../../../../9",
  ],
  ["/foo/...", "foo", "/..."],
  ["/foo/..x/x../a..b", "foo", "/..x/x../a..b"],
  ["/foo/%2e%2ex/%252e%252e/", "foo", "/%2e%2ex/%252e%252e/"],
  ["/foo/x?/../..", "foo", "/x?/../.."],
  ["/foo/x;p=1;q", "foo", "/x;p=1;q"],
  ["/foo/x%2Fy%20z%25", "foo", "/x%2Fy%20z%25"],
  ["/foo/%c3%a9%C3%A9", "foo", "/%c3%a9%C3%A9"],
  ["/foo/%66oo/%", "foo", "/%66oo/%"],
  ["/foo/%00%0d%0a", "foo", "/%00%0d%0a"],
  ["/foo/a|b^c\"d'e<f>{}\\`+,:@&=$!*()~", "foo", "/a|b^c\"d'e<f>{}\\`+,:@&=$!*()~"],
  ["/foo/x?%c3%a9=%2F&b=a+b%20c", "foo", "/x?%c3%a9=%2F&b=a+b%20c"],

  // Every character that a repository may have, and a whole name inside another.
  ["/my-app_1.2/x", "my-app_1.2", "/x"],
  ["/a__b--c/x", "a__b--c", "/x"],
  ["/a", "a", "/"],
  ["/a/b", "a", "/b"],
  ["/a/b/c/x", "a/b/c", "/x"],
  [`/${DEEP}`, DEEP, "/"],
  [`/${DEEP}/x/y`, DEEP, "/x/y"],
  [`/${DEEPER}`, DEEPER, "/"],
  [`/${DEEPER}/k?l`, DEEPER, "/k?l"],
  ["/a/b/c/d/e/f/x", "a/b/c/d/e/f", "/x"],
  ["/a/b/c/d/e/f/g/x", "a/b/c/d/e/f/g", "/x"],
  ["/a/b/c/d/x", "a/b/c/d", "/x"],
  ["/a/b/c/d/e/x", "a/b/c/d/e", "/x"],
  [`/foo/${"x".repeat(12_000)}`, "foo", `/${"x".repeat(12_000)}`],
];

const NOT_ROUTED = [
  "/",
  "/?foo",
  "/foobar",
  "/fo",
  "/Foo",
  "/FOO/x",
  "//foo",
  "//foo/x",
  "/./foo",
  "/x/../foo",
  "/x/foo",
  "/foo%2Fbar",
  // What nginx makes of a prefix without its slash: the path of a file beside it.
  "/foo../bar",
  "/foo..%2fbar",
  "/foo..;/bar",
  "/foo%2f..%2fbar",
  "/foo%2f%2e%2e%2fbar",
  "/foo%2fx",
  "/%66oo/x",
  "/foo;p=1",
  "/foo%3Fx",
  "/foo.",
  "/.foo",
  "/my-app_1_2",
  "/b/c",
];

/** These would leave /foo, for one server or another. */
const CLIMBING = [
  // What Traefik let through: CVE-2025-32431, CVE-2025-47952, CVE-2025-66490 (GHSA-gm3x-23wp-hc2c).
  "/foo/../admin",
  "/foo/%2e%2e/admin",
  "/foo/..%2fadmin",
  "/foo/..%5cadmin",
  "/foo/..%2f..%5cadmin",
  "/foo/..",
  "/foo/../",
  "/foo/../bar",
  "/foo/../foo/x",
  "/foo/./../x",
  "/foo//../x",
  "/foo/x/../../y",
  "/foo/x/../../foo/x",
  "/foo/a/b/../../../c",
  "/foo/a/../b/../../c",
  "/foo/..?x",
  // Encoded, in capitals or not, in part or whole.
  "/foo/%2e%2e/x",
  "/foo/%2E%2e/x",
  "/foo/.%2E/x",
  "/foo/%2e./x",
  "/foo/%2e/%2e%2e/x",
  "/foo/x/%2e%2e/%2e%2e/",
  // Parameters of a segment, as servlet containers take them.
  "/foo/..;/x",
  "/foo/..;a=b/x",
  "/foo/x;p/..;q/..;r/y",
  "/foo/%2e%2e;x/y",
  "/foo/.;x/..",
  // What may be meant as a slash.
  "/foo/..%2fbar",
  "/foo/..%2Fbar",
  "/foo/%2e%2e%2fbar",
  "/foo/x%2f..%2f..%2fbar",
  "/foo/x%2fy/../..",
  "/foo/..\\bar",
  "/foo/x\\..\\..\\bar",
  "/foo/..%5cbar",
  "/foo/..%5Cbar",
  "/foo/%2e%2e%5c",
  "/foo/..%2f;x",
  // Several of them: nobody knows which ones are.
  "/foo/a\\b\\c%2f..%2f..%2fd",
  "/foo/a%5cb%5cc%2f..%2f..%2fd",
  "/foo/a%2fb%2fc\\..\\..\\d",
  "/foo/a/b\\c/d%5c../..",
  // More than eight in a row are not counted.
  `/foo/${"x/".repeat(9)}${"../".repeat(9)}y`,
  // A long one.
  `/foo/${"a/".repeat(3_000)}${"../".repeat(3_001)}`,
];

const IMAGES = [
  "foo",
  "foo/bar",
  "my-app_1.2",
  "a__b--c",
  "a",
  "a/b/c",
  "a/b/c/d",
  "a/b/c/d/e",
  "a/b/c/d/e/f",
  "a/b/c/d/e/f/g",
  DEEP,
  DEEPER,
];

const SEGMENTS = [
  "foo",
  "bar",
  "a",
  "b",
  "c",
  "d",
  "my-app_1.2",
  "",
  "|",
  "foo|",
  "|foo",
  "..",
  "$1",
].concat(["%2F", "%7C", "\\1", "a".repeat(300), "x;y", "*", "(.*)"]);

// Any token is a method, made-up ones too.
const METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND BREW".split(" ");

function withoutQuery(target: string): string {
  return target.replace(/\?.*/, "");
}

/** Whether a path leaves its root, whether or not %2F is meant as a slash. */
function climbs(path: string): boolean {
  return [path, path.replaceAll("%2F", "/")].some((meant) => {
    let depth = 0;
    return meant
      .split("/")
      .filter((segment) => segment !== "")
      .some((segment) => (depth += segment === ".." ? -1 : 1) < 0);
  });
}

describe.each(haproxyVersions())("paths, HAProxy %s", (version) => {
  const apps: App[] = [];
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    for (const name of IMAGES) apps.push(await startApp({ name }));
    site = await Site.make(version);
    haproxy = await site.start(apps.map((app) => serviceOf(app)));
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    for (const app of apps.splice(0)) await app.stop();
  });

  beforeEach(() => {
    for (const app of apps) app.forget();
  });

  test.each(ROUTED)("%s goes to %s as %s", async (target, image, seen) => {
    const answer = await site.ask({ target });
    expect(answer.status).toBe(200);
    expect(requests()).toEqual([[image, seen]]);
    expect(isSaidToClimb(withoutQuery(seen))).toBe(false);
    expect(received().values("X-Forwarded-Prefix")).toEqual([`/${image}`]);
  });

  test.each(NOT_ROUTED)("%s goes nowhere", async (target) => {
    expect((await site.ask({ target })).status).toBe(403);
    expect(requests()).toEqual([]);
  });

  test.each(CLIMBING)("%s climbs out, and is answered 400", async (target) => {
    expect((await site.ask({ target })).status).toBe(400);
    expect(requests()).toEqual([]);
    expect(isSaidToClimb(withoutQuery(target.slice("/foo".length)))).toBe(true);
  });

  test.each(METHODS)("%s loses the prefix like any method", async (method) => {
    const body = ["POST", "PUT", "PATCH"].includes(method) ? "hello" : "";
    for (const [target, seen] of [
      ["/foo/x?y=1", "/x?y=1"],
      ["/foo", "/"],
      ["/foo/bar", "/"],
    ] as const) {
      for (const app of apps) app.forget();
      expect((await site.ask({ method, target, body })).status).toBe(200);
      const { method: seenMethod, target: seenTarget, body: seenBody } = received();
      expect([seenMethod, seenTarget, seenBody]).toEqual([method, seen, body]);
    }
  });

  test("OPTIONS * and CONNECT are about no container", async () => {
    expect((await site.ask({ method: "OPTIONS", target: "*" })).status).toBe(403);
    const connecting = await site.ask({
      method: "CONNECT",
      target: "example.com:443",
      headers: { Host: "example.com:443" },
    });
    expect(connecting.status).toBeGreaterThanOrEqual(400);
    expect(requests()).toEqual([]);
  });

  test("a whole URL in the request line is routed by its path", async () => {
    const origin = `http://127.0.0.1:${site.port}`;
    for (const [target, image, seen] of [
      ["/foo/x?y=1", "foo", "/x?y=1"],
      ["/foo", "foo", "/"],
      ["/foo/bar", "foo/bar", "/"],
    ] as const) {
      for (const app of apps) app.forget();
      expect((await site.ask({ target: origin + target })).status).toBe(200);
      expect(requests()).toEqual([[image, seen]]);
    }
    for (const app of apps) app.forget();
    expect((await site.ask({ target: origin })).status).toBe(403);
    // One that contradicts the Host header is an attack on somebody.
    expect((await site.ask({ target: "http://elsewhere/foo" })).status).toBe(400);
    expect(requests()).toEqual([]);
  });

  test("what is no request is answered 400 and reaches nobody", async () => {
    for (const target of ["foo", "/foo/x y", "/foo/\r\nx", "/foo/é"]) {
      expect((await site.ask({ target })).status).toBe(400);
    }
    expect(requests()).toEqual([]);
  });

  // Source: RFC 3986, section 2: a path and a query have visible ASCII, without the # of a fragment.
  test.each(["/foo/", "/foo/?"])(
    "every byte that a URL may have comes as it was, after %s",
    async (start) => {
      for (let byte = 0; byte < 256; byte++) {
        for (const app of apps) app.forget();
        const target = [...Buffer.from(start), byte, ...Buffer.from("four")];
        const { status, seen } = await askRaw(target);
        const asItWas = {
          status: 200,
          seen: [Buffer.from(target.slice("/foo".length)).toString()],
        };
        const refused = { status: 400, seen: [] };
        if (byte > 0x20 && byte < 0x7f && byte !== 0x23)
          expect({ byte, status, seen }).toEqual({ byte, ...asItWas });
        // HAProxy 2.6 lets these pass where more than three bytes follow. No character begins with one.
        else if (version === "2.6" && byte >= 0x7f && byte < 0xa4)
          expect(status).toBeOneOf([200, 400]);
        else expect({ byte, status, seen }).toEqual({ byte, ...refused });
      }
    },
  );

  test.each(["é", "ß", "ж", "€", "中", "😀"])(
    "a raw %p is answered 400, and reaches its container as it was if it is percent-encoded",
    async (character) => {
      for (const start of ["/foo/x", "/foo/x?a="]) {
        for (const end of ["", "longer/than/one/word"]) {
          for (const app of apps) app.forget();
          const raw = await askRaw([...Buffer.from(start + character + end)]);
          expect(raw).toEqual({ status: 400, seen: [] });
          const encoded = `${start}${encodeURIComponent(character)}${end}`;
          const { status, seen } = await askRaw([...Buffer.from(encoded)]);
          expect({ status, seen }).toEqual({ status: 200, seen: [encoded.slice("/foo".length)] });
        }
      }
    },
  );

  test("any path, by chance", async () => {
    const random = randomNumbers(7);
    const one = (words: readonly string[]): string =>
      words[Math.floor(random() * words.length)] ?? "";
    const routed = new Set<string>();
    for (let round = 0; round < 500; round++) {
      for (const app of apps) app.forget();
      const start = random() < 0.6 ? `/${one(IMAGES)}` : "";
      const more = Array.from({ length: Math.floor(random() * 5) }, () => `/${one(SEGMENTS)}`);
      const path = start + more.join("") || "/";
      const target = `${path}${one(["", "", "?", "?a=/foo/bar", "?|/foo"])}`;
      const image = IMAGES.filter((name) => `${path}/`.startsWith(`/${name}/`))
        .toSorted((a, b) => b.length - a.length)
        .at(0);
      const { status } = await site.ask({ target });
      const rest = target.slice(`/${image}`.length);
      const seen = rest.startsWith("/") ? rest : `/${rest}`;
      const below = withoutQuery(image === undefined ? target : seen);
      const leaves = climbs(below);
      const expected = leaves ? 400 : image === undefined ? 403 : 200;
      expect([target, status]).toEqual([target, expected]);
      expect([target, isSaidToClimb(below)]).toEqual([target, leaves]);
      expect(requests()).toEqual(image === undefined || leaves ? [] : [[image, seen]]);
      if (image !== undefined && !leaves) routed.add(image);
    }
    expect(routed.size).toBe(IMAGES.length);
  });

  /** Sends a request with these bytes for a target. Returns what was seen of it. */
  async function askRaw(target: readonly number[]): Promise<{ status: number; seen: string[] }> {
    const connection = await site.connect();
    const end = " HTTP/1.1\r\nHost: foo\r\nConnection: close\r\n\r\n";
    connection.send(Buffer.from([...Buffer.from("GET "), ...target, ...Buffer.from(end)]));
    const { status } = await connection.response();
    connection.close();
    return { status, seen: requests().map(([, seen]) => seen) };
  }

  function requests(): [image: string, target: string][] {
    return apps.flatMap(({ name, received: all }) =>
      all.map(({ target }): [string, string] => [name, target]),
    );
  }

  function received(): Received {
    const [first, ...more] = apps.flatMap((app) => app.received);
    if (first === undefined || more.length > 0) throw new Error(`received ${requests().join()}`);
    return first;
  }
});
