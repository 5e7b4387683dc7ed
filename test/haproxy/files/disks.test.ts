// Proves that disks that are full, read-only or mounted over a single file cost no file.

import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import {
  failure,
  fill,
  list,
  mountBind,
  mountMemory,
  newFolder,
  newPlace,
  ownership,
  PAGE,
  remount,
  replace,
  writeAs,
  type Place,
} from "../../lab/folder.ts";

const MEMORY = 64 * PAGE;

describe("a single file that is mounted, as into a container", () => {
  test("is written in place, with one warning", async () => {
    const { place, outside } = mounted();
    await replace(place, place.wanted("a"));
    await place.files.confirm();
    expect(readFileSync(outside, "utf8")).toBe(place.wanted("a").config);
    expect(ownership(outside)).toEqual(["640", 1234, 1235]);
    expect(place.log.filter((line) => line.startsWith("warn: "))).toEqual([
      `warn: ${place.output} is a mount of its own and is written in place: mount its folder ` +
        "instead, so that it can be replaced whole",
    ]);
    expect(list(place.dir)).not.toContain(".haproxy.cfg.new");

    // Longer and shorter, and not a word more about it.
    for (const text of ["b".repeat(3 * PAGE), "c"]) {
      await replace(place, place.wanted(text));
      await place.files.confirm();
      expect(readFileSync(outside, "utf8")).toBe(place.wanted(text).config);
    }
    expect(place.log.filter((line) => line.startsWith("warn: "))).toHaveLength(1);
  });

  test("has a way back, in place too", async () => {
    const { place, outside } = mounted();
    const inode = statSync(outside).ino;
    await replace(place, place.wanted("a".repeat(2 * PAGE)));
    await place.files.rollBack();
    expect(readFileSync(outside, "utf8")).toBe("# foreign\n");
    expect(statSync(outside).ino).toBe(inode);
    expect(list(place.dir)).not.toContain("haproxy.routes.map");
  });

  test("that is full keeps what it held", async () => {
    const dir = newFolder();
    const place = newPlace(dir);
    const outside = join(mountMemory(dir, MEMORY), "haproxy.cfg");
    const old = place.wanted("old").config;
    writeFileSync(outside, old);
    fill(join(outside, ".."), 2);
    writeFileSync(place.output, "");
    mountBind(outside, place.output);
    // It wants three pages more where there are two: the disk takes some of it before it refuses.
    const error = await failure(replace(place, place.wanted("n".repeat(4 * PAGE))));
    expect(error.message).toContain("ENOSPC");
    expect(readFileSync(outside, "utf8")).toBe(old);
    expect(await place.files.isUnconfirmed()).toBe(false);
    expect(list(place.dir)).not.toContain("haproxy.routes.map");
  });

  test("that is read-only: an error, and the map is as it was", async () => {
    const { place, outside } = mounted();
    writeFileSync(place.map, "old 1\n");
    mountBind(outside, place.output, "ro");
    const error = await failure(replace(place, place.wanted("a")));
    expect(error.message).toContain("EROFS");
    expect(readFileSync(outside, "utf8")).toBe("# foreign\n");
    expect(readFileSync(place.map, "utf8")).toBe("old 1\n");
  });
});

describe("a full disk", () => {
  // From no room at all to just too little: each step of replacing fails once.
  test.each(Array.from({ length: 9 }, (_, pages) => pages))(
    "with %i pages left: nothing is lost, and no litter grows",
    async (pages) => {
      const dir = mountMemory(newFolder(), MEMORY);
      const place = newPlace(dir);
      const foreign = `# foreign\n${"f".repeat(PAGE)}`;
      writeAs(place.output, foreign, 0o640, 1234);
      writeFileSync(place.map, "old 1\n");
      fill(dir, pages);
      const before = list(dir);
      const wanted = place.wanted("n".repeat(PAGE));
      const error = await failure(replace(place, wanted));
      expect(error.code).toBe("config");
      expect(error.message).toContain("ENOSPC");
      expect(error.hint).toContain("the disk is full");
      expect(readFileSync(place.output, "utf8")).toBe(foreign);
      expect(readFileSync(place.map, "utf8")).toBe("old 1\n");
      expect(await place.files.isUnconfirmed()).toBe(false);
      // It is tried again and again: what is left over does not become more.
      const kept = `${place.output}.before-docker-api-gateway`;
      const after = list(dir);
      for (const path of after.filter((name) => !before.includes(name))) {
        expect([
          "haproxy.cfg.before-docker-api-gateway",
          ".haproxy.routes.map.last-good",
          ".haproxy.cfg.last-good",
        ]).toContain(path);
      }
      await failure(replace(place, wanted));
      expect(list(dir)).toEqual(after);
      if (after.includes(kept)) expect(readFileSync(kept, "utf8")).toBe(foreign);

      rmSync(join(dir, "filler"));
      await replace(place, wanted);
      await place.files.confirm();
      expect(await place.files.read(place.wanted("").assets)).toEqual(wanted);
      expect(readFileSync(kept, "utf8")).toBe(foreign);
      expect(ownership(place.output)).toEqual(["640", 1234, 1235]);
    },
  );

  test("there is a way back on it", async () => {
    const dir = mountMemory(newFolder(), MEMORY);
    const place = newPlace(dir);
    await replace(place, place.wanted("a"));
    await place.files.confirm();
    await replace(place, place.wanted("b".repeat(PAGE)));
    fill(dir, 0);
    await place.files.rollBack();
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
  });
});

describe("a read-only disk", () => {
  test("an error that says what to do, and it is tried again with success", async () => {
    const dir = mountMemory(newFolder(), MEMORY);
    const place = newPlace(dir);
    await replace(place, place.wanted("a"));
    await place.files.confirm();
    // Left over from before, so that there is something that cannot be removed.
    await place.files.stage(place.wanted("b"));
    remount(dir, "ro");
    const error = await failure(replace(place, place.wanted("b")));
    expect(error.code).toBe("config");
    expect(error.message).toStartWith(`Cannot write "${place.output}": EROFS`);
    expect(error.hint).toContain("read-only");
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
    remount(dir, "rw");
    await replace(place, place.wanted("b"));
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("b"));
  });
});

/** A configuration that is a mount of its own, and what it is outside. */
function mounted(): { place: Place; outside: string } {
  const place = newPlace();
  const outside = join(newFolder(), "haproxy.cfg");
  writeAs(outside, "# foreign\n", 0o640, 1234);
  writeFileSync(place.output, "");
  mountBind(outside, place.output);
  return { place, outside };
}
