// The address that is chosen for a container, with the reason.

import { describe, expect, test } from "bun:test";
import { createAddressChooser, type AddressOptions } from "../../src/routing/address.ts";
import type { Attachment, Container, Reach } from "../../src/model.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const DRIVERS = {
  bridge: "bridge",
  lan: "macvlan",
  vlan: "ipvlan",
  back: "bridge",
  swarm: "overlay",
};

function choose(
  subject: Container,
  {
    wanted,
    reach = {},
    options = {},
    others = [],
  }: {
    wanted?: string;
    reach?: Partial<Reach>;
    options?: Partial<AddressOptions>;
    others?: Container[];
  } = {},
) {
  const all = snapshot([subject, ...others], DRIVERS);
  return createAddressChooser(
    all,
    { ...HOST, ...reach },
    { ...ROUTING, ...options },
  )(subject, { network: wanted, address: undefined });
}

describe("the container's networks", () => {
  const interfaces = ["127.0.0.1/8", "172.17.0.1/16", "172.18.0.1/16", "fd00:1::1/64"];
  const bridge = at("bridge", "172.17.0.2");
  const back = at("back", "172.18.0.2");
  const alpha = at("alpha", "172.18.0.3");

  const only = "the only one of its networks that this host reaches";
  const label = "which label gateway.network names";
  const standard = "Docker's default network";

  test.each<[string, Attachment[], { wanted?: string; network?: string }, string, string, string]>([
    ["one network", [bridge], {}, "172.17.0.2", "bridge", only],
    ["bridge before the others", [back, bridge], {}, "172.17.0.2", "bridge", standard],
    [
      "podman before the others",
      [alpha, at("podman", "172.17.0.9")],
      {},
      "172.17.0.9",
      "podman",
      standard,
    ],
    [
      "the first by name",
      [back, alpha],
      {},
      "172.18.0.3",
      "alpha",
      "the first by name of alpha, back",
    ],
    [
      "--network",
      [back, bridge],
      { network: "back" },
      "172.18.0.2",
      "back",
      "which --network names",
    ],
    [
      "--network names one that it is not on",
      [bridge],
      { network: "nowhere" },
      "172.17.0.2",
      "bridge",
      only,
    ],
    [
      "the label before --network",
      [back, alpha],
      { network: "back", wanted: "alpha" },
      "172.18.0.3",
      "alpha",
      label,
    ],
    ["the label before bridge", [back, bridge], { wanted: "back" }, "172.18.0.2", "back", label],
    [
      "only networks that can be reached",
      [at("away", "10.9.9.9"), back],
      {},
      "172.18.0.2",
      "back",
      only,
    ],
    ["bridge cannot be reached", [at("bridge", "10.9.9.9"), back], {}, "172.18.0.2", "back", only],
    ["IPv4 before IPv6", [at("six", "172.18.0.4", "fd00:1::4")], {}, "172.18.0.4", "six", only],
    ["IPv6 only", [at("six", "", "fd00:1::4")], {}, "[fd00:1::4]", "six", only],
    [
      "IPv6, because its IPv4 cannot be reached",
      [at("six", "10.9.9.9", "fd00:1::4")],
      {},
      "[fd00:1::4]",
      "six",
      only,
    ],
    ["no address in one of two networks", [at("alpha", ""), back], {}, "172.18.0.2", "back", only],
  ])("%s", (_, attachments, { wanted, network }, address, name, reason) => {
    const subject = container("c", { attachments });
    const settings = {
      reach: { interfaces },
      options: { network },
      ...(wanted === undefined ? {} : { wanted }),
    };
    const why = `on network ${name}, ${reason}`;
    expect(choose(subject, settings)).toEqual({ address, why, host: undefined });
  });

  test.each<[string, Attachment[], string | undefined, string]>([
    ["no network", [], undefined, "it has no address"],
    ["no address", [at("bridge", "")], undefined, "it has no address"],
    [
      "no network that can be reached",
      [at("b", "10.9.9.9"), at("a", "10.9.9.8", "fd00:9::1")],
      undefined,
      "none of its networks (a, b) can be reached from here",
    ],
    [
      "the label names another network",
      [bridge],
      "back",
      "it is not on network back (label gateway.network)",
    ],
    [
      "the label names one that cannot be reached",
      [bridge, at("away", "10.9.9.9")],
      "away",
      "its network away (label gateway.network) cannot be reached from here",
    ],
    [
      "macvlan, even in the subnet of this host",
      [at("lan", "192.0.2.77")],
      undefined,
      "none of its networks (lan) can be reached from here",
    ],
    [
      "ipvlan, even in the subnet of this host",
      [at("vlan", "192.0.2.78")],
      "vlan",
      "its network vlan (label gateway.network) cannot be reached from here",
    ],
  ])("%s", (_, attachments, wanted, reason) => {
    const subject = container("c", { attachments });
    expect(choose(subject, wanted === undefined ? {} : { wanted })).toEqual({ reason });
  });
});

describe("the place of the gateway", () => {
  const lan = container("c", { attachments: [at("lan", "192.0.2.77")] });
  const far = container("c", { attachments: [at("swarm", "10.9.9.9")] });
  const host = container("c", { networkMode: "host", attachments: [] });
  const inContainer = { inContainer: true, hostAddress: undefined };
  const remote = { local: false, hostAddress: "docker.example.com" };

  test.each<[string, Container, Partial<Reach>, object]>([
    ["in a container on the macvlan", lan, inContainer, { address: "192.0.2.77" }],
    ["in a container on another network", far, inContainer, { reason: expect.any(String) }],
    ["on another machine than the Engine", far, remote, { address: "10.9.9.9" }],
    ["on another machine, and a macvlan", lan, remote, { address: "192.0.2.77" }],
    ["the host's network, on this machine", host, {}, { address: "127.0.0.1", host: "own" }],
    [
      "the host's network, on another machine",
      host,
      remote,
      { address: "docker.example.com", host: "other" },
    ],
    [
      "the host's network, from a container",
      host,
      inContainer,
      { reason: "it uses the host's network, which the gateway's own container cannot reach" },
    ],
  ])("%s", (_, subject, reach, expected) => {
    expect(choose(subject, { reach })).toMatchObject(expected);
  });
});

describe("another container's network", () => {
  const other = container("other", { attachments: [at("bridge", "172.17.0.9")] });
  const sharing = container("sharing", { networkMode: `container:${other.id}`, attachments: [] });
  const notRunning = "it uses the network of a container that is not running";

  test.each<[string, Container[], object]>([
    [
      "that container's address",
      [other],
      {
        address: "172.17.0.9",
        why:
          "on network bridge, the only one of its networks that this host reaches, as container " +
          "other, whose network it uses",
        host: undefined,
      },
    ],
    ["that container does not run", [], { reason: notRunning }],
    [
      "that container uses another one's network too",
      [{ ...other, networkMode: `container:${sharing.id}` }],
      { reason: notRunning },
    ],
    [
      "that container uses the host's network",
      [{ ...other, networkMode: "host" }],
      {
        address: "127.0.0.1",
        why: "it uses the host's network, as container other, whose network it uses",
        host: "own",
      },
    ],
    [
      "that container has no network",
      [{ ...other, networkMode: "none", attachments: [] }],
      { reason: "it has no network (network mode none)" },
    ],
  ])("%s", (_, others, expected) => {
    expect(choose(sharing, { others })).toMatchObject(expected);
  });
});
