// Proves that the label cors says which pages of other origins may use a route, and answers for it.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reply } from "../lab/app.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import type { RawResponse } from "../lab/http.ts";
import { Labelled } from "../lab/labelled.ts";
import { SHA512 } from "../lab/labels.ts";
import { START_MS } from "../lab/proxy.ts";

const LABELS = {
  plain: {},
  some: { cors: "https://a.test,http://b.test:81" },
  all: { cors: "*" },
  full: {
    cors: "https://a.test",
    "cors.methods": "PUT",
    "cors.headers": "X-A,X-B",
    "cors.credentials": "true",
    "cors.maxage": "10m",
    auth: `bob:${SHA512}`,
  },
};

const A = { Origin: "https://a.test" };
const PREFLIGHT = {
  "Access-Control-Request-Method": "PUT",
  "Access-Control-Request-Headers": "x-y,content-type",
};

/** What an answer says of it: allowed origin, credentials, methods, headers, age, and Vary. */
function said({ status, headers }: RawResponse): (string | number)[] {
  const all = (name: string): string =>
    headers
      .filter(([key]) => key.toLowerCase() === name)
      .map(([, value]) => value)
      .join(", ");
  const start = "access-control-allow-";
  return [
    status,
    ...["origin", "credentials", "methods", "headers"].map((name) => all(start + name)),
    all("access-control-max-age"),
    all("vary"),
  ];
}

describe.each(haproxyVersions())("other origins, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS);
  }, START_MS);

  beforeEach(() => {
    site.forget();
    for (const app of site.apps.values()) {
      app.answerer = () =>
        reply(200, [
          ["Access-Control-Allow-Origin", "https://app.test"],
          ["Access-Control-Allow-Methods", "APP"],
          ["Vary", "Accept"],
        ]);
    }
  });

  afterAll(() => site.stop());

  const preflight = async (target: string, headers: Record<string, string>) =>
    said(await site.ask(target, { ...headers, ...PREFLIGHT }, { method: "OPTIONS" }));

  test("preflights are answered", async () => {
    const methods = "GET,HEAD,POST,PUT,PATCH,DELETE";
    const asked = "x-y,content-type";
    expect(await preflight("/some/x", A)).toEqual([
      204,
      "https://a.test",
      "",
      methods,
      asked,
      "5",
      "Origin",
    ]);
    expect(await preflight("/some/x", { Origin: "http://b.test:81" })).toEqual([
      204,
      "http://b.test:81",
      "",
      methods,
      asked,
      "5",
      "Origin",
    ]);
    expect(await preflight("/all/x", A)).toEqual([204, "*", "", methods, asked, "5", ""]);
    expect(await preflight("/full/x", A)).toEqual([
      204,
      "https://a.test",
      "true",
      "PUT",
      "x-a,x-b",
      "600",
      "Origin",
    ]);
    expect(site.received()).toEqual([]);
  });

  test("those of others are refused", async () => {
    for (const Origin of ["https://c.test", "*", "null", "https://a.test.evil", "http://a.test"]) {
      expect(await preflight("/some/x", { Origin })).toEqual([403, "", "", "", "", "", "Origin"]);
    }
    expect(site.received()).toEqual([]);
  });

  test("what the application says itself does not count", async () => {
    expect(said(await site.ask("/some/x", A))).toEqual([
      200,
      "https://a.test",
      "",
      "",
      "",
      "",
      "Accept, Origin",
    ]);
    expect(said(await site.ask("/some/x", { Origin: "https://c.test" }))).toEqual([
      200,
      "",
      "",
      "",
      "",
      "",
      "Accept, Origin",
    ]);
    expect(said(await site.ask("/some/x"))).toEqual([200, "", "", "", "", "", "Accept, Origin"]);
    expect(said(await site.ask("/all/x"))).toEqual([200, "*", "", "", "", "", "Accept"]);
    expect(said(await site.ask("/plain/x", A))).toEqual([
      200,
      "https://app.test",
      "",
      "APP",
      "",
      "",
      "Accept",
    ]);
  });

  test("what the gateway answers can be read, too", async () => {
    expect(said(await site.ask("/full/x", A))).toEqual([
      401,
      "https://a.test",
      "true",
      "",
      "",
      "",
      "Origin",
    ]);
  });

  test("without an origin or a method it is no preflight", async () => {
    expect((await site.ask("/some/x", A, { method: "OPTIONS" })).status).toBe(200);
    expect((await site.ask("/some/x", PREFLIGHT, { method: "OPTIONS" })).status).toBe(200);
    expect((await site.ask("/plain/x", { ...A, ...PREFLIGHT }, { method: "OPTIONS" })).status).toBe(
      200,
    );
    expect(site.received()).toEqual(["plain /x", "some /x", "some /x"]);
  });

  test("another origin needs no reload", async () => {
    expect(await site.serve({ some: { cors: "https://c.test" } })).toBe("commands");
    expect((await preflight("/some/x", { Origin: "https://c.test" }))[0]).toBe(204);
    expect((await preflight("/some/x", A))[0]).toBe(403);
    await site.running.verify();
    await site.serve({ some: {} });
    expect((await site.ask("/some/x", A)).header("Access-Control-Allow-Origin")).toBe(
      "https://app.test",
    );
  });
});
