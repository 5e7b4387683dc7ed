// Proves that the label redirect sends requests elsewhere, with their path and query, and never in a circle.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { haproxyVersions } from "../lab/haproxy.ts";
import { Labelled } from "../lab/labelled.ts";
import { START_MS } from "../lab/proxy.ts";

const LABELS = {
  plain: {},
  https: { redirect: "https" },
  host: { redirect: "Other.test" },
  both: { redirect: "https://other.test", "redirect.code": "308" },
  www: { host: "www.test, shop.test, https.test", redirect: "shop.test", "redirect.code": "301" },
  found: { redirect: "other.test", "redirect.code": "302" },
  rewritten: { redirect: "other.test", rewrite: "/inner" },
  kept: { redirect: "other.test", strip: "false" },
  wrong: { redirect: "//x", "redirect.code": "200" },
  walled: { redirect: "https", deny: "127.0.0.1" },
};

const LONG = `/x?${"q".repeat(3_000)}`;

const CASES: readonly (readonly [
  host: string,
  target: string,
  status: number,
  location: string,
])[] = [
  ["h:81", "/https/a?b=/https", 307, "https://h/https/a?b=/https"],
  ["[::1]:81", "/https/a", 307, "https://[::1]/https/a"],
  ["H", "/https", 307, "https://h/https"],
  ["h", "/host//a/%2e%C3%A9?x#y".replace("#y", ""), 307, "http://other.test/host//a/%2e%C3%A9?x"],
  ["h:81", "/host/x", 307, "http://other.test:81/host/x"],
  ["h:81", "/both/x", 308, "https://other.test/both/x"],
  ["www.test", "/x?y", 301, "http://shop.test/x?y"],
  ["WWW.test.:81", "/", 301, "http://shop.test:81/"],
  ["h", "/found/", 302, "http://other.test/found/"],
  ["h", "/rewritten/x", 307, "http://other.test/rewritten/x"],
  ["h", "/kept/x", 307, "http://other.test/kept/x"],
  ["h", `/host${LONG}`, 307, `http://other.test/host${LONG}`],
  ["h", "http://h/host/x", 307, "http://other.test/host/x"],
];

describe.each(haproxyVersions())("redirects by label, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    site = await Labelled.start(version, LABELS);
  }, START_MS);

  beforeEach(() => site.forget());
  afterAll(() => site.stop());

  test.each(CASES)("%s%s: %i to %s", async (host, target, status, location) => {
    for (const method of ["GET", "POST"]) {
      const answer = await site.ask(target, { Host: host }, { method });
      expect([answer.status, answer.header("Location")]).toEqual([status, location]);
    }
    expect(site.received()).toEqual([]);
  });

  test("who is there already goes on", async () => {
    for (const host of ["shop.test", "SHOP.test.:81"]) {
      expect((await site.ask("/x?y", { Host: host })).status).toBe(200);
    }
    expect((await site.ask("/host/x", { Host: "other.test:81" })).status).toBe(200);
    expect((await site.ask("/plain/x")).status).toBe(200);
    expect(site.received()).toEqual(["plain /x", "host /x", "www /x?y", "www /x?y"]);
  });

  test("what is wrong counts for nothing, and who may not come in is not sent on", async () => {
    expect((await site.ask("/wrong/x")).status).toBe(200);
    expect((await site.ask("/walled/x")).status).toBe(403);
  });

  test("another one needs no reload", async () => {
    expect(await site.serve({ host: { redirect: "third.test", "redirect.code": "308" } })).toBe(
      "commands",
    );
    const answer = await site.ask("/host/x");
    expect([answer.status, answer.header("Location")]).toEqual([308, "http://third.test/host/x"]);
    await site.running.verify();
    await site.serve({ host: {} });
    expect((await site.ask("/host/x")).status).toBe(200);
  });
});
