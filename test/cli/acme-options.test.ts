// --acme and the flags that go with it.

import { expect, test } from "bun:test";
import { acmeFolder } from "../../src/cli/acme-options.ts";
import { parseOptions, type RawOptions } from "../../src/cli/options.ts";

function parse(raw: RawOptions) {
  return parseOptions({ acme: "me@example.com", ...raw }).acme;
}

test("Let's Encrypt without anything else", () => {
  expect(parse({})).toEqual({
    email: "me@example.com",
    directory: "https://acme-v02.api.letsencrypt.org/directory",
    isPublic: true,
    binding: undefined,
    caFile: undefined,
    dns: undefined,
    dir: undefined,
    selfCheck: true,
  });
  expect(parseOptions({}).acme).toBeUndefined();
});

test("another authority, with a key, a CA and a command", () => {
  const raw = {
    "acme-directory": "https://ca.example.com/dir",
    "acme-eab": "kid:AA_-",
    "acme-ca": "/srv/ca.pem",
    "acme-dns": "dns 'a b'",
    "acme-dir": "/srv/acme",
    "no-acme-self-check": true,
  };
  expect(parse(raw)).toMatchObject({
    directory: "https://ca.example.com/dir",
    isPublic: false,
    binding: { kid: "kid", hmacKey: "AA_-" },
    caFile: "/srv/ca.pem",
    dns: ["dns", "a b"],
    dir: "/srv/acme",
    selfCheck: false,
  });
});

test.each<[RawOptions, RegExp]>([
  [{ acme: "me" }, /--acme "me": it is no email address/],
  [{ "acme-directory": "lets" }, /none of letsencrypt, staging, zerossl/],
  [{ "acme-directory": "http://ca.example.com" }, /no https:\/\/ URL/],
  [{ "acme-directory": "zerossl" }, /needs --acme-eab/],
  [{ "acme-eab": "secret" }, /^Cannot use --acme-eab: its value is not KID:HMAC$/],
  [{ "acme-ca": "ca.pem" }, /no path from the root/],
  [{ "acme-dir": "acme" }, /no path from the root/],
  [{ "acme-dns": "a | b" }, /needs a shell/],
  [{ acme: undefined, "acme-dir": "/srv" }, /--acme-dir goes with --acme/],
  [{ acme: undefined, "no-acme-self-check": true }, /goes with --acme/],
])("%j is refused", (raw, message) => {
  expect(() => parse(raw)).toThrow(message);
});

test("the folder is one that lasts: a service's own, else that of who runs it", () => {
  const choice = parse({});
  if (choice === undefined) throw new Error("there is no choice");
  expect(acmeFolder(choice, { STATE_DIRECTORY: "/var/lib/x:/var/lib/y" })).toBe("/var/lib/x/acme");
  expect(acmeFolder({ ...choice, dir: "/srv/a" }, { STATE_DIRECTORY: "/var/lib/x" })).toBe(
    "/srv/a",
  );
});
