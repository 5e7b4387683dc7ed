// Lists of revoked certificates: what is one, whose it is, and until when it counts.

import { expect, test } from "bun:test";
import { authoritiesIn, parseRevocations } from "../../src/lib/revocations.ts";
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

function near(time = 0, days = 0): void {
  expect(Math.abs(time - (Date.now() + days * DAY))).toBeLessThan(60_000);
}

test("until when the list of each authority counts, and who has none", async () => {
  const lists = await authority.revoked();
  const both = authority.root + authority.issuer;
  const other = await Authority.make("Other CA");
  const told = authoritiesIn(both + other.root, lists);
  expect(told.map(({ name }) => name)).toEqual([
    "Tests Test CA",
    "Tests Test CA R1",
    "Tests Other CA",
  ]);
  const [root, between, missing] = told.map(({ list }) => list);
  near(root?.notBefore, -1);
  near(root?.notAfter, 30);
  near(told[0]?.notAfter, 400);
  expect(between).toEqual(root);
  expect(missing).toBeUndefined();
  // The newest of several counts.
  const later = await authority.revoked();
  expect(authoritiesIn(authority.root, later + lists)).toEqual(
    authoritiesIn(authority.root, lists + later),
  );
  expect(authoritiesIn(authority.root, "")[0]?.list).toBeUndefined();
});
