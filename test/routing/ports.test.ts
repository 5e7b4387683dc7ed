// The ports of a container that are tried.

import { expect, test } from "bun:test";
import { choosePorts, type Address } from "../../src/routing/address.ts";
import { container, ROUTING } from "../lab/make.ts";

const own: Address = { address: "127.0.0.1", why: "", host: "own" };
const other: Address = { address: "docker.example.com", why: "", host: "other" };
const apart: Address = { address: "172.17.0.2", why: "", host: undefined };
const label = "label gateway.port names it";
const expected = "exposed, and one of --ports";
const lowest = "the lowest that is exposed";

test.each<[string, number[], number | undefined, Address, number[], string]>([
  ["the label, whatever is exposed", [8000], 9000, apart, [9000], label],
  [
    "the expected ones, in the order of --ports",
    [80, 8000, 9000],
    undefined,
    apart,
    [8000, 80],
    expected,
  ],
  ["one expected", [22, 80, 443], undefined, apart, [80], expected],
  ["the lowest exposed", [443, 9000], undefined, apart, [443], lowest],
  [
    "nothing exposed",
    [],
    undefined,
    apart,
    [8000, 80],
    "nothing is exposed: --ports (8000, 80) are tried",
  ],
  ["host network: exposed", [8000], undefined, own, [8000], expected],
  ["host network: the label", [], 9000, own, [9000], label],
  ["host network: not HAProxy's own", [80, 8000], undefined, own, [8000], expected],
  ["another host's network: HAProxy is not there", [80], undefined, other, [80], expected],
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
  ["nothing known", [], undefined, own, unknown],
  ["nothing known of another host", [], undefined, other, unknown],
  ["only HAProxy's own", [80], undefined, own, taken],
  ["the label is HAProxy's own", [], 80, own, taken],
])("none on a host: %s", (_, exposed, port, address, reason) => {
  expect(choosePorts(container("c", { exposed }), port, address, ROUTING)).toEqual({ reason });
});
