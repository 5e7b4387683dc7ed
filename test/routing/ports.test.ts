// The ports that are chosen for a container, with the reason.

import { describe, expect, test } from "bun:test";
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

test.each<[string, number[], number | undefined, Address, number[], string]>([
  ["the label", [9000], 80, alone, [80], label],
  [
    "its own one, before others",
    [80, 443, 9000],
    undefined,
    alone,
    [9000],
    "exposed, and FastCGI's",
  ],
  ["another one", [9001], undefined, alone, [9001], lowest],
  ["nothing exposed", [], undefined, alone, [9000], "nothing is exposed: FastCGI's is tried"],
])("FastCGI: %s", (_, exposed, port, address, ports, why) => {
  expect(choosePorts(container("c", { exposed }), port, address, ROUTING, true)).toEqual({
    ports,
    why,
  });
});

const broker = [4369, 5671, 5672, 15671, 15672, 15691, 15692, 25672];

describe("a port of another protocol than HTTP", () => {
  test.each<[string, number[], number | undefined, number[], number[], string]>([
    [
      "is passed over",
      broker,
      undefined,
      [8000, 80],
      [15_672],
      `${lowest} (4369 is Erlang's port, 5671 and 5672 are AMQP's ports, 15671 is RabbitMQ's port)`,
    ],
    ["above the lowest matters nothing", [3000, 5432], undefined, [8000, 80], [3000], lowest],
    ["is passed over for one of --ports", [22, 80], undefined, [8000, 80], [80], expected],
    ["is taken if the label names it", [6379], 6379, [8000, 80], [6379], label],
    ["is taken if the label alone names it", [], 6379, [8000, 80], [6379], label],
    ["is taken if it is one of --ports", [5432, 6379], undefined, [6379, 80], [6379], expected],
    [
      "of a product beside it is passed over",
      [4444, 3306, 8888],
      undefined,
      [80],
      [8888],
      `${lowest} (4444 is Galera's port, 3306 is MySQL's port)`,
    ],
    ["of a product that is not beside it is taken", [4444, 5900], undefined, [80], [4444], lowest],
  ])("%s", (_, exposed, port, wanted, ports, why) => {
    const options = { ...ROUTING, ports: wanted };
    expect(choosePorts(container("c", { exposed }), port, alone, options)).toEqual({ ports, why });
  });

  test.each<[string, Address]>([
    ["its own network", alone],
    ["the host's network", ownHost],
  ])("alone is none to route to, in %s", (_, address) => {
    const reasonOf = (exposed: number[]): unknown =>
      choosePorts(container("c", { exposed }), undefined, address, ROUTING);
    expect(reasonOf([5432])).toEqual({
      reason:
        "5432 is PostgreSQL's port; label gateway.port=5432 if it does speak HTTP, label gateway.tcp=5432 to forward its bytes",
      expected: true,
    });
    expect(reasonOf([7000, 7001, 7199, 9042, 9160])).toEqual({
      reason:
        "7000, 7001, 7199, 9042 and 9160 are Cassandra's ports; " +
        "label gateway.port=PORT if one of them does speak HTTP, label gateway.tcp=PORT to forward its bytes",
      expected: true,
    });
    expect(reasonOf([25, 143])).toMatchObject({
      reason: expect.stringMatching(/^25 is SMTP's port, 143 is IMAP's port; label /),
    });
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
