// Whether CAA records let an authority make a certificate.

import { describe, expect, test } from "bun:test";
import { findCaa, whyForbidden, type CaaQuestion } from "../../src/acme/caa.ts";

type Records = Parameters<typeof whyForbidden>[0]["records"];

const QUESTION: CaaQuestion = {
  name: "shop.example.com",
  identities: ["letsencrypt.org"],
  method: "http-01",
};

const failure = (code: string): Error => Object.assign(new Error(code), { code });
const refuse = (): Promise<Records> => Promise.reject(failure("ECONNREFUSED"));

describe("the records that count", () => {
  const ISSUE: Records = [{ critical: 0, issue: "letsencrypt.org" }];
  /** A DNS that has records only at these names. */
  const dns = (zones: Record<string, Records>) => {
    const asked: string[] = [];
    const resolve = (name: string): Promise<Records> => {
      asked.push(name);
      const own = zones[name];
      return own === undefined ? Promise.reject(failure("ENODATA")) : Promise.resolve(own);
    };
    return { asked, resolve };
  };

  test("are those of the name, else of the nearest one above", async () => {
    const { asked, resolve } = dns({ "example.com": ISSUE, com: [] });
    expect(await findCaa("a.shop.example.com", resolve)).toEqual({
      at: "example.com",
      records: ISSUE,
    });
    expect(asked).toEqual(["a.shop.example.com", "shop.example.com", "example.com"]);
    expect(await findCaa("*.example.com", resolve)).toEqual({ at: "example.com", records: ISSUE });
    expect(await findCaa("a.org", dns({}).resolve)).toBeUndefined();
  });

  test("are not known where the DNS cannot be asked", () => {
    expect(findCaa("a.org", refuse)).rejects.toThrow("ECONNREFUSED");
  });
});

const issue = (...values: string[]): Records =>
  values.map((value) => ({ critical: 0, issue: value }));

test.each<[Records, Partial<CaaQuestion>, string | undefined]>([
  [issue("letsencrypt.org"), {}, undefined],
  [issue("digicert.com", "LetsEncrypt.org; accounturi=x"), {}, undefined],
  [issue("digicert.com"), {}, 'lets only "digicert.com" make it'],
  [issue(";"), {}, "lets nobody make it"],
  [issue(";"), { identities: [] }, "lets nobody make it"],
  [issue("digicert.com"), { identities: [] }, undefined],
  [[{ critical: 0, iodef: "mailto:a@b.org" }], {}, undefined],
  [issue("letsencrypt.org; validationmethods=dns-01"), {}, "and not by HTTP-01"],
  [issue("letsencrypt.org; validationmethods=http-01,dns-01"), {}, undefined],
  [issue("letsencrypt.org;validationmethods=dns-01"), { method: "dns-01" }, undefined],
  [[{ critical: 128, tbs: "x" }], {}, "the CAA record tbs of example.com is critical"],
  [[{ critical: 0, tbs: "x" }], {}, undefined],
  // Those of wildcards count for these alone.
  [[...issue("letsencrypt.org"), { critical: 0, issuewild: ";" }], {}, undefined],
  [
    [...issue("letsencrypt.org"), { critical: 0, issuewild: ";" }],
    { name: "*.example.com" },
    "lets nobody make it",
  ],
  [issue("letsencrypt.org"), { name: "*.example.com" }, undefined],
])("%j, %j: %p", (records, more, expected) => {
  const why = whyForbidden({ at: "example.com", records }, { ...QUESTION, ...more });
  if (expected === undefined) expect(why).toBeUndefined();
  else expect(why).toContain(expected);
});
