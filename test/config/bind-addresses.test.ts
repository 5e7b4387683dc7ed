// The addresses that a configuration listens on, as its text gives them.

import { expect, test } from "bun:test";
import { bindAddresses, newAddresses } from "../../src/config/bind-addresses.ts";
import { parseConfig } from "../../src/config/sections.ts";

test.each<[string, string[]]>([
  ["bind :80", ["*:80"]],
  ["bind *:80", ["*:80"]],
  ["bind 127.0.0.1:8080 ssl crt /x", ["127.0.0.1:8080"]],
  ["bind ipv4@0.0.0.0:80", ["0.0.0.0:80"]],
  ["bind [::1]:80", ["[::1]:80"]],
  ["bind ipv6@:::80", [":::80"]],
  ["bind :80,127.0.0.1:81", ["*:80", "127.0.0.1:81"]],
  ["bind '*:80'", ["*:80"]],
  ["bind unix@/run/x.sock", []],
  ["bind /run/x.sock", []],
  ["bind fd@3", []],
  ["bind name:80", []],
  ["bind :8000-8010", []],
  ['bind "${ADDRESS}:80"', []],
  ["bind quic4@:443", []],
  ["bind :80 transparent", []],
  ["bind :80 interface eth0", []],
  ["bind [::]:80 v6only", []],
  ["binding :80", []],
  ["# bind :80", []],
])("the addresses of %s", (line, expected) => {
  expect(bindAddresses(parseConfig(`frontend f\n    ${line}\n`))).toEqual(expected);
  expect(bindAddresses(parseConfig(`backend b\n    ${line}\n`))).toEqual([]);
});

test.each<[string, string, string[]]>([
  ["", "bind :80", ["*:80"]],
  ["bind :80", "bind :80", []],
  ["bind 127.0.0.1:80", "bind *:80", []],
  ["bind :80", "bind :80\n bind :81", ["*:81"]],
  ["bind :80\n bind :81", "bind :80", []],
])("the new addresses from %j to %j", (running, desired, expected) => {
  expect(
    newAddresses(parseConfig(`frontend f\n ${running}\n`), parseConfig(`listen f\n ${desired}\n`)),
  ).toEqual(expected);
});
