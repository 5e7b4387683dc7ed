// Proves how large headers may be, the same on every version, and that they pass byte for byte.

import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { haproxyVersions, type Haproxy } from "../lab/haproxy.ts";
import { reply, startApp, type App } from "../lab/app.ts";
import { serviceOf, Site, START_MS } from "../lab/proxy.ts";

setDefaultTimeout(START_MS);

type Headers = [name: string, value: string][];

/** What passes at least, in bytes, with names and line ends. */
const LARGE = 32 * 1024;
const MANY = 250;
/** What is too much in any form. */
const TOO_LARGE = 40 * 1024;
const TOO_MANY = 300;
const RANDOM_ROUNDS = 100;

describe.each(haproxyVersions())("sizes, HAProxy %s", (version) => {
  let app: App;
  let site: Site;
  let haproxy: Haproxy | undefined;

  beforeAll(async () => {
    app = await startApp();
    site = await Site.make(version);
    haproxy = await site.start([serviceOf(app, { image: "foo" })]);
  });

  afterAll(async () => {
    await haproxy?.stop();
    await app.stop();
  });

  beforeEach(() => {
    app.forget();
    app.answerer = () => reply(200);
  });

  test.each([1, 2, 32, 100, MANY])("32 kB in %d headers pass, both ways", async (count) => {
    const headers = headersOf(LARGE, count);
    expect(await there(headers)).toEqual(headers);
    expect(await back(headers)).toEqual(headers);
  });

  test("any mixture of sizes passes byte for byte, both ways", async () => {
    for (let round = 0; round < RANDOM_ROUNDS; round++) {
      const count = 1 + Math.floor(Math.random() * 40);
      const headers = headersOf(
        Math.floor(count * 40 + Math.random() * (LARGE - count * 40)),
        count,
      );
      expect(await there(headers)).toEqual(headers);
      expect(await back(headers)).toEqual(headers);
    }
  });

  const TOO_MUCH: readonly (readonly [what: string, size: number, count: number])[] = [
    ["too large a header", TOO_LARGE, 1],
    ["headers that are too large together", TOO_LARGE, 40],
    ["too many headers", TOO_MANY * 20, TOO_MANY],
  ];

  test.each(TOO_MUCH)("%s: refused before a container sees it", async (_, size, count) => {
    const { status } = await site.ask({
      target: "/foo/x",
      headers: Object.fromEntries(headersOf(size, count)),
    });
    // Before 3.2, HAProxy has one status for all that it cannot read, and for too many always.
    const tells = version !== "2.6" && version !== "3.0" && count < TOO_MANY;
    expect(status).toBe(tells ? 431 : 400);
    expect(app.received).toEqual([]);
  });

  test.each(TOO_MUCH)("an answer with %s: 502", async (_, size, count) => {
    app.answerer = () => reply(200, headersOf(size, count));
    expect((await site.ask({ method: "POST", target: "/foo/x" })).status).toBe(502);
  });

  /** What of these headers reaches the container. */
  async function there(headers: Headers): Promise<Headers> {
    app.forget();
    const answer = await site.ask({ target: "/foo/x", headers: Object.fromEntries(headers) });
    expect(answer.status).toBe(200);
    return (app.received[0]?.headers ?? []).filter(([name]) => name.startsWith("x-part"));
  }

  /** What of these headers of an answer comes back. */
  async function back(headers: Headers): Promise<Headers> {
    app.answerer = () => reply(200, headers);
    const answer = await site.ask({ target: "/foo/x" });
    expect(answer.status).toBe(200);
    return answer.headers.filter(([name]) => name.startsWith("x-part"));
  }
});

/** Headers that are this large together, each with random text. */
function headersOf(size: number, count: number): Headers {
  const each = Math.floor(size / count);
  return Array.from({ length: count }, (_, index) => {
    const name = `x-part-${index}`;
    return [name, randomText(each - name.length - ": \r\n".length)];
  });
}

function randomText(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return Array.from(bytes, (byte) => String.fromCharCode(97 + (byte % 26))).join("");
}
