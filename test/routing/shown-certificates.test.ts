// Which certificate is shown for which name, and what is new of them.

import { describe, expect, test } from "bun:test";
import {
  certificateNews,
  certificatesFor,
  chooseCertificates,
  isSecured,
  NO_CHOICE,
  type CertificateChoice,
} from "../../src/routing/certificates.ts";
import { certificate } from "../lab/make.ts";

const SHOP = certificate("/c/shop.pem", ["shop.example.com"]);
const WILD = certificate("/c/wild.pem", ["*.example.com"]);
const OLD = certificate("/c/old.pem", ["old.example.com"], { expired: true });
const DEFAULT = certificate("/c/default.pem", ["a.org"], { isDefault: true });

describe("a name", () => {
  const choice = chooseCertificates([SHOP, WILD, OLD, DEFAULT]);
  test.each([
    ["shop.example.com", [SHOP]],
    ["blog.example.com", [WILD]],
    ["*.example.com", [WILD]],
    ["old.example.com", [OLD]],
    ["a.blog.example.com", []],
    ["example.com", []],
    ["*.blog.example.com", []],
    ["com", []],
  ])("%s has its own, or its wildcard's", (name, expected) => {
    expect(certificatesFor(name, choice)).toEqual(expected);
  });

  test("that is unknown has the default one", () => {
    expect(choice.byDefault).toBe(DEFAULT);
    expect(chooseCertificates([SHOP]).byDefault).toBeUndefined();
  });

  test("is secured where clients accept its certificate", () => {
    expect(["shop.example.com", "a.org", "b.org"].map((name) => isSecured(name, choice))).toEqual([
      true,
      true,
      false,
    ]);
    // HAProxy asks for the wildcard, too, where that of the name is too old.
    expect(isSecured("old.example.com", choice)).toBe(true);
    expect(isSecured("old.example.com", chooseCertificates([OLD]))).toBe(false);
  });
});

function news(before: CertificateChoice, after: CertificateChoice): string[] {
  return certificateNews(before, after).map(
    ({ event, certificate: { source }, names }) => `${event} ${source} ${names.join()}`,
  );
}

describe("what is new", () => {
  test("is what comes, is another one, and goes", () => {
    const renewed = { ...SHOP, path: "/x/shop.2.pem" };
    const before = chooseCertificates([SHOP, WILD]);
    const after = chooseCertificates([renewed, OLD]);
    expect(news(NO_CHOICE, before)).toEqual([
      "certificate /c/shop.pem shop.example.com",
      "certificate /c/wild.pem *.example.com",
    ]);
    expect(news(before, after)).toEqual([
      "certificate /c/old.pem old.example.com",
      "renewed certificate /c/shop.pem shop.example.com",
      "no certificate /c/wild.pem *.example.com",
    ]);
    expect(news(before, before)).toEqual([]);
  });

  test("is not one that another one is better than, nor the time that passes", () => {
    const better = certificate("/c/a.pem", ["shop.example.com"], { notAfter: SHOP.notAfter + 1 });
    expect(news(NO_CHOICE, chooseCertificates([SHOP, better]))).toEqual([
      "certificate /c/a.pem shop.example.com",
    ]);
    const expired = { ...SHOP, expired: true };
    expect(news(chooseCertificates([SHOP]), chooseCertificates([expired]))).toEqual([]);
  });
});
