// The values of labels: what is taken, in which form, and what is not.

import { describe, expect, test } from "bun:test";
import {
  one,
  parseHost,
  parsePath,
  parsePort,
  parseServiceName,
  several,
} from "../../src/routing/values.ts";

test.each([
  ["1", 1],
  ["65535", 65535],
  ["080", 80],
  ["0", undefined],
  ["65536", undefined],
  ["-1", undefined],
  ["+1", undefined],
  ["1.5", undefined],
  ["1e3", undefined],
  ["0x50", undefined],
  ["٨", undefined],
  [" 80", undefined],
  ["80\n", undefined],
  ["", undefined],
])("port %j is %p", (text, port) => {
  expect(parsePort(text)).toBe(port);
});

describe("a host", () => {
  test.each([
    ["example.com", "example.com"],
    ["EXAMPLE.Com.", "example.com"],
    ["localhost", "localhost"],
    ["my_app.lan", "my_app.lan"],
    ["192.0.2.7", "192.0.2.7"],
    ["xn--bcher-kva.example", "xn--bcher-kva.example"],
    ["*.example.com", "*.example.com"],
    ["*.Com", "*.com"],
    ["*.a.b.c.d.e.f.g", "*.a.b.c.d.e.f.g"],
    // More labels than HAProxy looks at.
    ["*.a.b.c.d.e.f.g.h", undefined],
    ["*", undefined],
    ["*example.com", undefined],
    ["a.*.example.com", undefined],
    ["example.com:80", undefined],
    ["http://example.com", undefined],
    ["example.com/x", undefined],
    ["a..b", undefined],
    [".example.com", undefined],
    ["example.com..", undefined],
    ["-a.com", undefined],
    ["a-.com", undefined],
    ["bücher.example", undefined],
    ["a b", undefined],
    ["a\n", undefined],
    ["", undefined],
    [`${"a".repeat(63)}.com`, `${"a".repeat(63)}.com`],
    [`${"a".repeat(64)}.com`, undefined],
    [`${"a.".repeat(127)}a`, undefined],
  ])("%j is %p", (text, host) => {
    expect(parseHost(text)).toBe(host);
  });
});

describe("a path", () => {
  test.each([
    ["/", "/"],
    ["/shop", "/shop"],
    ["/shop/", "/shop"],
    ["/a/b.c/~d;e=f@g:h!$&'()*+", "/a/b.c/~d;e=f@g:h!$&'()*+"],
    ["/caf%C3%A9", "/caf%C3%A9"],
    ["/...", "/..."],
    ["/.well-known", "/.well-known"],
    ["shop", undefined],
    ["", undefined],
    ["//", undefined],
    ["/a//b", undefined],
    ["/a/../b", undefined],
    ["/a/..", undefined],
    ["/./a", undefined],
    ["/a/..;x", undefined],
    ["/a/%2e%2E/b", undefined],
    ["/a%2Fb", undefined],
    ["/a%5cb", undefined],
    ["/a%00", undefined],
    ["/a%zz", undefined],
    ["/a|b", undefined],
    ["/a>b", undefined],
    ["/a?b", undefined],
    ["/a#b", undefined],
    ['/a"b', undefined],
    ["/a\\b", undefined],
    ["/é", undefined],
    ["/a\nb", undefined],
    ["/a\n", undefined],
    [`/${"a".repeat(199)}`, `/${"a".repeat(199)}`],
    [`/${"a".repeat(200)}`, undefined],
  ])("%j is %p", (text, path) => {
    expect(parsePath(text)).toBe(path);
  });
});

test.each([
  ["web", "web"],
  ["Web-1.2_x", "Web-1.2_x"],
  ["a", "a"],
  ["_spare_1", undefined],
  ["-a", undefined],
  ["a-", undefined],
  ["a/b", undefined],
  ["a:b", undefined],
  ["a b", undefined],
  ["a".repeat(63), "a".repeat(63)],
  ["a".repeat(64), undefined],
  ["", undefined],
])("service %j is %p", (text, name) => {
  expect(parseServiceName(text)).toBe(name);
});

test("one word may have blanks around it", () => {
  expect(one(parsePort)(" 80 ")).toEqual({ value: 80, wrong: [] });
  expect(one(parsePort)(" x ")).toEqual({ value: undefined, wrong: ["x"] });
});

test.each([
  ["/a", ["/a"], []],
  ["/a,/b /c\t/d\n/e , /a", ["/a", "/b", "/c", "/d", "/e"], []],
  ["/a, b, /c", ["/a", "/c"], ["b"]],
  ["b", undefined, ["b"]],
  ["", undefined, [""]],
  [" , ", undefined, [""]],
])("of several, %j are %p, and %p are wrong", (text, value, wrong) => {
  expect(several(parsePath)(text)).toEqual({ value, wrong });
});
