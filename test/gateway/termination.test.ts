// Who is drained when a container is told to end, and how long its connections may last.

import { expect, test } from "bun:test";
import { graceOf, serversToDrain } from "../../src/gateway/termination.ts";
import type { Container, Model } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const one = container("one");
const two = container("two");
const other = container("other", { image: "other" });

function model(...containers: Container[]): Model {
  return route(snapshot(containers), HOST, ROUTING);
}

const drained = (of: Model, id: string, ending: readonly string[] = []): string[] =>
  serversToDrain(of, id, (each) => ending.includes(each)).map(
    ({ backend, server }) => `${backend}/${server}`,
  );

const nameOf = ({ id }: Container): string => id.slice(0, 12);

test("one of two containers is drained", () => {
  expect(drained(model(one, two, other), one.id)).toEqual([`foo:bar/${nameOf(one)}`]);
});

test("all ports of a container are drained", () => {
  const ports = { ...one, exposed: [80, 8000] };
  expect(drained(model(ports, two), one.id)).toEqual([
    `foo:bar/${nameOf(one)}:8000`,
    `foo:bar/${nameOf(one)}:80`,
  ]);
});

test.each<[string, Container[], string[]]>([
  ["the last of its service", [one, other], []],
  ["where the other one is paused", [one, { ...two, state: "paused" }], []],
  ["where the other one is told to end too", [one, two], [two.id]],
  ["that gets none as it is", [{ ...one, health: "unhealthy" }, two], []],
  ["that is not served", [two], []],
])("none of a container %s", (_, containers, ending) => {
  expect(drained(model(...containers), one.id, ending)).toEqual([]);
});

test.each([
  [60_000, 60_000],
  [1_000, 10_000],
])("a container with %d ms to stop has %d for its connections", (stopTimeout, grace) => {
  expect(graceOf(model({ ...one, stopTimeout }, two), nameOf(one))).toBe(grace);
});

test("an unknown server has Docker's own stop time", () => {
  expect(graceOf(model(), "x")).toBe(10_000);
});
