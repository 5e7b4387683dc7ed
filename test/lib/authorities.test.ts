// The certificates of those who sign the certificates of clients.

import { expect, test } from "bun:test";
import { parseAuthorities } from "../../src/lib/certificates.ts";
import { Authority } from "../lab/authority.ts";

const [staff, others] = [await Authority.make("Staff"), await Authority.make("Others")];
const [alice] = [await staff.issue(["alice"])];
const [leaf = "", between = ""] =
  alice.chain.match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) ?? [];

test.each<[string, string, string]>([
  ["a root", staff.root, ""],
  ["two roots", staff.root + others.root, ""],
  ["a root and one between", between + staff.root, ""],
  [
    "one between alone",
    between,
    "it has no root, so nobody would be let in: add the certificate of Tests Staff",
  ],
  [
    "the certificate of a client alone",
    leaf,
    "it has no root, so nobody would be let in: add the certificate of Tests Staff R1",
  ],
  ["none", alice.key, "it has no certificate in PEM"],
  [
    "one that is broken",
    `${staff.root}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    "a certificate in it cannot be read",
  ],
])("%s", (_, text, problem) => {
  expect(parseAuthorities(text)).toEqual(problem === "" ? { text } : { problem });
});
