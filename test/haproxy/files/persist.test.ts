// What is on disk follows what HAProxy runs, and what somebody else wrote there is kept.

import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Persist } from "../../../src/haproxy/files/persist.ts";
import { turn, until, useFakeClock } from "../../lab/fake-clock.ts";
import { failure, list, newPlace, type Place } from "../../lab/folder.ts";
import { labDir } from "../../lab/leftovers.ts";
import { PlayedHaproxy } from "../../lab/played-haproxy.ts";
import { listLogger } from "../../lab/proxy.ts";

let place: Place;
let haproxy: PlayedHaproxy;
let persist: Persist;

useFakeClock();
beforeEach(() => {
  place = newPlace();
  haproxy = new PlayedHaproxy(labDir("check"));
  persist = new Persist(place.files, haproxy.program, listLogger(place.log));
});
afterEach(() => haproxy.close());

/** What the configuration says. */
function written(): string {
  return /^# (?!Written)(.*)$/m.exec(readFileSync(place.output, "utf8"))?.[1] ?? "";
}

/** Puts files on disk as a reload does. */
async function put(text: string): Promise<void> {
  await persist.replace(place.wanted(text));
  await place.files.confirm();
  persist.note(place.wanted(text));
}

/** Has files follow a change, and waits for them. */
async function follow(text: string): Promise<void> {
  persist.follow(place.wanted(text));
  await persist.settle();
}

function edit(text: string): void {
  writeFileSync(place.output, text);
}

const warning = (copy: string): string =>
  `warn: ${place.output} was changed by somebody else: it is written again, ` +
  `and what was there is kept as ${place.output}.${copy}`;
const warnings = (): string[] => place.log.filter((line) => line.includes("somebody else"));
const edited = (): string[] => list(place.dir).filter((name) => name.includes(".edited"));

describe("following", () => {
  test("begins after 50 ms, and takes what came meanwhile together", async () => {
    await put("a");
    const timers = jest.getTimerCount();
    persist.follow(place.wanted("b"));
    await until(() => jest.getTimerCount() > timers);
    jest.advanceTimersByTime(49);
    persist.follow(place.wanted("c"));
    await until(() => true);
    expect(written()).toBe("a");
    jest.advanceTimersByTime(1);
    await until(() => persist.files?.config === place.wanted("c").config);
    expect(written()).toBe("c");
    expect(await place.files.isUnconfirmed()).toBe(false);
  });

  test.each([
    [300, 1_200],
    [1_500, 5_000],
  ])("after a write that took %d ms the next one waits %d ms", async (took, wait) => {
    await put("a");
    persist.follow(place.wanted("b"));
    await until(() => jest.getTimerCount() > 0);
    jest.advanceTimersByTime(50);
    await turn();
    jest.advanceTimersByTime(took);
    await until(() => persist.files?.config === place.wanted("b").config);
    persist.follow(place.wanted("c"));
    await until(() => jest.getTimerCount() > 0);
    jest.advanceTimersByTime(wait - 1);
    await until(() => true);
    expect([written(), jest.getTimerCount()]).toEqual(["b", 1]);
    jest.advanceTimersByTime(1);
    await until(() => persist.files?.config === place.wanted("c").config);
  });

  test("is done at once where somebody waits for it", async () => {
    await put("a");
    await follow("b");
    expect(written()).toBe("b");
  });

  test("leaves alone what is on disk already, but where somebody else changed it", async () => {
    await put("a");
    const map = (): number => statSync(place.map).ino;
    const before = map();
    const { assets } = place.wanted("a");
    persist.follow({ ...place.wanted("b"), assets });
    await persist.settle();
    expect([written(), map()]).toEqual(["b", before]);
    expect(list(place.dir).filter((name) => name.endsWith("last-good")).length).toBe(1);

    writeFileSync(place.map, "other 1\n");
    persist.follow({ ...place.wanted("c"), assets });
    await persist.settle();
    expect(written()).toBe("c");
    expect(readFileSync(place.map, "utf8")).toBe("a 1\n");
  });

  test("that fails is told, ends nothing, and is tried again", async () => {
    await put("a");
    const away = `${place.dir}-away`;
    renameSync(place.dir, away);
    await follow("b");
    expect(place.log.at(-1)).toStartWith("error:   hint: is there a folder");
    expect(place.log.find((line) => line.startsWith("error: Cannot write"))).toEndWith(
      "(HAProxy runs it; its files stay as they were for now)",
    );
    renameSync(away, place.dir);
    expect(written()).toBe("a");
    persist.retry();
    await persist.settle();
    expect(written()).toBe("b");
    // Nothing is left to be tried.
    writeFileSync(haproxy.program, "#!/bin/sh\nexit 1\n");
    const before = place.log.length;
    persist.retry();
    await persist.settle();
    expect(place.log).toHaveLength(before);
  });

  test("of files that HAProxy refuses is told, and the last good ones stay", async () => {
    await put("a");
    await follow("refused");
    expect(place.log.some((line) => line.includes("HAProxy refuses it"))).toBe(true);
    expect([written(), list(place.dir)]).toEqual(["a", ["haproxy.cfg", "haproxy.routes.map"]]);
    await follow("b");
    expect(written()).toBe("b");
  });

  test("without a program to check with fails in the background too", async () => {
    await put("a");
    rmSync(haproxy.program);
    await follow("b");
    expect(place.log.some((line) => line.includes("there is no such program"))).toBe(true);
    expect(written()).toBe("a");
  });
});

