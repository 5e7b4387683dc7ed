// The model that is made from containers: services, routes, servers, rejections and warnings.

import { describe, expect, test } from "bun:test";
import {
  HAS_ENDED,
  NO_RULES,
  type Container,
  type ContainerState,
  type Health,
} from "../../src/model.ts";
import { route, type RoutingOptions } from "../../src/routing/routing.ts";
import { at, container, HOST, randomNumbers, ROUTING, shuffle, snapshot } from "../lab/make.ts";

function model(containers: readonly Container[], options: Partial<RoutingOptions> = {}) {
  const decided = route(snapshot(containers), HOST, { ...ROUTING, ...options });
  return { ...decided, routes: decided.services.flatMap((service) => service.routes) };
}

/** The servers of the only service, each as its container and why it is disabled. */
function servers(containers: readonly Container[]): string[] {
  const [service, ...others] = model(containers).services;
  expect(others).toEqual([]);
  return (service?.servers ?? []).map(({ container: name, disabled, why }) => {
    expect(disabled).toBe(why !== "");
    return `${name} ${why}`.trim();
  });
}

test("a container gives a service with a route and a server", () => {
  const startedAt = "2026-11-28T08:00:00.5Z";
  const process = { pid: 42, startedAt };
  const web = container("web-1", { image: "reg:5000/foo/bar:1.2", labels: { a: "b" }, ...process });
  const { id, image, labels } = web;
  const routes = [
    {
      host: "",
      path: "/foo/bar",
      strip: true,
      rewrite: "",
      key: "/foo/bar/",
      backend: "foo:bar",
      rules: NO_RULES,
    },
  ];
  expect(model([web])).toEqual({
    routes,
    services: [
      {
        name: "foo/bar",
        backend: "foo:bar",
        profile: "_backend",
        settings: {},
        routes,
        servers: [
          {
            name: id.slice(0, 12),
            container: "web-1",
            id,
            image,
            labels,
            stopTimeout: 10_000,
            startedAt,
            holders: [{ id, pid: 42 }],
            address: "172.17.0.2",
            port: 8000,
            disabled: false,
            why: "",
            backup: false,
            second: false,
            weight: "",
            maxconn: "",
          },
        ],
        waiting: [],
        hold: "",
      },
    ],
    rejections: [],
    refusals: [],
    warnings: [],
  });
});

test("without containers the model is empty", () => {
  expect(model([])).toEqual({
    routes: [],
    services: [],
    rejections: [],
    refusals: [],
    warnings: [],
  });
});

test.each<[ContainerState, string[], string]>([
  ["running", ["c"], ""],
  ["paused", ["c paused"], ""],
  // Docker will start it again. Its route stays.
  ["restarting", [], ""],
  ["created", [], "it does not run (Docker says: created)"],
  ["removing", [], "it does not run (Docker says: removing)"],
  ["exited", [], "it does not run (Docker says: exited)"],
  ["dead", [], "it does not run (Docker says: dead)"],
])("a container that is %s", (state, expected, reason) => {
  const { routes, rejections } = model([container("c", { state })]);
  expect(routes.map(({ path }) => path)).toEqual(reason === "" ? ["/foo/bar"] : []);
  expect(rejections.map((rejection) => rejection.reason)).toEqual(reason === "" ? [] : [reason]);
  expect(servers([container("c", { state })])).toEqual(expected);
});

test.each<[Health, string]>([
  ["none", "c"],
  ["healthy", "c"],
  ["starting", "c starting"],
  ["unhealthy", "c unhealthy"],
])("a container whose health is %s", (health, expected) => {
  expect(servers([container("c", { health })])).toEqual([expected]);
});

