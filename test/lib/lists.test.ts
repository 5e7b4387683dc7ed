// Two versions of a list: what lies between their common beginning and their common end.

import { expect, test } from "bun:test";
import { align, differingItems, listDifference } from "../../src/lib/lists.ts";
import { randomNumbers } from "../lab/make.ts";

test.each<[string, string, string, string]>([
  ["", "", "", ""],
  ["abc", "abc", "", ""],
  ["abc", "axc", "b", "x"],
  ["abc", "ac", "b", ""],
  ["ac", "abc", "", "b"],
  ["abc", "", "abc", ""],
  ["", "abc", "", "abc"],
  ["aa", "aaa", "", "a"],
  ["abab", "ab", "ab", ""],
  ["abc", "cba", "abc", "cba"],
])("%j and %j differ in %j and %j", (first, second, gone, come) => {
  const [a, b] = [Array.from(first), Array.from(second)];
  const { start, before, after } = listDifference(a, b);
  expect([a.slice(start, before).join(""), b.slice(start, after).join("")]).toEqual([gone, come]);
});

test("what lies around is the same in both, whatever the lists", () => {
  const random = randomNumbers(1);
  const list = (): number[] =>
    Array.from({ length: Math.floor(random() * 6) }, () => Math.floor(random() * 2));
  for (let round = 0; round < 500; round++) {
    const [a, b] = [list(), list()];
    const { start, before, after } = listDifference(a, b);
    expect([a.slice(0, start), a.slice(before)]).toEqual([b.slice(0, start), b.slice(after)]);
  }
});

test("what is the same is for the caller to say", () => {
  const difference = listDifference([1, 2, 3], ["1", "9", "3"], (a, b) => String(a) === b);
  expect(difference).toEqual({ start: 1, before: 2, after: 2 });
});

test("of changes that lie far apart, only those items differ", () => {
  const all = Array.from({ length: 100 }, (_, id) => ({ id }));
  const [first, last, come] = [all[0], all[99], { id: 100 }];
  const { former, current } = differingItems(all, [come, ...all.slice(1, 99)]);
  expect(former).toEqual([first, last].filter((each) => each !== undefined));
  expect(current).toEqual([come]);
  expect(differingItems(all, [...all])).toEqual({ former: [], current: [] });
  expect(differingItems(all, [])).toEqual({ former: all, current: [] });
  // An order alone is no difference.
  expect(differingItems(all, all.toReversed())).toEqual({ former: [], current: [] });
});

test("each item is found where it was, whatever the lists", () => {
  const random = randomNumbers(2);
  const pick = (most: number): number => Math.floor(random() * most);
  for (let round = 0; round < 300; round++) {
    const first = Array.from({ length: pick(120) }, (_, index) => `${round} ${index}`);
    const second = first.filter(() => random() > 0.2);
    for (let count = pick(30); count > 0; count--) {
      second.splice(pick(second.length + 1), 0, `new ${round} ${count}`);
    }
    // Some are moved.
    for (let count = pick(4); count > 0; count--) {
      second.splice(pick(second.length + 1), 0, ...second.splice(pick(second.length), 1));
    }
    const { places, gone, isSame } = align(first, second);
    expect([...places]).toEqual(second.map((item) => first.indexOf(item)));
    expect(gone.map((index) => first[index])).toEqual(
      first.filter((each) => !second.includes(each)),
    );
    expect(isSame).toBe(first.join() === second.join());
  }
});
