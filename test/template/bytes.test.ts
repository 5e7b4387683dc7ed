// Proves that nothing but what is mended differs: random requests and answers, compared byte for byte.
// HAProxy 2.6 sends its own memory where headers grow in a buffer that is full.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { randomNumbers } from "../lab/make.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

const ROUNDS = 300;
/** What all headers of one message have at most, in bytes. */
const LARGEST = 30_000;
const MOST_HEADERS = 90;
const IMAGE = "company/department/product";
const PREFIX = `/${IMAGE}`;

/** A cookie's attributes, and what becomes of them. */
const ATTRIBUTES = [
  ["; Path=/", `; Path=${PREFIX}`],
  ["; Path=/; HttpOnly", `; Path=${PREFIX}; HttpOnly`],
  ["; path=/x; Secure", `; path=${PREFIX}/x; Secure`],
  [`; Path=${PREFIX}/y`, `; Path=${PREFIX}/y`],
  ["; Secure", "; Secure"],
  ["", ""],
] as const;

type Header = readonly [name: string, value: string];

/** The values of each header, in their order. That of headers with different names means nothing. */
function byName(headers: readonly Header[]): Map<string, string[]> {
  const groups = Map.groupBy(headers, ([name]) => name.toLowerCase());
  return new Map([...groups].map(([name, all]) => [name, all.map(([, value]) => value)]));
}

describe.each(haproxyVersions())("bytes, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;
  let random: () => number;

  beforeAll(async () => {
    random = randomNumbers(11);
    app = await startApp();
    site = await Site.make(version);
    haproxy = await site.start([serviceOf(app, { image: IMAGE })]);
  }, START_MS);

  afterAll(async () => {
    await haproxy?.stop();
    await app.stop();
  });

  function below(limit: number): number {
    return Math.floor(random() * limit);
  }

  function text(length: number): string {
    const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+=|%~";
    return Array.from({ length }, () => letters[below(letters.length)]).join("");
  }

  /** Sizes that are no more together than a message may have: few large ones, or many small ones. */
  function sizes(): number[] {
    const count = 1 + below(random() < 0.5 ? 8 : MOST_HEADERS);
    const total = below(LARGEST - count * 60);
    const shares = Array.from({ length: count }, () => 0.2 + random());
    const sum = shares.reduce((a, b) => a + b);
    return shares.map((share) => Math.floor((share / sum) * total));
  }

  test(`${ROUNDS} answers`, async () => {
    let cookies = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const sent: Header[] = [];
      const wanted: Header[] = [];
      for (const size of sizes()) {
        const [name, value] = [`X-${text(3).replaceAll(/[^a-z]/gi, "")}x`, text(size)];
        if (random() < 0.2) {
          sent.push([name, value]);
          wanted.push([name, value]);
          continue;
        }
        const [before = "", after = ""] = ATTRIBUTES[below(ATTRIBUTES.length)] ?? [];
        sent.push(["Set-Cookie", `c${round}=${value}${before}`]);
        wanted.push(["Set-Cookie", `c${round}=${value}${after}`]);
        cookies++;
      }
      // The start of the body is in the same buffer.
      const content = "body".repeat(below(10_000));
      app.answerer = () => reply(200, sent, content);
      const { status, headers, body } = await site.ask({ target: `${PREFIX}/` });
      const got = headers.filter(([name]) => /^(set-cookie|x-)/i.test(name));
      expect([status, byName(got)]).toEqual([200, byName(wanted)]);
      expect(body).toBe(content);
    }
    expect(cookies).toBeGreaterThan(ROUNDS);
  }, 120_000);

  test(`${ROUNDS} requests`, async () => {
    app.answerer = () => reply(200);
    for (let round = 0; round < ROUNDS; round++) {
      app.forget();
      const [first = 0, ...rest] = sizes();
      const target = `/${text(first).replaceAll(/[%.]/g, "x")}?${text(20)}`;
      const headers = Object.fromEntries(rest.map((size, index) => [`X-R${index}`, text(size)]));
      const { status } = await site.ask({ target: PREFIX + target, headers });
      expect(status).toBe(200);
      const [request] = app.received;
      expect(request?.target).toBe(target);
      for (const [name, value] of Object.entries(headers))
        expect(request?.values(name)).toEqual([value]);
    }
  }, 120_000);
});
