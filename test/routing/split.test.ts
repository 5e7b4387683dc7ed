// The label split: which weights give the containers that have it their share.

import { describe, expect, test } from "bun:test";
import { explainContainer } from "../../src/api/explain/container.ts";
import type { Container } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

/** A container of the service, with labels that are given without their prefix. */
function made(name: string, labels: Record<string, string> = {}, more: Partial<Container> = {}) {
  const own = Object.entries(labels).map(([key, text]) => [`gateway.${key}`, text]);
  return container(name, { image: "shop:1", labels: Object.fromEntries(own), ...more });
}

function model(...containers: readonly Container[]) {
  return route(snapshot(containers), HOST, ROUTING);
}

/** The weights by the names of the containers. */
function weightsOf(...containers: readonly Container[]) {
  const servers = model(...containers).services.flatMap((each) => each.servers);
  return Object.fromEntries(servers.map((each) => [each.container, each.weight]));
}

function many(start: string, count: number, labels: Record<string, string> = {}): Container[] {
  return Array.from({ length: count }, (_, index) => made(`${start}${index}`, labels));
}

/** The share of the containers whose names begin with a text, in per cent. */
function shareOf(start: string, ...containers: readonly Container[]): number {
  const weights = Object.entries(weightsOf(...containers));
  const sum = (all: typeof weights): number =>
    all.reduce((total, [, weight]) => total + Number(weight), 0);
  expect(Math.max(...weights.map(([, weight]) => Number(weight)))).toBeLessThanOrEqual(256);
  return (100 * sum(weights.filter(([name]) => name.startsWith(start)))) / sum(weights);
}

test("small numbers where they are enough", () => {
  const next = made("next", { split: "20%" });
  expect(weightsOf(made("a"), next)).toEqual({ a: "4", next: "1" });
  expect(weightsOf(made("a"), made("b"), made("c"), next)).toEqual({
    a: "4",
    b: "4",
    c: "4",
    next: "3",
  });
  expect(weightsOf(made("a"), made("next", { split: "50 %" }))).toEqual({ a: "1", next: "1" });
});

test.each([
  [1, 1],
  [1, 20],
  [50, 1],
  [7, 3],
])("%i containers and %i with the label: the share is right", (others, own) => {
  for (const percent of [1, 5, 33, 50, 80, 99]) {
    const share = shareOf(
      "next",
      ...many("a", others),
      ...many("next", own, { split: `${percent}%` }),
    );
    // One in 256 is the least that HAProxy can give a server.
    const least = (100 * Math.max(own, others)) / (256 + Math.max(own, others));
    expect(Math.abs(share - percent)).toBeLessThan(Math.max(0.2, least));
  }
});

test("weights count within each side", () => {
  const labels = { split: "50%", weight: "1" };
  expect(
    weightsOf(
      made("a", { weight: "3" }),
      made("b"),
      made("next", labels),
      made("next2", { split: "50%", weight: "3" }),
    ),
  ).toEqual({ a: "3", b: "1", next: "1", next2: "3" });
  expect(weightsOf(made("a", { weight: "0" }), made("b"), made("next", { split: "50%" }))).toEqual({
    a: "0",
    b: "1",
    next: "1",
  });
});

test("alone it gets all, and so do the others without it", () => {
  expect(weightsOf(made("next", { split: "20%" }))).toEqual({ next: "" });
  expect(weightsOf(made("a"), made("next", { split: "20%" }, { state: "paused" }))).toEqual({
    a: "",
    next: "",
  });
  expect(weightsOf(made("a", { backup: "true" }), made("next", { split: "20%" }))).toEqual({
    a: "",
    next: "",
  });
});

test("of two shares the oldest counts, with a warning", () => {
  const containers = [
    made("old", {}, { created: 1 }),
    made("first", { split: "20%" }, { created: 2 }),
    made("second", { split: "60%" }, { created: 3 }),
  ];
  expect(weightsOf(...containers)).toEqual({ old: "8", first: "1", second: "1" });
  expect(model(...containers).warnings).toEqual([
    "containers first and second share service shop and differ in label gateway.split: first is the oldest, so they get 20% together",
  ]);
});

describe("what is no share", () => {
  test.each(["0%", "100%", "20", "1.5%", "-1%", "a%", "020%"])("%s costs the container", (text) => {
    const { rejections, services } = model(made("a"), made("next", { split: text }));
    expect(services.flatMap((each) => each.servers.map((server) => server.container))).toEqual([
      "a",
    ]);
    expect(rejections.map(({ reason }) => reason)).toEqual([
      `label gateway.split=${JSON.stringify(text)} is not a share of the requests (1% to 99%)`,
    ]);
  });

  test("of another service's route there is none, and the way out is told", () => {
    const containers = [
      made("shop", { path: "/shop" }, { created: 1 }),
      container("next", {
        image: "next",
        created: 2,
        labels: { "gateway.path": "/shop", "gateway.split": "20%" },
      }),
    ];
    expect(model(...containers).rejections.map(({ reason }) => reason)).toEqual([
      "/shop belongs to service shop, whose container shop is older than next; to share its requests, both need one service: the same image name or label service",
    ]);
  });
});

/** What is told of the share of the last container. */
function shareTold(...containers: readonly Container[]): string[] {
  const all = snapshot(containers);
  const [last] = containers.slice(-1);
  if (last === undefined) return [];
  return explainContainer(last, all, HOST, ROUTING, model(...containers))
    .filter(({ about, text }) => about === "setting" && text.includes(" get together"))
    .map(({ text }) => text);
}

describe("explain", () => {
  const first = made("next-1", { split: "10%" }, { created: 1 });

  test("a second container of a canary gets its part of what the oldest one says", () => {
    const second = made("next-2", { split: "40%" }, { created: 2 });
    expect(shareTold(made("old"), first, second)).toEqual([
      "split=10% is what 2 containers get together, as next-1 says, the oldest of them",
    ]);
  });

  test("of one alone, and of those without the label, nothing more is told", () => {
    expect(shareTold(made("old"), first)).toEqual([]);
    const second = made("next-2", { split: "40%" }, { created: 2 });
    expect(shareTold(first, second, made("old"))).toEqual([]);
  });
});
