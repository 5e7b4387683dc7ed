// Proves that the configuration is replaced whole, as it was owned, and that there is a way back.

import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import {
  failure,
  list,
  mountMemory,
  newFolder,
  newPlace,
  ownership,
  replace,
  writeAs,
  type Place,
} from "../../lab/folder.ts";

const MEMORY = 1 << 20;
/** Not what any encoding but Latin-1 would write. */
const LATIN1 = Buffer.from("# Schl\xfcssel \xff\xfe\n", "latin1");

describe("replacing", () => {
  test("where there was nothing: the files are there, and nothing beside them", async () => {
    const place = newPlace();
    const wanted = place.wanted("a");
    await replace(place, wanted);
    await place.files.confirm();
    expect(await place.files.read(place.wanted("").assets)).toEqual(wanted);
    expect(list(place.dir)).toEqual(["haproxy.cfg", "haproxy.routes.map"]);
    expect(ownership(place.output)[0]).toBe("644");
  });

  test("the old files' mode and owner stay, and nobody else could read in between", async () => {
    const place = newPlace();
    writeAs(place.output, "# secret\n", 0o640, 1234);
    writeAs(place.map, "a 1\n", 0o600, 2345);
    const { checkPath } = await place.files.stage(place.wanted("b"));
    const staged = (path: string): string => join(place.dir, `.${path}.new`);
    expect(ownership(staged("haproxy.cfg"))).toEqual(["640", 1234, 1235]);
    expect(ownership(checkPath)).toEqual(["640", 1234, 1235]);
    expect(ownership(staged("haproxy.routes.map"))).toEqual(["600", 2345, 2346]);

    await place.files.replace(place.wanted("b"));
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("b"));
    expect(ownership(place.output)).toEqual(["640", 1234, 1235]);
    expect(ownership(place.map)).toEqual(["600", 2345, 2346]);
    expect(ownership(join(place.dir, ".haproxy.cfg.last-good"))).toEqual(["640", 1234, 1235]);
  });

  test("who has the old file open goes on reading it whole", async () => {
    const place = newPlace();
    const old = "old ".repeat(1000);
    writeFileSync(place.output, old);
    const open = openSync(place.output, "r");
    await replace(place, place.wanted("b"));
    const bytes = Buffer.alloc(old.length + 1);
    expect(readSync(open, bytes)).toBe(old.length);
    expect(bytes.toString("utf8", 0, old.length)).toBe(old);
    closeSync(open);
  });

  test("what is checked reads the candidate's map, what is put in place the map's own path", async () => {
    const place = newPlace();
    const wanted = place.wanted("b");
    const { checkPath } = await place.files.stage(wanted);
    const checked = readFileSync(checkPath, "utf8");
    const used = /^use (.*)$/m.exec(checked)?.[1] ?? "";
    expect(used).not.toBe(place.map);
    expect(readFileSync(used, "utf8")).toBe("b 1\n");
    // Nothing has changed yet, and nothing stays.
    expect(await place.files.read(place.wanted("").assets)).toBeUndefined();
    await place.files.discard(wanted);
    expect(list(place.dir)).toEqual([]);
  });

  test("a folder that is not there: the error names it and what to do", async () => {
    const place = newPlace(join(newFolder(), "nowhere"));
    const error = await failure(place.files.stage(place.wanted("a")));
    expect(error.code).toBe("config");
    expect(error.message).toStartWith(`Cannot write "${place.output}": ENOENT`);
    expect(error.hint).toContain(`is there a folder ${place.dir}?`);
  });
});

describe("the way back", () => {
  test("restores the old files byte by byte, and removes new ones", async () => {
    const place = newPlace();
    writeAs(place.output, LATIN1, 0o640, 1234);
    await replace(place, place.wanted("b"));
    expect(list(place.dir)).toContain("haproxy.routes.map");
    await place.files.rollBack();
    expect(readFileSync(place.output).equals(LATIN1)).toBe(true);
    expect(ownership(place.output)).toEqual(["640", 1234, 1235]);
    expect(list(place.dir)).toEqual(["haproxy.cfg", "haproxy.cfg.before-docker-api-gateway"]);
  });

  test("there is none once the change is confirmed", async () => {
    const place = newPlace();
    await replace(place, place.wanted("a"));
    expect(await place.files.isUnconfirmed()).toBe(true);
    await place.files.confirm();
    expect(await place.files.isUnconfirmed()).toBe(false);
    await place.files.rollBack();
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
  });

  test("another process finds it", async () => {
    const place = newPlace();
    await confirmed(place, "a");
    await replace(place, place.wanted("b"));
    const { files } = newPlace(place.dir);
    expect(await files.isUnconfirmed()).toBe(true);
    await files.rollBack();
    expect(await files.isUnconfirmed()).toBe(false);
    expect(await files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
  });

  test.each(["", "{", '{"replaced":[{"pa'])(
    "a journal that was cut off in the writing (%j) means that nothing was replaced",
    async (text) => {
      const place = newPlace();
      await confirmed(place, "a");
      writeFileSync(join(place.dir, ".haproxy.cfg.unconfirmed"), text);
      expect(await place.files.isUnconfirmed()).toBe(true);
      await place.files.rollBack();
      expect(await place.files.isUnconfirmed()).toBe(false);
      expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
    },
  );

  test("one that was cut off in the middle is gone to its end", async () => {
    const place = newPlace();
    await confirmed(place, "a");
    await replace(place, place.wanted("b"));
    // As far as it came: the configuration was moved back already, the map was not.
    writeFileSync(place.output, place.wanted("a").config);
    rmSync(join(place.dir, ".haproxy.cfg.last-good"));
    await place.files.rollBack();
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
    expect(await place.files.isUnconfirmed()).toBe(false);
  });

  test("leads to the last confirmed files, not to those of another try", async () => {
    const place = newPlace();
    await confirmed(place, "a");
    await replace(place, place.wanted("b"));
    await replace(place, place.wanted("c"));
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("c"));
    await place.files.rollBack();
    expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
  });
});

