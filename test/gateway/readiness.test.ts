// Which containers are said not to answer, and how HAProxy is asked.

import { beforeEach, expect, jest, test } from "bun:test";
import { Readiness } from "../../src/gateway/readiness.ts";
import { route } from "../../src/routing/routing.ts";
import type { Model } from "../../src/model.ts";
import { useFakeClock } from "../lab/fake-clock.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const HEAD = "# pxname,svname,addr,status,lastchg";
const DUE = 10_000;

useFakeClock();
let asked: string[];
/** The states of servers in HAProxy, by their addresses; all others are up. */
let states: Record<string, string>;
let model: Model;
let readiness: Readiness;

beforeEach(() => {
  [asked, states] = [[], {}];
  const ask = (line: string): Promise<string> => {
    asked.push(line);
    const [, , backend] = line.split(" ");
    const rows = model.services.flatMap((service) =>
      service.servers.map(({ name, address, port }) => {
        const place = `${address}:${port}`;
        return [service.backend, name, place, states[place] ?? "UP", "11"];
      }),
    );
    const own = rows.filter(([name]) => backend === "-1" || name === backend);
    return Promise.resolve([HEAD, ...own.map((row) => row.join(","))].join("\n"));
  };
  readiness = new Readiness(String, ask, "gateway.");
});

/** Routes so many containers, each of a service of its own. */
function serve(count: number): void {
  const containers = Array.from({ length: count }, (_, index) =>
    container(`app-${index}`, {
      image: `app-${index}`,
      attachments: [at("bridge", `172.17.1.${index + 1}`)],
    }),
  );
  model = route(snapshot(containers), HOST, ROUTING);
  expect(model.services.length).toBe(count);
  readiness.note(containers.map(({ id }) => id));
}

test.each([
  [2, ["show stat app-0 4 -1", "show stat app-1 4 -1"]],
  [51, ["show stat -1 4 -1"]],
])("%d containers: HAProxy is asked %j", async (count, commands) => {
  serve(count);
  states["172.17.1.2:8000"] = "DOWN";
  jest.advanceTimersByTime(DUE);
  const changes = await readiness.look(model);
  expect(asked).toEqual(commands);
  expect(changes).toMatchObject([
    { event: "no answer", container: "app-1", route: "/app-1", since: Date.now() - 11_000 },
  ]);
  expect(readiness.dueAt).toBeUndefined();
});

test("the container that was routed first is due first, and one that is routed again later", () => {
  serve(2);
  const [first, second] = model.services.flatMap(({ servers }) => servers.map(({ id }) => id));
  const begun = Date.now();
  jest.advanceTimersByTime(1_000);
  readiness.note([second ?? ""]);
  expect(readiness.dueAt).toBe(begun + DUE);
  jest.advanceTimersByTime(1_000);
  readiness.note([first ?? ""]);
  expect(readiness.dueAt).toBe(begun + 1_000 + DUE);
});

test("those that are due soon after each other are looked at together", async () => {
  serve(2);
  const [, second] = model.services.flatMap(({ servers }) => servers.map(({ id }) => id));
  jest.advanceTimersByTime(100);
  readiness.note([second ?? ""]);
  jest.advanceTimersByTime(DUE - 100);
  await readiness.look(model);
  expect([asked.length, readiness.dueAt]).toEqual([1, Date.now() + 1_000]);
  jest.advanceTimersByTime(1_000);
  await readiness.look(model);
  expect([asked.length, readiness.dueAt]).toEqual([2, undefined]);
});
