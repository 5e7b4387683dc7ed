// Networks as text and as numbers.

import { expect, test } from "bun:test";
import { isInside, parseNetwork, toNetwork, type Network } from "../../src/lib/networks.ts";

test.each([
  ["10.0.0.0/8", "10.0.0.0/8"],
  ["10.1.2.3/8", "10.0.0.0/8"],
  ["192.0.2.7", "192.0.2.7/32"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["255.255.255.255", "255.255.255.255/32"],
  ["::/0", "::/0"],
  ["::1", "::1/128"],
  ["1::", "1::/128"],
  ["FD00::/8", "fd00::/8"],
  ["2001:db8::1:0:0:1/64", "2001:db8::/64"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1/128"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1/128"],
  ["0:0:1:0:0:0:1:0", "0:0:1::1:0/128"],
  ["::ffff:10.0.0.1", "::ffff:a00:1/128"],
])("%s is %s", (text, network) => {
  expect(parseNetwork(text)).toBe(network);
  // Written again it is the same.
  expect(parseNetwork(network)).toBe(network);
});

test.each([
  "",
  "x",
  "10.0.0.0/33",
  "10.0.0/8",
  "::/129",
  "10.0.0.0/-1",
  "10.0.0.0/8/8",
  "1::2::3",
  "fe80::1%eth0",
  "010.0.0.1",
  "10.0.0.0/ 8",
  "localhost",
])("%j is none", (text) => expect(parseNetwork(text)).toBeUndefined());

test.each([
  ["10.1.0.0/16", "10.0.0.0/8", true],
  ["10.0.0.0/8", "10.0.0.0/8", true],
  ["10.0.0.0/8", "10.1.0.0/16", false],
  ["11.0.0.0/16", "10.0.0.0/8", false],
  ["10.0.0.0/8", "0.0.0.0/0", true],
  ["10.0.0.0/8", "::/0", false],
  ["fd00:1::/32", "fd00::/8", true],
])("%s is in %s: %p", (inner, outer, result) => {
  const [a, b] = [inner, outer].map((text) => toNetwork(text) as Network);
  expect(isInside(a as Network, b as Network)).toBe(result);
});
