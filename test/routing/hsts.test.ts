// How long browsers are to ask by HTTPS alone.

import { expect, test } from "bun:test";
import { parseHsts } from "../../src/routing/settings/hsts.ts";

test.each([
  ["1y", "max-age=31536000"],
  ["30d", "max-age=2592000"],
  ["0", "max-age=0"],
  ["1Y, SubDomains", "max-age=31536000; includeSubDomains"],
  ["2y,preload,subdomains", "max-age=63072000; includeSubDomains; preload"],
  ["365d, subdomains, preload", "max-age=31536000; includeSubDomains; preload"],
])("%s", (text, header) => {
  expect(parseHsts(text)).toBe(header);
});

test.each(["364d, subdomains, preload", "1y, preload", "11y", "1y subdomains", "y", "1.5y"])(
  "%s is none",
  (text) => {
    expect(parseHsts(text)).toBeUndefined();
  },
);
