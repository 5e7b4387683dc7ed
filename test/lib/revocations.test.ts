// Lists of revoked certificates: what is one, whose it is, and until when it counts.

import { expect, test } from "bun:test";
import { outdated, parseRevocations } from "../../src/lib/revocations.ts";
import { Authority } from "../lab/authority.ts";

const DAY = 24 * 3_600_000;

const authority = await Authority.make();
const shop = await authority.issue(["shop.example.com"]);

test("lists of what is revoked, and what is none", async () => {
  const text = await authority.revoked(shop);
  expect(parseRevocations(`some words\n${text.replaceAll("\n", "\r\n")}`)).toEqual({ text });
  expect(parseRevocations(shop.chain)).toEqual({
    problem: "it has no list of revoked certificates in PEM",
  });
  const wrong = "a list of revoked certificates in it cannot be read";
  const [first = ""] = text.split("-----END");
  const short = `${first.split("\n").slice(0, 3).join("\n")}\n-----END X509 CRL-----\n`;
  expect(parseRevocations(text + short)).toEqual({ problem: wrong });
  const [certificate = ""] = shop.chain.split("-----END");
  const asList = `${certificate}-----END CERTIFICATE-----`.replaceAll("CERTIFICATE", "X509 CRL");
  expect(parseRevocations(asList.replace("MII", "AAA"))).toEqual({ problem: wrong });
});

test("until when the list of each authority counts, and who has none", async () => {
  const lists = await authority.revoked();
  const both = authority.root + authority.issuer;
  const other = await Authority.make("Other CA");
  const told = outdated(both + other.root, lists);
  expect(told.map(({ name }) => name)).toEqual([
    "Tests Test CA",
    "Tests Test CA R1",
    "Tests Other CA",
  ]);
  const [root = 0, between = 0, missing] = told.map(({ until }) => until);
  expect(Math.abs(root - (Date.now() + 30 * DAY))).toBeLessThan(60_000);
  expect(between).toBe(root);
  expect(missing).toBe(-Infinity);
  // The newest of several counts.
  const later = await authority.revoked();
  expect(outdated(authority.root, later + lists)).toEqual(outdated(authority.root, lists + later));
});