describe("a configuration that is not the gateway's", () => {
  test("is kept beside it, once, and the log says so", async () => {
    const place = newPlace();
    writeAs(place.output, LATIN1, 0o600, 1234);
    const kept = `${place.output}.before-docker-api-gateway`;
    await confirmed(place, "a");
    expect(readFileSync(kept).equals(LATIN1)).toBe(true);
    expect(ownership(kept)).toEqual(["600", 1234, 1235]);
    expect(place.log).toEqual([`kept the former ${place.output} as ${kept}`]);

    await confirmed(place, "b");
    // The same again, as after a way back: it is kept already.
    writeFileSync(place.output, LATIN1);
    await confirmed(place, "c");
    expect(place.log.length).toBe(1);
    expect(readFileSync(kept).equals(LATIN1)).toBe(true);

    // Another one must not push the first out.
    writeFileSync(place.output, "# mine\n");
    await confirmed(place, "d");
    expect(readFileSync(kept).equals(LATIN1)).toBe(true);
    expect(readFileSync(`${kept}.1`, "utf8")).toBe("# mine\n");
    expect(list(place.dir).filter((name) => name.includes("before"))).toHaveLength(2);
  });

  test("an empty one too", async () => {
    const place = newPlace();
    writeFileSync(place.output, "");
    await confirmed(place, "a");
    expect(readFileSync(`${place.output}.before-docker-api-gateway`, "utf8")).toBe("");
  });
});

describe("a link in place of a file", () => {
  test.each(["absolute", "relative"])(
    "stays, and what it leads to is replaced (%s)",
    async (kind) => {
      const place = newPlace();
      // On another file system, where nothing could be renamed to.
      const real = mountMemory(place.dir, MEMORY);
      const target = join(real, "real.cfg");
      writeAs(target, "# foreign\n", 0o640, 1234);
      symlinkSync(kind === "absolute" ? target : target.slice(place.dir.length + 1), place.output);
      const link = readlinkSync(place.output);
      symlinkSync(join(real, "real.map"), place.map);

      await confirmed(place, "a");
      expect(readlinkSync(place.output)).toBe(link);
      expect(lstatSync(place.map).isSymbolicLink()).toBe(true);
      expect(readFileSync(target, "utf8")).toBe(place.wanted("a").config);
      expect(readFileSync(join(real, "real.map"), "utf8")).toBe("a 1\n");
      expect(ownership(target)).toEqual(["640", 1234, 1235]);
      expect(readFileSync(`${place.output}.before-docker-api-gateway`, "utf8")).toBe("# foreign\n");

      await replace(place, place.wanted("b"));
      expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("b"));
      await place.files.rollBack();
      expect(readlinkSync(place.output)).toBe(link);
      expect(await place.files.read(place.wanted("").assets)).toEqual(place.wanted("a"));
    },
  );

  test("leads to nothing yet: the file is made where it leads", async () => {
    const place = newPlace();
    const target = join(place.dir, "sub", "real.cfg");
    mkdirSync(join(place.dir, "sub"));
    symlinkSync("second.cfg", place.output);
    symlinkSync("sub/real.cfg", join(place.dir, "second.cfg"));
    await confirmed(place, "a");
    expect(readlinkSync(place.output)).toBe("second.cfg");
    expect(lstatSync(target).isFile()).toBe(true);
    expect(readFileSync(target, "utf8")).toBe(place.wanted("a").config);
    await replace(place, place.wanted("b"));
    await place.files.rollBack();
    expect(readFileSync(target, "utf8")).toBe(place.wanted("a").config);
  });

  test("leads in a circle: an error, and the links stay", async () => {
    const place = newPlace();
    symlinkSync("other.cfg", place.output);
    symlinkSync("haproxy.cfg", join(place.dir, "other.cfg"));
    const error = await failure(place.files.stage(place.wanted("a")));
    expect(error.message).toStartWith(`Cannot write "${place.output}": ELOOP`);
    expect(readlinkSync(place.output)).toBe("other.cfg");
  });
});

async function confirmed(place: Place, text: string): Promise<void> {
  await replace(place, place.wanted(text));
  await place.files.confirm();
}
