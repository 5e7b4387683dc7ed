// What this host reaches, from what the kernel says: the texts are those of a host with a bridge.

import { expect, test } from "bun:test";
import { ipv4Cidrs, ipv6Cidrs, overlaysOf } from "../../src/gateway/host.ts";
import { at, container, snapshot } from "../lab/make.ts";

// 192.168.5.0/24 is a route to others, and not an address of this host.
const ROUTE = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0005A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
`;

const FIB_TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.0
           /16 link UNICAST
        |-- 172.17.0.1
           /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.2
           /32 host LOCAL
`;

test("IPv4", () => {
  expect(ipv4Cidrs(FIB_TRIE, ROUTE)).toEqual(["172.17.0.1/16", "192.0.2.2/24"]);
  expect(ipv4Cidrs("", "")).toEqual([]);
});

test("IPv6", () => {
  const lines = [
    "fe8000000000000008f81ffffec6547b 02 40 20 c0      br0",
    "00000000000000000000000000000001 01 80 10 80       lo",
    "fd000009000000000000000000000001 02 40 00 c0      br0",
  ];
  expect(ipv6Cidrs(`${lines.join("\n")}\n`)).toEqual([
    "0000:0000:0000:0000:0000:0000:0000:0001/128",
    "fd00:0009:0000:0000:0000:0000:0000:0001/64",
  ]);
  expect(ipv6Cidrs("")).toEqual([]);
});

test("the gateway is on the overlay networks on which a container has its address", () => {
  const drivers = { backend: "overlay", other: "overlay", bridge: "bridge" };
  const own = container("gateway", {
    attachments: [at("backend", "10.0.1.9"), at("bridge", "172.17.0.9")],
  });
  const shop = container("shop.1", {
    attachments: [at("backend", "10.0.1.5"), at("other", "10.0.2.5")],
  });
  const all = snapshot([own, shop], drivers);
  const found = new Map<string, string>();
  // A network of this host with the same subnet is another one.
  expect(overlaysOf(all, ["10.0.1.77"], found)).toEqual([]);
  expect(overlaysOf(all, ["127.0.0.1", "10.0.1.9", "172.17.0.9"], found)).toEqual(["backend"]);
  // As long as it has the address, whoever forgets it.
  expect(overlaysOf(snapshot([shop], drivers), ["10.0.1.9"], found)).toEqual(["backend"]);
  expect(overlaysOf(snapshot([shop], drivers), ["10.0.1.77"], found)).toEqual([]);
});
