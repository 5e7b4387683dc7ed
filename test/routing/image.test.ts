// Image references by Docker's grammar, and those that give no path.

import { describe, expect, test } from "bun:test";
import { parseImage } from "../../src/routing/image.ts";

const HEX = "0123456789abcdef".repeat(4);
const IMAGE_ID = `sha256:${HEX}`;

test.each([
  ["ubuntu", "", "ubuntu", "", ""],
  ["ubuntu:12.04", "", "ubuntu", "12.04", ""],
  ["custom.registry/ubuntu:12.04", "custom.registry", "ubuntu", "12.04", ""],
  ["localhost/ubuntu", "localhost", "ubuntu", "", ""],
  ["localhost:8888/ubuntu/foo:12.04", "localhost:8888", "ubuntu/foo", "12.04", ""],
  ["tianon/centos:7", "", "tianon/centos", "7", ""],
  [`foo/bar@sha256:${HEX}`, "", "foo/bar", "", `sha256:${HEX}`],
  [`reg:5000/a/b:1@sha256:${HEX}`, "reg:5000", "a/b", "1", `sha256:${HEX}`],
  [`a@sha512+b64u:${"A".repeat(32)}`, "", "a", "", `sha512+b64u:${"A".repeat(32)}`],
  ["[::1]:5000/a", "[::1]:5000", "a", "", ""],
  ["[fd00::1]/a/b", "[fd00::1]", "a/b", "", ""],
  ["docker.io/library/nginx", "docker.io", "nginx", "", ""],
  ["docker.io/library/a/b", "docker.io", "library/a/b", "", ""],
  ["quay.io/library/nginx", "quay.io", "library/nginx", "", ""],
  // Only a first part with a dot, a colon or a capital letter is a registry.
  ["Registry/bar", "Registry", "bar", "", ""],
  ["registry/bar", "", "registry/bar", "", ""],
  ["a_b/c", "", "a_b/c", "", ""],
  ["a__b", "", "a__b", "", ""],
  ["a--b.c_d", "", "a--b.c_d", "", ""],
  ["a/b/c/d/e/f/g/h/i/j", "", "a/b/c/d/e/f/g/h/i/j", "", ""],
  ["0ad:_x", "", "0ad", "_x", ""],
  [`a:${"t".repeat(128)}`, "", "a", "t".repeat(128), ""],
  ["a".repeat(255), "", "a".repeat(255), "", ""],
])("the parts of %s", (reference, domain, repository, tag, digest) => {
  expect(parseImage(reference, IMAGE_ID)).toEqual({ domain, repository, tag, digest });
});

describe("a bare image ID has no path", () => {
  test.each([
    ["in full", HEX],
    ["in full, of another image", "f".repeat(64)],
    ["with its algorithm", IMAGE_ID],
    ["with its algorithm, shortened", "sha256:0123"],
    ["its first 12 digits", HEX.slice(0, 12)],
    ["its first 4 digits", HEX.slice(0, 4)],
  ])("%s", (_, reference) => {
    const reason = `image ${reference} is a bare ID, which has no path`;
    expect(parseImage(reference, IMAGE_ID)).toEqual({ reason });
  });

  test.each(["cafe", "0123456789ac", "012g"])(
    "but %s is a name, because the ID does not begin so",
    (name) => {
      expect(parseImage(name, IMAGE_ID)).toMatchObject({ repository: name });
    },
  );

  test("but hexadecimal digits are a name if the ID is not known", () => {
    expect(parseImage("0123")).toMatchObject({ repository: "0123" });
  });
});

test.each([
  ["Foo/Bar", "repository"],
  ["a b", "repository"],
  ["a\nb", "repository"],
  ["a'b", "repository"],
  ['a"b', "repository"],
  ["a\0b", "repository"],
  ["a|b", "repository"],
  ["é", "repository"],
  ["", "repository"],
  ["/", "repository"],
  ["a/", "repository"],
  ["/a", "repository"],
  ["a//b", "repository"],
  ["a/../b", "repository"],
  ["a/b:1/c", "repository"],
  ["a___b", "repository"],
  ["a..b", "repository"],
  ["-a", "repository"],
  ["a-", "repository"],
  ["localhost/", "repository"],
  ["reg.:5000/a", "registry"],
  [".a/b", "registry"],
  ["-a.b/c", "registry"],
  ["[fe80::1%eth0]/a", "registry"],
  ["reg:port/a", "registry"],
  ["a:", "tag"],
  ["a:-x", "tag"],
  ["a:b:c", "tag"],
  ["a:b c", "tag"],
  ["a:b\n", "tag"],
  [`a:${"t".repeat(129)}`, "tag"],
  ["a@", "digest"],
  ["a@sha256:ab", "digest"],
  [`a@sha256:${HEX}\n`, "digest"],
  [`a@${HEX}`, "digest"],
  ["a".repeat(256), "length"],
  [`reg.example.com/${"a".repeat(240)}`, "length"],
])("%j has no valid %s", (reference, part) => {
  const reason = `image ${JSON.stringify(reference)} has no valid ${part}, hence no path`;
  expect(parseImage(reference, IMAGE_ID)).toEqual({ reason });
});