test.each<[string, Partial<Container>[], string[]]>([
  ["told to stop while another serves", [{ stopping: 5 }, {}], ["c0 stopping", "c1"]],
  ["ended while another serves", [{ stopping: 1 }, {}], ["c0 ending", "c1"]],
  ["ended while another stops", [{ stopping: 1 }, { stopping: 5 }], ["c0 ending", "c1"]],
  ["told to stop, the only one", [{ stopping: 5 }], ["c0"]],
  ["ended, the only one", [{ stopping: HAS_ENDED }], ["c0 ending"]],
  [
    "ended after all were told to stop",
    [{ stopping: 5 }, { stopping: HAS_ENDED }],
    ["c0", "c1 ending"],
  ],
  [
    "all told to stop: the last one goes on",
    [{ stopping: 6 }, { stopping: 5 }],
    ["c0", "c1 stopping"],
  ],
  ["the other is paused", [{ stopping: 5 }, { state: "paused" }], ["c0", "c1 paused"]],
  ["the other is not healthy", [{ stopping: 5 }, { health: "unhealthy" }], ["c0", "c1 unhealthy"]],
  ["the other restarts", [{ stopping: 5 }, { state: "restarting" }], ["c0"]],
  ["paused and told to stop", [{ stopping: 5, state: "paused" }], ["c0 paused"]],
  ["not healthy and told to stop", [{ stopping: 5, health: "starting" }], ["c0 starting"]],
])("%s", (_, rest, expected) => {
  expect(servers(rest.map((each, index) => container(`c${index}`, each)))).toEqual(expected);
});

test("the last container that was told to stop goes on at all its ports", () => {
  const both = { exposed: [80, 8000], stopping: 5 };
  expect(servers([container("c", both)])).toEqual(["c", "c"]);
  expect(servers([container("c", both), container("d", { ...both, stopping: 4 })])).toEqual([
    "c",
    "c",
    "d stopping",
    "d stopping",
  ]);
});

describe("backends", () => {
  test("all tags and digests of a repository have one backend", () => {
    const images = ["foo/bar", "foo/bar:1", "foo/bar:2", `foo/bar@sha256:${"a".repeat(64)}`];
    const containers = images.map((image, index) => container(`c${index}`, { image }));
    expect(servers(containers)).toEqual(["c0", "c1", "c2", "c3"]);
    expect(model(containers).warnings).toEqual([]);
  });

  test("a repository of several registries has one backend, with a warning", () => {
    const images = ["foo/bar", "b.example.com/foo/bar:1", "a.example.com/foo/bar", "foo/bar:2"];
    const containers = images.map((image, index) => container(`c${index}`, { image }));
    expect(servers(containers)).toEqual(["c0", "c1", "c2", "c3"]);
    expect(model(containers).warnings).toEqual([
      "images foo/bar and a.example.com/foo/bar and b.example.com/foo/bar share one path, so " +
        "requests are spread over all of them",
    ]);
  });

  test("backend names are readable, and different for each repository", () => {
    const images = ["a/b", "a-b", "a_b", "a.b", "a/b/c", "a-b/c"];
    const containers = images.map((image, index) => container(`c${index}`, { image }));
    const names = model(containers).services.map(({ backend }) => backend);
    expect(names).toEqual(["a-b", "a-b:c", "a.b", "a:b", "a:b:c", "a_b"]);
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_.:-]+$/);
  });

  test("the path of a route is the repository, and its key ends in a slash", () => {
    const images = ["foo", "foo/bar", "a/b/c/d/e/f/g/h/i/j"];
    const { routes } = model(images.map((image, index) => container(`c${index}`, { image })));
    expect(routes.map(({ key, path }) => `${key} ${path}`)).toEqual([
      "/a/b/c/d/e/f/g/h/i/j/ /a/b/c/d/e/f/g/h/i/j",
      "/foo/ /foo",
      "/foo/bar/ /foo/bar",
    ]);
  });
});

