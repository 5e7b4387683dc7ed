// The ports that are chosen for a container, with the reason.

import { expect, test } from "bun:test";
import { choosePorts, type Address } from "../../src/routing/address.ts";
import { container, ROUTING } from "../lab/make.ts";

const ownHost: Address = { address: "127.0.0.1", why: "", host: "own" };
const otherHost: Address = { address: "docker.example.com", why: "", host: "other" };
const alone: Address = { address: "172.17.0.2", why: "", host: undefined };
const label = "label gateway.port names it";
const expected = "exposed, and one of --ports";
const lowest = "the lowest that is exposed";

test.each<[string, number[], number | undefined, Address, number[], string]>([
  ["the label before the exposed ports", [8000], 9000, alone, [9000], label],
  [
    "several of --ports, in the order of --ports",
    [80, 8000, 9000],
    undefined,
    alone,
    [8000, 80],
    expected,
  ],
  ["one of --ports", [22, 80, 443], undefined, alone, [80], expected],
  ["the lowest exposed", [443, 9000], undefined, alone, [443], lowest],
  [
    "nothing exposed",
    [],
    undefined,
    alone,
    [8000, 80],
    "nothing is exposed: --ports (8000, 80) are tried",
  ],
  ["host network: exposed", [8000], undefined, ownHost, [8000], expected],
  ["host network: the label", [], 9000, ownHost, [9000], label],
  ["host network: not HAProxy's own", [80, 8000], undefined, ownHost, [8000], expected],
  [
    "another host's network: HAProxy's ports are free there",
    [80],
    undefined,
    otherHost,
    [80],
    expected,
  ],
])("%s", (_, exposed, port, address, ports, why) => {
  expect(choosePorts(container("c", { exposed }), port, address, ROUTING)).toEqual({
    ports,
    why,
  });
});

const unknown =
  "it uses the host's network and none of its ports is known (set label gateway.port)";
const taken = "port 80 of the host is the gateway's own";

test.each<[string, number[], number | undefined, Address, string]>([
  ["no port is known", [], undefined, ownHost, unknown],
  ["no port is known on another host", [], undefined, otherHost, unknown],
  ["only HAProxy's own", [80], undefined, ownHost, taken],
  ["the label is HAProxy's own", [], 80, ownHost, taken],
])("no port in the host's network: %s", (_, exposed, port, address, reason) => {
  expect(choosePorts(container("c", { exposed }), port, address, ROUTING)).toEqual({ reason });
});