describe("a configuration that somebody else changed", () => {
  test("is kept before the next change, and told once", async () => {
    await put("a");
    edit("# by hand\n");
    expect(await persist.isEdited()).toBe(true);
    expect(edited()).toEqual([]);
    await follow("b");
    await follow("c");
    expect(written()).toBe("c");
    expect(readFileSync(`${place.output}.edited`, "utf8")).toBe("# by hand\n");
    expect(warnings()).toEqual([warning("edited")]);
    // It was written since: the same edit is news.
    edit("# by hand\n");
    await follow("d");
    expect(warnings()).toHaveLength(2);
  });

  test("another text is kept beside it, the same one is not kept twice", async () => {
    await put("a");
    for (const text of ["# one\n", "# two\n", "# one\n"]) {
      edit(text);
      await put("b");
    }
    expect(edited()).toEqual(["haproxy.cfg.edited", "haproxy.cfg.edited.1"]);
    expect(readFileSync(`${place.output}.edited.1`, "utf8")).toBe("# two\n");
    expect(warnings()).toEqual(["edited", "edited.1", "edited"].map(warning));
  });

  test("is told once also where what should replace it is refused again and again", async () => {
    await put("a");
    edit("# by hand\n");
    for (let tries = 0; tries < 5; tries++) await failure(persist.replace(place.wanted("refused")));
    expect(readFileSync(place.output, "utf8")).toBe("# by hand\n");
    await put("b");
    expect(edited()).toEqual(["haproxy.cfg.edited"]);
    expect(warnings()).toEqual([warning("edited")]);
  });

  test("or where HAProxy does not take it again and again", async () => {
    await put("a");
    edit("# by hand\n");
    for (let tries = 0; tries < 5; tries++) {
      await persist.replace(place.wanted("b"));
      await place.files.rollBack();
    }
    expect(readFileSync(place.output, "utf8")).toBe("# by hand\n");
    expect(warnings()).toEqual([warning("edited")]);
    // Once it is written, the same edit is news.
    await put("b");
    edit("# by hand\n");
    await put("c");
    expect(warnings()).toHaveLength(2);
  });

  test("a map too, and one that is gone is only written again", async () => {
    await put("a");
    writeFileSync(place.map, "mine 1\n");
    rmSync(place.output);
    await put("b");
    expect(edited()).toEqual(["haproxy.routes.map.edited"]);
    expect(place.log).toEqual([
      `warn: ${place.output} was removed by somebody else: it is written again`,
      `warn: ${place.map} was changed by somebody else: it is written again, ` +
        `and what was there is kept as ${place.map}.edited`,
    ]);
    expect(written()).toBe("b");
  });

  test("is written again as it was, where nothing else is to be", async () => {
    await put("a");
    edit("# by hand\n");
    persist.mend();
    await persist.settle();
    expect(written()).toBe("a");
    expect(edited()).toEqual(["haproxy.cfg.edited"]);
    const before = place.log.length;
    persist.mend();
    await persist.settle();
    expect(place.log).toHaveLength(before);
  });

  test("what was never written by this gateway is none of that", async () => {
    edit("# foreign\n");
    expect(await persist.isEdited()).toBe(false);
    await put("a");
    expect(edited()).toEqual([]);
    expect(existsSync(join(place.dir, "haproxy.cfg.before-docker-api-gateway"))).toBe(true);
  });
});