describe("servers", () => {
  test("there is one for each port to try, the later ones as backup", () => {
    const [service] = model([container("c", { exposed: [] })]).services;
    const id = container("c").id.slice(0, 12);
    expect(service?.servers.map(({ name, port, backup }) => [name, port, backup])).toEqual([
      [`${id}:8000`, 8000, false],
      [`${id}:80`, 80, true],
    ]);
  });

  test("a new container with the name of an old one is another server", () => {
    const [old, recreated] = ["1", "2"].map((digit) => container("web", { id: digit.repeat(64) }));
    const names = [old, recreated].map(
      (each) => each && model([each]).services[0]?.servers[0]?.name,
    );
    expect(names).toEqual(["111111111111", "222222222222"]);
  });

  test("a container that is renamed keeps its server, under its new name", () => {
    const { id } = container("c");
    const [server] = model([container("renamed", { id })]).services[0]?.servers ?? [];
    expect(server).toMatchObject({ name: id.slice(0, 12), container: "renamed" });
  });

  test("the address is held by its container, and by the one whose network it uses", () => {
    const [owner, guest] = [container("owner", { pid: 7 }), container("guest", { pid: 8 })];
    const networkMode = `container:${owner.id}`;
    const [service] = model([owner, { ...guest, networkMode, image: "foo/guest" }]).services.slice(
      1,
    );
    expect(service?.servers[0]?.holders).toEqual([
      { id: guest.id, pid: 8 },
      { id: owner.id, pid: 7 },
    ]);
  });

  test("a restart with another address keeps backend and server", () => {
    const again = container("c", { attachments: [at("bridge", "172.17.0.99")] });
    const [before, after] = [model([container("c")]), model([again])];
    expect(after.routes).toEqual(before.routes);
    expect(after.services[0]?.servers[0]?.name).toBe(String(before.services[0]?.servers[0]?.name));
    expect(after.services[0]?.servers[0]?.address).toBe("172.17.0.99");
    const meanwhile = model([container("c", { state: "restarting" })]);
    expect(meanwhile.routes).toEqual(before.routes);
  });
});

test.each<[string, Partial<Container>, string]>([
  ["label says no", { labels: { "gateway.enable": "no" } }, "label gateway.enable is false"],
  [
    "bad label",
    { labels: { "gateway.port": "x" } },
    'label gateway.port="x" is not a port number (1 to 65535)',
  ],
  ["bare ID", { image: "f".repeat(64) }, `image ${"f".repeat(64)} is a bare ID, which has no path`],
  ["odd image", { image: "a b" }, 'image "a b" has no valid repository, hence no path'],
  ["no address", { attachments: [] }, "it has no address"],
  ["no network", { networkMode: "none" }, "it has no network (network mode none)"],
  [
    "HAProxy's own port",
    { networkMode: "host", exposed: [80] },
    "port 80 of the host is the gateway's own",
  ],
  [
    "no web server",
    { exposed: [5432] },
    "5432 is PostgreSQL's port; label gateway.port=5432 if it does speak HTTP, label gateway.tcp=5432 to forward its bytes",
  ],
])("a bad container is not routed, and the others are: %s", (_, rest, reason) => {
  const bad = container("bad", rest);
  const { routes, rejections } = model([bad, container("good", { image: "good" })]);
  expect(routes.map(({ path }) => path)).toEqual(["/good"]);
  const { id, image } = bad;
  // Nothing is wrong if it was left out by its label, or is no web server.
  const expected = /^label gateway\.enable| is .*'s port; /.test(reason);
  expect(rejections).toMatchObject([
    { id, container: "bad", image, reason, expected, ending: false },
  ]);
});

test.each<[string, Partial<Container>]>([
  ["no address", { attachments: [] }],
  ["an address that is out of reach", { attachments: [at("bridge", "203.0.113.9")] }],
  ["the network of a container that has ended", { networkMode: "container:gone" }],
])("who was told to end and has %s is ending", (_, rest) => {
  const { services, rejections } = model([container("web", { ...rest, stopping: 1 })]);
  expect(services).toEqual([]);
  expect(rejections).toMatchObject([{ reason: "it is ending", ending: true }]);
});

test("an excluded container is not routed, for the reason that is given", () => {
  const [out, rest] = [container("out"), container("rest")];
  const { services, rejections } = model([out, rest], { excluded: { [out.id]: "it is odd" } });
  expect(services[0]?.servers.map((server) => server.container)).toEqual(["rest"]);
  expect(rejections.map(({ reason }) => reason)).toEqual(["it is odd"]);
});

test("a label that is probably misspelt is a warning", () => {
  const { routes, warnings } = model([container("c", { labels: { "gateway.prot": "1" } })]);
  expect(routes).toHaveLength(1);
  expect(warnings).toEqual([
    "container c: label gateway.prot is unknown, gateway.port was probably meant",
  ]);
});

