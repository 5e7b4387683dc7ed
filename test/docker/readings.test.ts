// Containers that are read side by side: what ends, what fails, and what takes longer.

import { expect, test } from "bun:test";
import { eventually } from "../lab/http.ts";
import { Readings } from "../../src/docker/readings.ts";

const { signal } = new AbortController();

/** Readings that the test answers, and a count of those that ended late. */
function answeredByTest() {
  const asked = new Map<string, PromiseWithResolvers<string>>();
  const counts = { late: 0 };
  const readings = new Readings(
    (id) => {
      const answer = Promise.withResolvers<string>();
      asked.set(id, answer);
      return answer.promise;
    },
    () => (counts.late += 1),
  );
  return { readings, asked, counts };
}

test("a reading that takes too long goes on and is returned later", async () => {
  const { readings, asked, counts } = answeredByTest();
  const first = readings.take(["a", "b"], 1, signal);
  asked.get("a")?.resolve("A");
  const { results, failures } = await first;
  expect([[...results], [...failures]]).toEqual([[["a", "A"]], []]);
  expect(counts.late).toBe(0);

  asked.get("b")?.resolve("B");
  await Bun.sleep(0);
  expect(counts.late).toBe(1);
  expect([...(readings.ended()?.results ?? [])]).toEqual([["b", "B"]]);
  expect(readings.ended()).toBeUndefined();
  expect([...(await readings.take([], 1, signal)).results]).toEqual([]);
});

test("it waits on as long as it is asked to, and tells how far it is", async () => {
  const { readings, asked } = answeredByTest();
  const seen: (readonly string[])[] = [];
  const ended = await readings.takeWhile(
    ["a", "b", "c"],
    1,
    ({ unread, silence, longest }) => {
      seen.push(unread);
      expect([silence, longest].every((ms) => ms >= 0)).toBe(true);
      const [next = ""] = unread;
      if (unread.length > 1) asked.get(next)?.resolve(next.toUpperCase());
      return unread.length > 1;
    },
    signal,
  );
  expect(seen).toEqual([["a", "b", "c"], ["b", "c"], ["c"]]);
  expect([...ended.results.values()]).toEqual(["A", "B"]);
});

test("a container that is being read is not read twice, but waited for", async () => {
  const { readings, asked, counts } = answeredByTest();
  await readings.take(["a"], 1, signal);
  expect([readings.has("a"), readings.has("b")]).toEqual([true, false]);
  const first = asked.get("a");
  const again = readings.take(["a"], 60_000, signal);
  expect(asked.get("a")).toBe(first);
  first?.resolve("A");
  expect([...(await again).results]).toEqual([["a", "A"]]);
  expect(readings.has("a")).toBe(false);
  expect(counts.late).toBe(0);
});

test("take returns as soon as everything has been read", async () => {
  const { readings, asked, counts } = answeredByTest();
  const reading = readings.take(["a"], 60_000, signal);
  asked.get("a")?.resolve("A");
  expect((await reading).results.get("a")).toBe("A");
  expect(counts.late).toBe(0);
});

test("a reading that fails does not affect the others, late or not", async () => {
  const { readings, asked, counts } = answeredByTest();
  const reading = readings.take(["a", "b", "c"], 1, signal);
  asked.get("a")?.reject(new Error("no"));
  asked.get("b")?.resolve("B");
  const { results, failures } = await reading;
  expect([[...results.keys()], [...failures.keys()]]).toEqual([["b"], ["a"]]);
  asked.get("c")?.reject(new Error("no"));
  await Bun.sleep(0);
  expect(counts.late).toBe(1);
  expect([...(await readings.take([], 1, signal)).failures.keys()]).toEqual(["c"]);
});

test("eight containers are read at the same time, the others after them", async () => {
  const { readings, asked } = answeredByTest();
  const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
  const reading = readings.take(ids, 60_000, signal);
  await Bun.sleep(0);
  expect(asked.size).toBe(8);
  for (const id of ids) {
    asked.get(id)?.resolve(id);
    await Bun.sleep(0);
  }
  expect([...(await reading).results.keys()]).toEqual(ids);
});

test("those without an answer do not hold up the ones behind them", async () => {
  const { readings, asked } = answeredByTest();
  const ids = Array.from({ length: 20 }, (_, index) => `c${index}`);
  const reading = readings.take([...ids, "fine"], 60_000, signal);
  await eventually(() => expect(asked.has("fine")).toBe(true));
  for (const id of ["fine", ...ids]) asked.get(id)?.resolve(id);
  expect([...(await reading).results.keys()]).toEqual(["fine", ...ids]);
});
