// Certificates and keys are found by the names of their files.

import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { findPairs } from "../../../src/gateway/certificates/pairs.ts";
import { labDir } from "../../lab/leftovers.ts";

let folder = "";

beforeEach(() => {
  folder = labDir("pairs");
});

function put(...files: string[]): void {
  for (const file of files) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file);
  }
}

/** The files of each certificate, and those that lack one. */
function found(): { pairs: string[]; lonely: string[] } {
  const { pairs, lonely } = findPairs(folder);
  return {
    pairs: pairs.map(({ paths }) => paths.map((path) => relative(folder, path)).join(" + ")),
    lonely: lonely.map(({ path, problem }) => `${relative(folder, path)}: ${problem}`),
  };
}

describe.each<[string, string[], string[], string[]]>([
  ["nothing", [], [], []],
  ["HAProxy's", ["a.pem", "b.pem.rsa", "b.pem.ecdsa"], ["a.pem", "b.pem.ecdsa", "b.pem.rsa"], []],
  [
    "nginx-proxy's",
    ["a.org.crt", "a.org.key", "a.org.chain.pem", "a.org.dhparam.pem", "dhparam.pem"],
    ["a.org.chain.pem", "a.org.crt + a.org.key", "a.org.dhparam.pem", "dhparam.pem"],
    [],
  ],
  [
    "certbot's",
    [
      "live/a/fullchain.pem",
      "live/a/privkey.pem",
      "live/a/cert.pem",
      "live/a/chain.pem",
      "live/README",
      "archive/a/privkey1.pem",
      "archive/a/fullchain1.pem",
      "keys/0000_key-certbot.pem",
      "accounts/x/private_key.json",
    ],
    ["live/a/fullchain.pem + live/a/privkey.pem"],
    [],
  ],
  ["acme.sh's", ["a/fullchain.pem", "a/key.pem"], ["a/fullchain.pem + a/key.pem"], []],
  ["those of Kubernetes", ["a/tls.crt", "a/tls.key", "a/ca.crt"], ["a/tls.crt + a/tls.key"], []],
  ["other endings", ["a.cer", "a.key", "b.cert", "b.key"], ["a.cer + a.key", "b.cert + b.key"], []],
  ["a host in Canada", ["shop.ca.crt", "shop.ca.key"], ["shop.ca.crt + shop.ca.key"], []],
  ["others", ["README.md", "a.csr", ".hidden.pem", ".git/a.pem", "a.txt"], [], []],
  ["too deep", ["a/b/c/d.pem"], [], []],
  ["a key alone", ["a.key"], [], ["a.key: there is no a.crt beside it"]],
  ["a certificate alone", ["a.crt"], [], ["a.crt: there is no a.key beside it"]],
  [
    "certbot's key alone",
    ["a/privkey.pem"],
    [],
    ["a/privkey.pem: there is no fullchain.pem beside it"],
  ],
])("%s", (_, files, pairs, lonely) => {
  test("is found", () => {
    put(...files);
    expect(found()).toEqual({ pairs, lonely });
  });
});

test("links are followed, as those of Kubernetes; one that leads nowhere is none", () => {
  put("..data/tls.crt", "..data/tls.key");
  mkdirSync(join(folder, "secret"));
  for (const name of ["tls.crt", "tls.key"]) {
    symlinkSync(`../..data/${name}`, join(folder, "secret", name));
  }
  symlinkSync("/no/such/file", join(folder, "gone.pem"));
  symlinkSync("loop.pem", join(folder, "loop.pem"));
  expect(found()).toEqual({ pairs: ["secret/tls.crt + secret/tls.key"], lonely: [] });
});

test("a file is another one once it is written, replaced, or its link leads elsewhere", () => {
  put("a.pem");
  const stamp = (): string => findPairs(folder).pairs[0]?.stamp ?? "";
  const first = stamp();
  expect(stamp()).toBe(first);
  writeFileSync(join(folder, "a.pem"), "other");
  expect(stamp()).not.toBe(first);
});

test("a huge file is none, and the default one has its name", () => {
  put("huge.pem", "default.crt", "default.key", "a/default.pem");
  truncateSync(join(folder, "huge.pem"), 2_000_000);
  const { pairs } = findPairs(folder);
  expect(
    pairs.map(({ paths, isDefault }) => [relative(folder, paths[0] ?? ""), isDefault]),
  ).toEqual([
    ["default.crt", true],
    ["a/default.pem", false],
  ]);
});

test("a file that may have no key says so", () => {
  put("shop.ca.pem", "shop.pem");
  const { pairs } = findPairs(folder);
  expect(pairs.map(({ mayLackKey }) => mayLackKey)).toEqual([true, false]);
});

test("a folder that is not there is an error", () => {
  expect(() => findPairs(join(folder, "none"))).toThrow("ENOENT");
});
