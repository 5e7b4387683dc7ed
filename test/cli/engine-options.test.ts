// The Engines that the user chose: one as ever, several with names, and what is wrong with a wrong one.

import { describe, expect, test } from "bun:test";
import { describeOptions } from "../../src/api/options.ts";
import { parseEngines } from "../../src/cli/engine-options.ts";
import type { RawOptions } from "../../src/cli/options.ts";
import { failureOf } from "../lab/make.ts";

const only = (url: string) => [{ name: "", url, address: undefined }];
const BLUE = { name: "blue", url: "unix:///b.sock", address: undefined };
const RED = { name: "red", url: "tcp://192.0.2.7:2376", address: undefined };

test.each<[RawOptions, ReturnType<typeof parseEngines>]>([
  [{}, only("")],
  [{ "docker-host": "" }, only("")],
  [{ "docker-host": "tcp://h" }, only("tcp://h")],
  [{ "docker-host": ["tcp://h"] }, only("tcp://h")],
  [{ "docker-host": ["tcp://h", "tcp://h"] }, only("tcp://h")],
  // No name is before it: what is behind the socket's path is part of it.
  [{ "docker-host": "unix:///run/a=b,c.sock" }, only("unix:///run/a=b,c.sock")],
  [{ "docker-host": "blue=unix:///b.sock" }, [BLUE]],
  [{ "docker-host": ["blue=unix:///b.sock", "red=tcp://192.0.2.7:2376"] }, [BLUE, RED]],
  [{ "docker-host": "blue=unix:///b.sock, red=tcp://192.0.2.7:2376" }, [BLUE, RED]],
  [
    {
      "docker-host": ["blue=unix:///b.sock,red=tcp://192.0.2.7:2376"],
      "engine-address": "blue=192.0.2.1,red=[2001:db8::1]",
    },
    [
      { ...BLUE, address: "192.0.2.1" },
      { ...RED, address: "2001:db8::1" },
    ],
  ],
])("%j", (raw, engines) => {
  expect(parseEngines(raw)).toEqual(engines);
});

describe("refused", () => {
  const both = ["blue=unix:///b.sock", "red=tcp://h"];
  test.each<[RawOptions, string, string]>([
    [
      { "docker-host": ["blue=unix:///b.sock", "tcp://h"] },
      'Cannot use --docker-host "tcp://h" beside others: it has no name',
      "such as --docker-host blue=tcp://h",
    ],
    [
      { "docker-host": "unix:///b.sock,tcp://h" },
      'Cannot use --docker-host "unix:///b.sock" beside others: it has no name',
      "such as --docker-host blue=unix:///b.sock",
    ],
    [
      { "docker-host": "Blue=tcp://h" },
      'Cannot use --docker-host "Blue=tcp://h": "Blue" is no name of an Engine',
      "such as blue or rack-2",
    ],
    [
      { "docker-host": "-a=tcp://h" },
      'Cannot use --docker-host "-a=tcp://h": "-a" is no name of an Engine',
      "such as blue or rack-2",
    ],
    [
      { "docker-host": "blue=" },
      'Cannot use --docker-host "blue=": it has no URL',
      "such as --docker-host blue=unix:///var/run/docker.sock",
    ],
    [
      { "docker-host": ["a=tcp://h", "a=tcp://i"] },
      'Cannot use --docker-host: two Engines have the name "a"',
      "give each a name of its own",
    ],
    [
      { "docker-host": both, "engine-address": "green=192.0.2.1" },
      'Cannot use --engine-address for "green": no Engine has that name',
      "such as --docker-host green=",
    ],
    [
      { "docker-host": "tcp://h", "engine-address": "h=192.0.2.1" },
      'Cannot use --engine-address for "h": no Engine has that name',
      "such as --docker-host h=",
    ],
    [
      { "docker-host": both, "engine-address": "blue=host.example.com" },
      'Cannot use --engine-address "blue=host.example.com": it is not NAME=ADDRESS',
      "such as --engine-address blue=192.0.2.7",
    ],
    [
      { "docker-host": both, swarm: true },
      "--swarm and several --docker-host exclude each other",
      "leave --swarm out",
    ],
  ])("%j", (raw, message, hint) => {
    const failure = failureOf("usage", () => parseEngines(raw));
    expect(failure.message).toBe(message);
    expect(failure.hint).toStartWith(hint);
  });
});

test.each<[RawOptions[string], RawOptions[string]]>([
  [["tcp://bob:secret@h"], "tcp://bob@h"],
  ["tcp://bob:secret@h", "tcp://bob@h"],
  [
    ["a=tcp://bob:secret@h", "b=unix:///x"],
    ["a=tcp://bob@h", "b=unix:///x"],
  ],
  ["a=tcp://bob:secret@h,b=tcp://eve:other@i", "a=tcp://bob@h,b=tcp://eve@i"],
])("of %j others see no password", (given, shown) => {
  expect(describeOptions({ "docker-host": given })["docker-host"]).toEqual(shown);
});