/** The warning that two containers of foo/bar do not agree. */
function differ(oldest: string, other: string, what: string): string[] {
  return [
    `containers ${oldest} and ${other} share /foo/bar and differ in label gateway.strip: ` +
      `${oldest} is the oldest, so the prefix is ${what}`,
  ];
}

describe("the label gateway.strip", () => {
  const on = { labels: { "gateway.strip": "true" } };
  const off = { labels: { "gateway.strip": "false" } };

  test.each<[string, Partial<Container>[], boolean, string[]]>([
    ["is not there", [{}], true, []],
    ["is true", [on], true, []],
    ["is false", [off], false, []],
    ["is false at all", [off, off], false, []],
    ["is true at one and missing at another", [on, {}], true, []],
    [
      "is false at the oldest only",
      [{ created: 2 }, { ...off, created: 1 }],
      false,
      differ("c1", "c0", "left on"),
    ],
    [
      "is false at a younger one",
      [{ ...off, created: 3 }, { ...on, created: 2 }, { created: 4 }],
      true,
      differ("c1", "c0", "stripped"),
    ],
    ["of two as old, the first by name counts", [off, on], false, differ("c0", "c1", "left on")],
  ])("%s", (_, rests, strip, expected) => {
    const { routes, warnings } = model(rests.map((rest, index) => container(`c${index}`, rest)));
    expect(routes).toMatchObject([{ path: "/foo/bar", key: "/foo/bar/", strip }]);
    expect(warnings).toEqual(expected);
  });

  test("means nothing to a route by host name", () => {
    const { routes, warnings } = model([container("a", off), container("b", on)], {
      domain: "ex.org",
    });
    expect(routes).toMatchObject([{ path: "/", strip: false }]);
    expect(warnings).toEqual([]);
  });
});

test("host names: a service is as old as its oldest container", () => {
  const { routes, services, warnings } = model(
    [
      container("a", { image: "x/web", created: 30 }),
      container("b", { image: "y/web", created: 20 }),
      container("c", { image: "x/web:2", created: 10 }),
    ],
    { domain: "ex.org" },
  );
  expect(routes.map(({ host, path, key, backend }) => [host, path, key, backend])).toEqual([
    ["web.ex.org", "/", "web.ex.org/", "x:web"],
    ["web-x.ex.org", "/", "web-x.ex.org/", "x:web"],
    ["web-y.ex.org", "/", "web-y.ex.org/", "y:web"],
  ]);
  expect(services.map((service) => service.routes.map(({ host }) => host))).toEqual([
    ["web.ex.org", "web-x.ex.org"],
    ["web-y.ex.org"],
  ]);
  expect(warnings).toEqual(["web.ex.org goes to x/web, which is older than y/web"]);
});

test("the order in which containers are listed does not matter", () => {
  const random = randomNumbers(1);
  const one = <T>(...items: T[]): T => items[Math.floor(random() * items.length)] as T;
  for (let round = 0; round < 100; round++) {
    const containers = Array.from({ length: 12 }, (_, index) =>
      container(`c${index}`, {
        // Two containers can have one name while one is being renamed.
        name: one("same", `c${index}`),
        image: one("a", "a/b:1", "a/b:2", "reg:5000/a/b", "b", "c/b", "bad image"),
        created: one(1, 2),
        state: one<ContainerState>("running", "running", "paused", "restarting", "exited"),
        health: one<Health>("none", "healthy", "starting", "unhealthy"),
        stopping: one(0, 0, 5, 6),
        exposed: one([], [8000], [80, 8000], [9000]),
        labels: one<Container["labels"]>({}, { "gateway.strip": "false" }),
        attachments: shuffle([at("bridge", `172.17.0.${index}`), at("z", "172.17.1.1")], random),
      }),
    );
    const options = { domain: one(undefined, "ex.org") };
    const [first, second] = [containers, shuffle(containers, random)];
    expect(JSON.stringify(model(second, options))).toBe(JSON.stringify(model(first, options)));
  }
});
