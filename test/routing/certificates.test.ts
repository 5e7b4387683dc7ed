// Which certificate is shown for which name.

import { expect, test } from "bun:test";
import type { Certificate } from "../../src/model.ts";
import { chooseCertificates } from "../../src/routing/certificates.ts";

function certificate(path: string, names: string[], rest: Partial<Certificate> = {}): Certificate {
  return {
    path,
    names,
    kind: "ec",
    notBefore: 0,
    notAfter: 100,
    expired: false,
    issuer: "CA",
    source: path,
    isDefault: false,
    ...rest,
  };
}

/** Each certificate in use, with its names. */
function shown(...certificates: Certificate[]): Record<string, readonly string[]> {
  const { entries } = chooseCertificates(certificates);
  return Object.fromEntries(entries.map(({ certificate: { path }, names }) => [path, names]));
}

test("each is shown for its names", () => {
  expect(shown(certificate("a", ["b.org", "a.org"]), certificate("c", ["*.org"]))).toEqual({
    a: ["a.org", "b.org"],
    c: ["*.org"],
  });
});

test("of two for one name, the one that is valid longest", () => {
  const old = certificate("a", ["a.org", "old.org"]);
  const renewed = certificate("b", ["a.org"], { notAfter: 200 });
  const expected = { a: ["old.org"], b: ["a.org"] };
  expect(shown(old, renewed)).toEqual(expected);
  expect(shown(renewed, old)).toEqual(expected);
});

test("one that is not valid only where there is no other", () => {
  const expired = certificate("a", ["a.org", "b.org"], { expired: true, notAfter: 900 });
  expect(shown(expired, certificate("b", ["a.org"]))).toEqual({ a: ["b.org"], b: ["a.org"] });
});

test("of two that are as good, the first one", () => {
  expect(shown(certificate("a", ["a.org"]), certificate("b", ["a.org"]))).toEqual({ a: ["a.org"] });
});

test("one of each kind of key", () => {
  const both = [certificate("a", ["a.org"]), certificate("b", ["a.org"], { kind: "rsa" })];
  expect(shown(...both)).toEqual({ a: ["a.org"], b: ["a.org"] });
  const { byName } = chooseCertificates(both);
  expect(byName.get("a.org")?.map(({ path }) => path)).toEqual(["a", "b"]);
});

test("in the same order, whatever the order in which they are found", () => {
  const some = ["c", "a", "b"].map((path) => certificate(path, [`${path}.org`]));
  const all = ["a", "b", "c"];
  expect(Object.keys(shown(...some))).toEqual(all);
  expect(Object.keys(shown(...some.toReversed()))).toEqual(all);
});
