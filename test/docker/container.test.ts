// Containers as real Engines describe them: `inspect/` has recorded answers, shortened.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerInfo, ContainerInspectInfo } from "dockerode";
import { fromList, signalNumber, toContainer, toStopSignal } from "../../src/docker/container.ts";
import { ownName, type Container } from "../../src/model.ts";
import { at } from "../lab/make.ts";

type Case = "web" | "host" | "guest" | "paused" | "created" | "restarting" | "exited";

/** What an Engine answered for a container of each kind. */
function recorded(engine: string): Record<Case, ContainerInspectInfo> {
  const path = join(import.meta.dir, "inspect", `${engine}.json`);
  return JSON.parse(readFileSync(path, "utf8")) as Record<Case, ContainerInspectInfo>;
}

const COMMON: Partial<Container> = {
  name: "web-1",
  image: "registry.example.com:5000/foo/bar:1.2",
  labels: { "gateway.port": "80" },
  environment: {},
  state: "running",
  stopping: 0,
  stopTimeout: 3000,
  exposed: [80, 8000],
};

const WEB: Readonly<Record<string, Container>> = {
  "docker-20.10": {
    ...COMMON,
    id: "9fdd0f80023adb0cbe0b30d5b27838b4002c1469e1e70435dd8d019ee257a16c",
    imageId: "sha256:8490f0a957f22ed138300591af1b4c25579d13a4c4c216c0ac0d3b44092e1904",
    created: Date.UTC(2026, 10, 22, 21, 41, 1, 65),
    pid: 4623,
    startedAt: "2026-11-22T21:41:01.264926066Z",
    health: "unhealthy",
    networkMode: "default",
    attachments: [at("back", "10.77.0.2", "fd00:77::2"), at("bridge", "10.201.82.2")],
  } as Container,
  "docker-28": {
    ...COMMON,
    id: "a3ae4966b2d0d432679c0825fbf30c304bed371979d2c78f18bdaabf5731e5ca",
    imageId: "sha256:eef890722cbee1e2db4a3559e5b75cd47c7f41112ee0d5eb5d296ea8f435ece0",
    created: Date.UTC(2026, 10, 22, 21, 41, 4, 958),
    pid: 5127,
    startedAt: "2026-11-22T21:41:04.992628628Z",
    health: "unhealthy",
    networkMode: "bridge",
    attachments: [at("back", "10.77.0.2", "fd00:77::2"), at("bridge", "10.201.10.2")],
  } as Container,
  "podman-4.3": {
    ...COMMON,
    id: "639b50e44ae0e0d75266843707712ffe72181fa6803706080dc873b7cf46a1ce",
    imageId: "sha256:0f6d8fcf684f8f1bf8328f356fd1cffdd79fceced6261f83244350b40f592e5b",
    created: Date.UTC(2026, 10, 22, 21, 41, 8, 962),
    pid: 6031,
    startedAt: "2026-11-22T21:41:09.127173626Z",
    health: "starting",
    networkMode: "bridge",
    attachments: [at("back", "10.208.128.2"), at("podman", "10.201.104.2")],
  } as Container,
};

describe.each(Object.entries(WEB))("%s", (engine, web) => {
  const answers = recorded(engine);
  const of = (name: Case): Container => toContainer(answers[name], 0);

  test("labels, health check, two networks, a signal of its own", () => {
    expect(of("web")).toEqual(web);
    expect(toContainer(answers.web, 99).stopping).toBe(99);
    // SIGQUIT, which Podman tells as a number.
    expect(toStopSignal(answers.web)).toBe(3);
  });

  test("the host's network: no address", () => {
    const { networkMode, attachments, exposed } = of("host");
    expect({ networkMode, exposed }).toEqual({ networkMode: "host", exposed: [] });
    expect(attachments.filter(({ ipv4, ipv6 }) => ipv4 !== "" || ipv6 !== "")).toEqual([]);
  });

  test("another container's network is named by that one's ID", () => {
    expect(of("guest").networkMode).toBe(`container:${web.id}`);
  });

  test("an image without settings", () => {
    const { labels, exposed, health, image } = of("paused");
    expect({ labels, exposed, health }).toEqual({ labels: {}, exposed: [], health: "none" });
    expect(image).toBe(engine.startsWith("podman") ? "localhost/plain:latest" : "plain");
    expect(toStopSignal(answers.paused)).toBe(15);
  });

  test.each<[Case, string]>([
    ["host", "running"],
    ["paused", "paused"],
    ["created", "created"],
    ["exited", "exited"],
  ])("the one that is %s", (name, state) => {
    expect(of(name).state).toBe(state as Container["state"]);
  });

  test.each<[Case, boolean]>([
    ["paused", true],
    ["created", false],
    ["exited", false],
  ])("whether the one that is %s has an address: %p", (name, has) => {
    expect(of(name).attachments.some(({ ipv4 }) => ipv4 !== "")).toBe(has);
  });
});

