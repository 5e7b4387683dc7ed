// Containers of Engines whose networks are not this machine's: they are reached by the ports that they publish,
// whatever addresses they have in their networks.

import { describe, expect, test } from "bun:test";
import { createRouter } from "../../src/routing/routing.ts";
import type { Container, Elsewhere, Publication } from "../../src/model.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const ADDRESS = "192.0.2.7";

function published(port: number, target = 8000, where = "0.0.0.0"): Publication {
  return { at: where, target, port };
}

function elsewhere(
  publications: readonly Publication[],
  rest: Partial<Container> = {},
  address = ADDRESS,
): Container {
  const place: Elsewhere = { address, published: publications };
  return container("web@red", { engine: "red", elsewhere: place, ...rest });
}

function decide(...all: readonly Container[]) {
  const { services, rejections } = createRouter()(snapshot(all), HOST, ROUTING);
  return {
    servers: services.flatMap(({ servers }) =>
      servers.map(({ container: name, address, port }) => `${name} ${address}:${port}`),
    ),
    reasons: rejections.map(({ reason }) => reason),
  };
}

test.each<[string, Container, string[]]>([
  ["a port at all addresses", elsewhere([published(49153)]), ["web@red 192.0.2.7:49153"]],
  ["a port at that address", elsewhere([published(81, 8000, ADDRESS)]), ["web@red 192.0.2.7:81"]],
  [
    "one port, published twice",
    elsewhere([published(81), published(81, 8000, "::")]),
    ["web@red 192.0.2.7:81"],
  ],
  [
    "an IPv6 address",
    elsewhere([published(81), published(82, 8000, "::")], {}, "2001:db8::7"),
    ["web@red [2001:db8::7]:82"],
  ],
  [
    "of several ports, the one of --ports that is published",
    elsewhere([published(81, 80), published(90, 9000)], { exposed: [80, 8000, 9000] }),
    ["web@red 192.0.2.7:81"],
  ],
  [
    "what is exposed and not published does not count",
    elsewhere([published(90, 9000)], { exposed: [8000, 9000] }),
    ["web@red 192.0.2.7:90"],
  ],
  [
    "the label for the port",
    elsewhere([published(81), published(90, 9000)], { labels: { "gateway.port": "9000" } }),
    ["web@red 192.0.2.7:90"],
  ],
  [
    "the label for the address",
    elsewhere([published(81), published(82, 8000, "198.51.100.7")], {
      labels: { "gateway.address": "198.51.100.7" },
    }),
    ["web@red 198.51.100.7:82"],
  ],
  [
    "the network of its host",
    elsewhere([], { networkMode: "host", attachments: [] }),
    ["web@red 192.0.2.7:8000"],
  ],
  [
    "an Engine beside another on this machine",
    elsewhere([published(8081)], {}, "127.0.0.1"),
    ["web@red 127.0.0.1:8081"],
  ],
  [
    "forwarded bytes",
    elsewhere([published(15432, 5432)], { exposed: [5432], labels: { "gateway.tcp": "5432" } }),
    ["web@red 192.0.2.7:15432"],
  ],
])("%s", (_, subject, servers) => {
  expect(decide(subject)).toEqual({ servers, reasons: [] });
});

describe("not routed", () => {
  test.each<[string, Container, string]>([
    [
      "nothing is published, though this machine has such a subnet",
      elsewhere([], { attachments: [at("bridge", "172.17.0.2")] }),
      "it publishes no port, and its networks are those of Engine red: publish one (-p PORT)",
    ],
    [
      "published for that machine alone",
      elsewhere([published(81, 8000, "127.0.0.1")]),
      "it publishes ports at 127.0.0.1 and not at 192.0.2.7, where Engine red is reached " +
        "(label gateway.address=127.0.0.1 if the gateway reaches that)",
    ],
    [
      "the label names an address at which nothing is published",
      elsewhere([published(81)], { labels: { "gateway.address": "198.51.100.7" } }),
      "it publishes no port at that very address 198.51.100.7 (label gateway.address)",
    ],
    ...["127.0.0.1", "192.0.2.10", "172.17.0.1", "172.17.0.5", "::1"].map(
      (address): [string, Container, string] => [
        `the label names ${address}, where that is somebody else's from here`,
        elsewhere([published(81, 8000, address)], { labels: { "gateway.address": address } }),
        `label gateway.address=${address} is an address of this machine or its containers`,
      ],
    ),
    [
      "the label is no address",
      elsewhere([published(81)], { labels: { "gateway.address": "host" } }),
      'label gateway.address="host" is not an address, such as 192.0.2.7',
    ],
    [
      "the label names a port that is not published",
      elsewhere([published(81)], { labels: { "gateway.port": "9000" } }),
      "port 9000 is not published, only 8000, and the gateway is on none of its networks",
    ],
    [
      "the port is the gateway's own",
      elsewhere([published(80)], {}, "127.0.0.1"),
      "port 80 of the host, which it publishes, is the gateway's own",
    ],
    [
      "the network of a host that may not be this one",
      elsewhere([], { networkMode: "host" }, "192.0.2.10"),
      "it uses the host's network of Engine red, which may not be this host's",
    ],
    ["no network", elsewhere([], { networkMode: "none" }), "it has no network (network mode none)"],
  ])("%s", (_, subject, reason) => {
    expect(decide(subject)).toEqual({ servers: [], reasons: [reason] });
  });
});

test("with another container's network it is reached by the ports of that one", () => {
  const pod = elsewhere([published(81)], { labels: { "gateway.enable": "false" } });
  const web = elsewhere([], {
    id: "f".repeat(64),
    name: "app@red",
    networkMode: `container:${pod.id}`,
    attachments: [],
    exposed: [],
  });
  expect(decide(pod, web).servers).toEqual(["app@red 192.0.2.7:81"]);
});

test("the same image on several Engines is one service, also where names and addresses are the same", () => {
  const here = container("web@blue", { engine: "blue", attachments: [at("bridge", "172.17.0.2")] });
  const there = elsewhere([published(81)], { attachments: [at("bridge", "172.17.0.2")] });
  expect(decide(here, there).servers.toSorted()).toEqual([
    "web@blue 172.17.0.2:8000",
    "web@red 192.0.2.7:81",
  ]);
});

test("what goes by the names of containers takes those that their Engines know", () => {
  const subject = elsewhere([published(81)]);
  const all = snapshot([subject]);
  const filtered = createRouter()(all, HOST, {
    ...ROUTING,
    filters: [{ key: "name", value: "web" }],
  });
  expect(filtered.rejections).toEqual([]);
});
