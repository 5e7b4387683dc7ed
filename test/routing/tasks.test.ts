// Where a task of a swarm is reached: on a network that the gateway is on, on its node, by the routing mesh.

import { describe, expect, test } from "bun:test";
import { route } from "../../src/routing/routing.ts";
import type { Container, PublishedPort, Reach } from "../../src/model.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const ON_NODE: PublishedPort = { mode: "host", address: "192.0.2.7", target: 8000, port: 18_000 };
const BY_MESH: PublishedPort = { mode: "ingress", address: "192.0.2.1", target: 8000, port: 8080 };
/** A gateway in a container on the network `backend`. */
const INSIDE: Reach = {
  ...HOST,
  interfaces: ["127.0.0.1/8", "10.0.1.9/24", "172.18.0.3/16"],
  inContainer: true,
  hostAddress: undefined,
  overlays: ["backend"],
};

function task(slot: number, published: PublishedPort[], more: Partial<Container> = {}): Container {
  return container(`shop.${slot}`, {
    image: "acme/shop:1.0",
    attachments: [at("backend", `10.0.1.${slot}`)],
    exposed: [...new Set(published.map(({ target }) => target))],
    task: { serviceId: "x1serviceofshop", service: "shop", isLocal: false, published },
    ...more,
  });
}

function served(reach: Reach, ...containers: Container[]) {
  const { services, rejections } = route(
    snapshot(containers, { backend: "overlay", bridge: "bridge" }),
    reach,
    ROUTING,
  );
  return {
    servers: services.flatMap(({ servers }) =>
      servers.map(({ address, port, container: name }) => `${name} ${address}:${port}`),
    ),
    reasons: rejections.map(({ reason }) => reason),
  };
}

describe("the place", () => {
  test.each<[string, Reach, PublishedPort[], string[]]>([
    ["its network before its node", INSIDE, [ON_NODE, BY_MESH], ["shop.1 10.0.1.1:8000"]],
    ["its node before the mesh", HOST, [ON_NODE, BY_MESH], ["shop.1 192.0.2.7:18000"]],
    ["the mesh at last", HOST, [BY_MESH], ["shop 192.0.2.1:8080"]],
    [
      "its network, where nothing is published",
      INSIDE,
      [],
      ["shop.1 10.0.1.1:8000", "shop.1 10.0.1.1:80"],
    ],
    ["an address of IPv6", HOST, [{ ...ON_NODE, address: "fd00::7" }], ["shop.1 [fd00::7]:18000"]],
    // A subnet of this host is not the network, even if it is the same.
    [
      "not a network of this host with the same subnet",
      { ...HOST, interfaces: [...HOST.interfaces, "10.0.1.77/24"] },
      [ON_NODE],
      ["shop.1 192.0.2.7:18000"],
    ],
  ])("%s", (_, reach, published, servers) => {
    expect(served(reach, task(1, published))).toEqual({ servers, reasons: [] });
  });

  const ways =
    "publish its port (mode=host), or run the gateway in a container on one of its networks";
  test.each<[string, Reach, Container, string]>([
    [
      "nothing is published",
      HOST,
      task(1, []),
      `it publishes no port, and the gateway is on none of its networks (backend): ${ways}`,
    ],
    [
      "it has no network either",
      HOST,
      task(1, [], { attachments: [] }),
      `it publishes no port and is on no network: ${ways}`,
    ],
    [
      "the port of its label is not published",
      HOST,
      task(1, [ON_NODE], { labels: { "gateway.port": "9000" } }),
      "port 9000 is not published, only 8000, and the gateway is on none of its networks",
    ],
    [
      "the network of its label is out of reach",
      HOST,
      task(1, [ON_NODE], { labels: { "gateway.network": "backend" } }),
      "the gateway is not on its network backend (label gateway.network)",
    ],
    [
      "it is not on the network of its label",
      INSIDE,
      task(1, [ON_NODE], { labels: { "gateway.network": "other" } }),
      "it is not on network other (label gateway.network)",
    ],
    [
      "bytes are forwarded to a port that is not published",
      HOST,
      task(1, [ON_NODE], { labels: { "gateway.tcp": "5432", "gateway.port": "5432" } }),
      "port 5432 is not published, only 8000, and the gateway is on none of its networks",
    ],
  ])("none: %s", (_, reach, subject, reason) => {
    expect(served(reach, subject)).toEqual({ servers: [], reasons: [reason] });
  });
});

describe("the ports of a node", () => {
  const admin: PublishedPort = { ...ON_NODE, target: 9000, port: 19_000 };

  test("the one of the label", () => {
    const labels = { "gateway.port": "9000" };
    expect(served(HOST, task(1, [ON_NODE, admin], { labels })).servers).toEqual([
      "shop.1 192.0.2.7:19000",
    ]);
  });

  test("that of a route of its own", () => {
    const labels = { "gateway.route.admin.path": "/admin", "gateway.route.admin.port": "9000" };
    expect(served(HOST, task(1, [ON_NODE, admin], { labels })).servers).toEqual([
      "shop.1 192.0.2.7:18000",
      "shop.1 192.0.2.7:19000",
    ]);
  });

  test("the one to which bytes are forwarded", () => {
    const database: PublishedPort = { ...ON_NODE, target: 5432, port: 15_432 };
    const labels = { "gateway.tcp": "5432" };
    expect(served(HOST, task(1, [database], { labels })).servers).toEqual([
      "shop.1 192.0.2.7:15432",
    ]);
  });
});

describe("behind the routing mesh", () => {
  const all = [task(1, [BY_MESH]), task(2, [BY_MESH]), task(3, [BY_MESH])];

  test("all tasks are one server, whichever of them run", () => {
    expect(served(HOST, ...all)).toEqual({ servers: ["shop 192.0.2.1:8080"], reasons: [] });
    expect(served(HOST, ...all.slice(1))).toEqual(served(HOST, ...all));
  });

  test("it gets requests also while a task ends", () => {
    const [first, ...others] = all.map((each, index) =>
      index === 0 ? { ...each, stopping: 1_000 } : each,
    );
    const { services } = route(
      snapshot(first === undefined ? [] : [first, ...others]),
      HOST,
      ROUTING,
    );
    expect(services[0]?.servers.map(({ disabled, id }) => [disabled, id])).toEqual([
      [false, "x1serviceofshop"],
    ]);
  });

  test("its label for a share is that of the whole service", () => {
    const old = container("old", { image: "acme/shop:0.9" });
    const labels = { "gateway.split": "25%" };
    const canary = all.map((each) => ({ ...each, labels }));
    const { services } = route(snapshot([old, ...canary]), HOST, ROUTING);
    expect(services[0]?.servers.map(({ container: name, weight }) => [name, weight])).toEqual([
      ["old", "3"],
      ["shop", "1"],
    ]);
  });
});