describe("the environment", () => {
  const { web } = recorded("docker-28");
  const of = (Env: string[] | null) =>
    toContainer({ ...web, Config: { ...web.Config, Env: Env as string[] } }, 0).environment;

  test("only what says how it is served is kept", () => {
    const served = {
      VIRTUAL_HOST: "a.example.com",
      VIRTUAL_HOST_MULTIPORTS: "a.example.com:\n  /: {}",
      VIRTUAL_PATH: "/x=y",
      VIRTUAL_DEST: "",
      VIRTUAL_PORT: "8080",
      VIRTUAL_PROTO: "https",
      VIRTUAL_ROOT: "/srv",
      NETWORK_ACCESS: "internal",
      HTTPS_METHOD: "noredirect",
      HSTS: "off",
    };
    const secret = ["PASSWORD=hunter2", "VIRTUAL_HOST_KEY=hunter2", "virtual_host=x", "=x", "x"];
    const lines = Object.entries(served).map(([name, value]) => `${name}=${value}`);
    expect(of([...secret, ...lines, ...secret])).toEqual(served);
  });

  test("of most containers it is the same empty object", () => {
    expect(of(["PATH=/bin", "PASSWORD=hunter2"])).toBe(of(null));
    expect(of([])).toEqual({});
    expect(fromList({ Id: "1" }).environment).toBe(of(null));
  });
});

test.each(["docker-20.10", "docker-28"])(
  "%s: a crashed container that will start again",
  (engine) => {
    expect(toContainer(recorded(engine).restarting, 0)).toMatchObject({
      name: "crash",
      state: "restarting",
      attachments: [at("bridge", "")],
    });
  },
);

describe("what an Engine may leave out or name in its own way", () => {
  const { web } = recorded("docker-28");
  const change = (rest: object): ContainerInspectInfo => Object.assign({}, web, rest);

  test.each<[string, object, Partial<Container>]>([
    ["no labels", { Config: { ...web.Config, Labels: null } }, { labels: {} }],
    ["no networks", { NetworkSettings: { Networks: null } }, { attachments: [] }],
    [
      "no network settings",
      { NetworkSettings: undefined },
      { attachments: [], exposed: [80, 8000] },
    ],
    [
      "a macvlan without published ports",
      { NetworkSettings: { ...web.NetworkSettings, Ports: {} } },
      { exposed: [80, 8000] },
    ],
    [
      "a published port that is not exposed",
      { NetworkSettings: { Ports: { "9000/tcp": [{ HostPort: "9000" }], "54/udp": null } } },
      { exposed: [80, 8000, 9000] },
    ],
    ["no network mode", { HostConfig: {} }, { networkMode: "default" }],
    [
      "podman: configured",
      { State: { Status: "configured" } },
      { state: "created", health: "none" },
    ],
    ["podman: stopped", { State: { Status: "stopped" } }, { state: "exited" }],
    ["podman: stopping", { State: { Status: "stopping" } }, { state: "running" }],
    ["a state of the future", { State: { Status: "dreaming" } }, { state: "dead" }],
    [
      "health: none",
      { State: { Status: "running", Health: { Status: "none" } } },
      { health: "none" },
    ],
    ["health: empty", { State: { Status: "running", Health: { Status: "" } } }, { health: "none" }],
    [
      "health: healthy",
      { State: { Status: "running", Health: { Status: "healthy" } } },
      { health: "healthy" },
    ],
    [
      "no stop timeout",
      { Config: { ...web.Config, StopTimeout: undefined } },
      { stopTimeout: 10_000 },
    ],
    [
      "no end to its stop timeout",
      { Config: { ...web.Config, StopTimeout: -1 } },
      { stopTimeout: 3_600_000 },
    ],
    ["a stop timeout of 0", { Config: { ...web.Config, StopTimeout: 0 } }, { stopTimeout: 0 }],
  ])("%s", (_, rest, expected) => {
    expect(toContainer(change(rest), 0)).toMatchObject(expected);
  });
});

