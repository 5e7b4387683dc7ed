// Makes values of the model for the unit tests. What a test does not name has an ordinary value.

import { expect } from "bun:test";
import { Certificates } from "../../src/gateway/certificates/certificates.ts";
import { ErrorDir } from "../../src/gateway/error-dir.ts";
import { LabelFiles } from "../../src/gateway/label-files.ts";
import type { DesiredSettings } from "../../src/gateway/desired.ts";
import { GatewayError, type ErrorCode } from "../../src/lib/errors.ts";
import type {
  Attachment,
  Certificate,
  Container,
  Files,
  Reach,
  Snapshot,
} from "../../src/model.ts";
import { holdOptions, keepAliveOptions, proxyOptions } from "../../src/template/context.ts";
import type { RoutingOptions } from "../../src/routing/routing.ts";

/** A host with Docker's default bridge. */
export const HOST: Reach = {
  interfaces: ["127.0.0.1/8", "::1/128", "192.0.2.10/24", "172.17.0.1/16"],
  inContainer: false,
  hostAddress: "127.0.0.1",
  local: true,
  overlays: [],
};

export const ROUTING: RoutingOptions = {
  ports: [8000, 80],
  network: undefined,
  ownPorts: [80],
  domain: undefined,
  labelPrefix: "gateway.",
  onlyEnabled: false,
  compat: "all",
  defaultRule: undefined,
  filters: [],
  claims: [],
};

/** Nothing is served by HTTPS. */
export const NO_CERTIFICATES = new Certificates(false, [], {
  store: "",
  fallback: "",
  ticketKeys: "",
});

/** The settings that decide the files, together with the containers. */
export const SETTINGS: DesiredSettings = {
  routing: ROUTING,
  template: {
    listen: ["*:80"],
    domain: "",
    ports: [8000, 80],
    mendLinks: true,
    index: false,
    acme: false,
    accessLog: false,
    tls: false,
    ...proxyOptions([], false),
    ...holdOptions(10_000, false),
    ...keepAliveOptions(false),
  },
  haproxy: {
    version: "2.6.12",
    lua: true,
    quic: false,
    user: "",
    group: "",
    chroot: "",
    statsSocket: "/x/admin.sock",
    stateFile: "/x/state",
    log: [],
  },
  pathOf: (file) => `/x/${file}`,
  labelFiles: new LabelFiles([]),
  certificates: NO_CERTIFICATES,
  errorDir: new ErrorDir(undefined),
  challenges: { entries: [] },
  tcpPorts: { taken: {} },
};

/** The addresses of a container in a network. */
export function at(network: string, ipv4: string, ipv6 = ""): Attachment {
  return { network, ipv4, ipv6 };
}

/** A running container on the default bridge that exposes port 8000. Its name decides its ID. */
export function container(name: string, rest: Partial<Container> = {}): Container {
  return {
    id: new Bun.CryptoHasher("sha256").update(name).digest("hex"),
    name,
    image: "foo/bar",
    imageId: `sha256:${"e".repeat(64)}`,
    created: 0,
    labels: {},
    environment: {},
    state: "running",
    health: "none",
    stopping: 0,
    stopTimeout: 10_000,
    networkMode: "bridge",
    attachments: [at("bridge", "172.17.0.2")],
    exposed: [8000],
    pid: 0,
    startedAt: "",
    ...rest,
  };
}

/** A certificate that is valid. @param source the path of its file */
export function certificate(
  source: string,
  names: readonly string[],
  rest: Partial<Certificate> = {},
): Certificate {
  return {
    path: `/x/certificates${source}`,
    names,
    kind: "ec",
    notBefore: Date.parse("2026-10-03"),
    notAfter: Date.parse("2027-01-01"),
    expired: false,
    issuer: "Let's Encrypt R11",
    source,
    isDefault: false,
    ...rest,
  };
}

export function snapshot(
  containers: readonly Container[],
  drivers: Snapshot["drivers"] = { bridge: "bridge", host: "host", none: "null" },
): Snapshot {
  return { containers, drivers, gateways: ["172.17.0.1"] };
}

export function files(config: string, maps: Readonly<Record<string, string>> = {}): Files {
  const assets = Object.entries(maps).map(([path, text]) => [path, { kind: "map", text }] as const);
  return { config, assets: Object.fromEntries(assets) };
}

/** Random numbers from 0 to 1. The same seed gives the same numbers. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    // This is Mulberry32.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The items in a random order. */
export function shuffle<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

/** The error of an action. The test fails if it has another code, or if there is none. */
export function failureOf(code: ErrorCode, action: () => unknown): GatewayError {
  try {
    action();
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    expect(error.code).toBe(code);
    return error;
  }
  throw new Error(`it did not fail with a GatewayError "${code}"`);
}
