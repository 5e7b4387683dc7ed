// Certificates and their keys, as files may have them.

import { beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { parseKeyPair, type KeyPair } from "../../src/lib/certificates.ts";
import { Authority, type Issued } from "../lab/authority.ts";

let authority: Authority;
let shop: Issued;
let other: Issued;

beforeAll(async () => {
  authority = await Authority.make();
  shop = await authority.issue(["shop.example.com", "*.example.com"]);
  other = await authority.issue(["other.example.com"]);
});

/** What was read. @throws if it is of no use */
function read(text: string): KeyPair {
  const pair = parseKeyPair(text);
  if ("problem" in pair) throw new Error(pair.problem);
  return pair;
}

/** The certificates in a text, each by itself. */
function certificates(text: string): string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

/** The same by their subjects. */
function subjects(pem: string): string[] {
  return certificates(pem).map((block) => new X509Certificate(block).subject.replaceAll("\n", " "));
}

test("the key, the certificate and its chain, with what it says", () => {
  const pair = read(shop.both);
  expect(pair).toMatchObject({
    names: ["shop.example.com", "*.example.com"],
    kind: "ec",
    issuer: "Tests Test CA R1",
    chainIsWhole: true,
  });
  expect(pair.notAfter - pair.notBefore).toBe(91 * 24 * 3_600_000);
  expect(pair.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(subjects(pair.pem)).toEqual(["CN=shop.example.com", "O=Tests CN=Test CA R1"]);
});

describe("however it is written, HAProxy gets the same", () => {
  test.each<[string, () => string]>([
    ["the key behind the chain", () => shop.chain + shop.key],
    [
      "the chain in another order",
      () => `${certificates(shop.chain).toReversed().join("\n")}\n${shop.key}`,
    ],
    ["with the root", () => shop.both + authority.root],
    ["twice", () => shop.both + shop.both],
    ["with somebody else's certificate before it", () => other.chain + shop.both],
    ["words around", () => `Bag Attributes\n  a: b\n${shop.both}\nsubject=x\n\n`],
    ["lines as Windows ends them", () => shop.both.replaceAll("\n", "\r\n")],
  ])("%s", (_, text) => {
    const pair = read(text());
    const [own, between, root] = subjects(pair.pem);
    expect([own, between]).toEqual(["CN=shop.example.com", "O=Tests CN=Test CA R1"]);
    expect([undefined, "O=Tests CN=Test CA"]).toContain(root);
    expect(pair.names).toEqual(["shop.example.com", "*.example.com"]);
    // A command ends at an empty line.
    expect(pair.pem).not.toMatch(/\n\n|\r/);
    expect(pair.pem).toEndWith("\n");
  });
});

test("a key of Ed25519, the old forms of keys, and a certificate with a common name alone", () => {
  const ed25519 = ["-newkey", "ed25519"];
  const alternative = ["-addext", "subjectAltName=DNS:b.org,IP:192.0.2.1,DNS:192.0.2.2"];
  expect(read(selfSigned(...ed25519, ...alternative))).toMatchObject({
    kind: "ed25519",
    // A client asks for no address by its name (RFC 6066, section 3); what looks like one does no harm.
    names: ["b.org", "192.0.2.2"],
    chainIsWhole: true,
  });
  expect(read(selfSigned(...ed25519)).names).toEqual(["a.org"]);
  const text = selfSigned("-newkey", "rsa:2048");
  for (const [kind, old] of [
    ["rsa", text],
    ["ec", shop.both],
  ] as const) {
    const form = Bun.spawnSync(["openssl", "pkey", "-traditional"], { stdin: Buffer.from(old) });
    const key = form.stdout.toString();
    expect(key).toContain(`BEGIN ${kind.toUpperCase()} PRIVATE KEY`);
    const pair = read(key + certificates(old).join("\n"));
    expect([pair.kind, pair.pem]).toEqual([kind, read(old).pem]);
  }
});

/** A key and a certificate of its own for `a.org`, by openssl. */
function selfSigned(...words: string[]): string {
  const how = ["-x509", "-noenc", "-keyout", "-", "-subj", "/CN=a.org", ...words];
  return Bun.spawnSync(["openssl", "req", ...how]).stdout.toString();
}

test("a key of RSA", async () => {
  const pair = read((await authority.issue(["a.org"], { kind: "rsa" })).both);
  expect(pair).toMatchObject({ kind: "rsa", names: ["a.org"] });
});

test("a chain that ends too early is told", () => {
  const [own = ""] = shop.chain.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/) ?? [];
  expect(read(`${own}\n${shop.key}`).chainIsWhole).toBe(false);
  expect(read(shop.both).chainIsWhole).toBe(true);
});

test("names are in lower case, and only those that a client can ask for", async () => {
  const names = ["SHOP.Example.com", "*.a.org", "a_b.org", "xn--bcher-kva.example"];
  expect(read((await authority.issue(names)).both).names).toEqual(
    names.map((name) => name.toLowerCase()),
  );
  const odd = await authority.issue(["a b.org", "*", "a.*.org", "good.org"]);
  expect(read(odd.both).names).toEqual(["good.org"]);
});

test.each<[string, () => string, string]>([
  ["nothing", () => "", "it has no certificate in PEM"],
  ["half a certificate", () => shop.chain.slice(0, 200) + shop.key, "it has no certificate in PEM"],
  ["no key", () => shop.chain, "it has no private key in PEM"],
  ["half a key", () => shop.chain + shop.key.slice(0, 60), "it has no private key in PEM"],
  [
    "the key of another one",
    () => shop.chain + other.key,
    "its private key belongs to another certificate",
  ],
  [
    "a key with a passphrase",
    () => shop.chain + shop.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
    "its private key has a passphrase, which nobody can type in here",
  ],
  [
    "letters that are none",
    () => shop.key + shop.chain.replace(/MII\w/, "AAAA"),
    "a certificate in it cannot be read",
  ],
])("%s is of no use", (_, text, problem) => {
  expect(parseKeyPair(text())).toEqual({ problem });
});

test("one for no host is of no use", async () => {
  const none = await authority.issue(["a b"]);
  expect(parseKeyPair(none.both)).toEqual({ problem: "its certificate is for no host name" });
});
