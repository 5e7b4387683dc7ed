// What several Engines told of served containers: it is written for those alone, and read whole or not at all.

import { expect, test } from "bun:test";
import { createMemoryFile, parseMemory } from "../../src/gateway/memory.ts";
import { createRouter } from "../../src/routing/routing.ts";
import type { Container } from "../../src/model.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const PATH = "/x/haproxy.containers";
const WEB = container("web@red", {
  engine: "red",
  labels: { "gateway.path": "/a\nb" },
  elsewhere: { address: "192.0.2.7", published: [{ at: "0.0.0.0", target: 8000, port: 81 }] },
});
const OUT = container("out@red", { engine: "red", labels: { "gateway.enable": "false" } });
const COMING = container("coming@blue", { engine: "blue", state: "starting" });
const TASK = container("shop.1@blue", {
  engine: "blue",
  task: {
    serviceId: "s1",
    service: "shop",
    swarm: "w1",
    isLocal: false,
    published: [{ mode: "ingress", address: "192.0.2.1", target: 8000, port: 8080 }],
  },
});

function written(...all: readonly Container[]): string {
  const known = snapshot(all);
  const model = createRouter()(known, HOST, ROUTING);
  const asset = createMemoryFile(PATH)(model, known)[PATH];
  expect(asset?.kind).toBe("containers");
  return asset?.text ?? "";
}

test("what is served is read again as it was", () => {
  const plain = { ...WEB, labels: {} };
  expect(parseMemory(written(plain, OUT, COMING, TASK))).toEqual({
    // The server of the routing mesh is the service's.
    containers: [plain, TASK].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    networks: { drivers: snapshot([]).drivers, gateways: ["172.17.0.1"] },
  });
});

test("the order in which containers are told makes no difference, and no label makes a line", () => {
  const other = { ...WEB, id: "1".repeat(64), labels: { note: "a\nend\n" } };
  const text = written({ ...WEB, labels: {} }, other);
  expect(written(other, { ...WEB, labels: {} })).toBe(text);
  expect(text.split("\n").length).toBe(6);
  expect(parseMemory(text)?.containers.map(({ labels }) => labels)).toContainEqual(other.labels);
});

test.each<[string, (text: string) => string]>([
  ["nothing", () => ""],
  ["a part", (text) => text.slice(0, -5)],
  ["another form", (text) => text.replace("(1)", "(2)")],
  ["a line that is none", (text) => text.replace('{"id"', '"id"')],
  ["a field that is missing", (text) => text.replace('"image"', '"picture"')],
])("%s is not read", (_, change) => {
  const text = written({ ...WEB, labels: {} });
  expect(parseMemory(text)).toBeDefined();
  expect(parseMemory(change(text))).toBeUndefined();
});