test.each([
  ["15", 15],
  [15, 15],
  ["TERM", 15],
  ["SIGTERM", 15],
  ["sigquit", 3],
  ["9", 9],
  ["SIGRTMIN", 34],
  ["SIGRTMIN+3", 37],
  ["rtmin+3", 37],
  ["SIGRTMAX-14", 50],
  ["RTMAX", 64],
  ["RTMID", undefined],
  ["", undefined],
  [undefined, undefined],
  ["nonsense", undefined],
])("signal %p is %p", (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test("an entry of podman's list, which has no HostConfig", () => {
  const entry = {
    Id: "c1",
    Names: ["/web-1"],
    Image: "localhost/foo/bar:1.2",
    ImageID: "sha256:1",
    Created: 1,
    Ports: [],
    Labels: {},
    State: "running",
    Status: "Up Less than a second",
    NetworkSettings: { Networks: { podman: { IPAddress: "10.88.0.2", GlobalIPv6Address: "" } } },
  };
  expect(fromList(entry as unknown as ContainerInfo)).toMatchObject({
    name: "web-1",
    networkMode: "default",
    attachments: [{ network: "podman", ipv4: "10.88.0.2", ipv6: "" }],
  });
});

describe("a container of one of several Engines", () => {
  const { web } = recorded("docker-20.10");
  const published = (Ports: unknown) =>
    toContainer({ ...web, NetworkSettings: { ...web.NetworkSettings, Ports } } as typeof web, 0, {
      engine: "red",
      address: "192.0.2.7",
    }).elsewhere;

  test("has its name, and its networks where they are this machine's", () => {
    const here = toContainer(web, 0, { engine: "blue", address: undefined });
    expect(here).toEqual({ ...toContainer(web, 0), name: "web-1@blue", engine: "blue" });
    expect(ownName(here)).toBe("web-1");
  });

  test("has the ports that it publishes, in an order of their own", () => {
    expect(
      published({
        "9000/tcp": [{ HostIp: "", HostPort: "81" }],
        "53/udp": [{ HostIp: "0.0.0.0", HostPort: "53" }],
        "80/tcp": [
          { HostIp: "::", HostPort: "80" },
          { HostIp: "0.0.0.0", HostPort: "80" },
          { HostIp: "0.0.0.0", HostPort: "80" },
        ],
        "8000/tcp": null,
        "8001/tcp": [{ HostIp: "0.0.0.0", HostPort: "" }],
      }),
    ).toEqual({
      address: "192.0.2.7",
      published: [
        { at: "0.0.0.0", target: 80, port: 80 },
        { at: "0.0.0.0", target: 9000, port: 81 },
        { at: "::", target: 80, port: 80 },
      ],
    });
    expect(published(null)).toEqual({ address: "192.0.2.7", published: [] });
  });

  test("is the same by the list", () => {
    const Ports = [
      { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { PrivatePort: 9000, Type: "tcp" },
    ] as ContainerInfo["Ports"];
    const where = { engine: "red", address: "192.0.2.7" };
    expect(fromList({ Id: "1", Names: ["/web"], Ports }, where)).toMatchObject({
      name: "web@red",
      elsewhere: { address: "192.0.2.7", published: [{ at: "0.0.0.0", target: 80, port: 8080 }] },
    });
  });
});
