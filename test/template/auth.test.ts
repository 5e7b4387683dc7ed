// Proves that the label auth asks for a password, lets in who knows it, and stops HAProxy for nobody.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { haproxyVersions } from "../lab/haproxy.ts";
import { eventually } from "../lab/http.ts";
import { Labelled } from "../lab/labelled.ts";
import { SHA512 } from "../lab/labels.ts";
import { labDir } from "../lab/leftovers.ts";
import { START_MS } from "../lab/proxy.ts";

/** Hashes of `pass:word`. */
const BCRYPT = "$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki";
const SLOW = "$2b$10$abcdefghijklmnopqrstuum0p92xsrS1zPNvgyP5Xpg.9.e2HzPC6";
const SHA256 = "$5$rounds=1000$saltsalt$IugcXyCjOshguTxJKaTfOu4RuHVB5csAaqPXBSbpbu5";

const FOLDER = labDir("users");
const USERS = join(FOLDER, "users");

const OPEN = { "route.a.path": "/open", "route.a.host": "a.test" };
const LABELS = {
  plain: {},
  bcrypt: { auth: `bob:${BCRYPT}`, ...OPEN },
  sha: { auth: `al@x.org:${SHA512} eve:${SHA256}` },
  both: { auth: `bob:${SHA512},bob:${SHA256}` },
  doubled: { auth: `bob:${SHA512}`.replaceAll("$", "$$$$") },
  forward: { auth: `bob:${BCRYPT}`, "auth.forward": "true" },
  slow: { auth: `bob:${SLOW}` },
  strict: { auth: `bob:${SHA512}`, allow: "10.0.0.0/8" },
  filed: { auth: `eve:${SHA512}`, "auth.file": USERS },
  closed: { auth: `bob:${SHA512},eve:secret` },
};

function basic(user: string, password = "pass:word", scheme = "Basic"): { Authorization: string } {
  const text = Buffer.from(`${user}:${password}`).toString("base64");
  return { Authorization: `${scheme} ${text}` };
}

describe.each(haproxyVersions())("passwords, HAProxy %s", (version) => {
  let site: Labelled;

  beforeAll(async () => {
    writeFileSync(USERS, `# of the shop\nbob:${SHA512}\n`);
    site = await Labelled.start(version, LABELS, { "label-files": FOLDER });
  }, START_MS);

  beforeEach(async () => {
    site.forget();
    await forget("_strangers");
    await forget("_logins");
  });

  /** Empties a table. An entry that is in use is not cleared. */
  async function forget(table: string): Promise<void> {
    await eventually(async () => {
      await site.running.ask(`clear table ${table}`);
      expect(await site.running.ask(`show table ${table}`)).toContain("used:0");
    });
  }

  afterAll(() => site.stop());

  async function status(target: string, headers: Record<string, string> = {}): Promise<number> {
    return (await site.ask(target, headers)).status;
  }

  test.each([
    ["bcrypt", "bob"],
    ["sha", "al@x.org"],
    ["sha", "eve"],
    ["both", "bob"],
    ["doubled", "bob"],
    ["slow", "bob"],
  ])("%s lets %s in, and remembers it", async (name, user) => {
    const asked = await site.ask(`/${name}/x`);
    expect(asked.status).toBe(401);
    expect(asked.header("WWW-Authenticate")).toMatch(/^Basic realm="[\w-]{12}", charset="UTF-8"$/);
    for (const method of ["GET", "POST", "GET"]) {
      const { status: got } = await site.ask(`/${name}/x`, basic(user), { method });
      expect(got).toBe(200);
    }
    expect(await status(`/${name}/x`, basic(user, "pass:word", "bAsIc  "))).toBe(200);
    // The container gets nothing of it.
    const seen = site.app(name).received.flatMap((each) => each.values("Authorization"));
    expect([site.app(name).received.length, seen]).toEqual([4, []]);
  });

  test("nobody else gets in", async () => {
    for (const [name, headers] of [
      ["bcrypt", basic("bob", "pass:wor")],
      ["bcrypt", basic("bob", "")],
      ["bcrypt", basic("eve")],
      ["bcrypt", basic("")],
      ["bcrypt", { Authorization: "Basic" }],
      ["bcrypt", { Authorization: "Basic !!!" }],
      ["bcrypt", { Authorization: `Basic ${BCRYPT}` }],
      ["bcrypt", basic("bob", BCRYPT)],
      ["bcrypt", basic("bob", "pass:word", "Bearer")],
    ] as const) {
      const { Authorization } = headers;
      expect([Authorization, await status(`/${name}/x`, headers)]).toEqual([Authorization, 401]);
      await forget("_strangers");
    }
    expect(site.received()).toEqual([]);
  });

  test("who may use one route may not use another one", async () => {
    expect(await status("/sha/x", basic("eve"))).toBe(200);
    expect(await status("/bcrypt/x", basic("eve"))).toBe(401);
    expect(await status("/sha/x", basic("bob"))).toBe(401);
    expect(await status("/bcrypt/x", basic("bob"))).toBe(200);
    // Who sends the name of a user as HAProxy has it does not get in as that one.
    const realm = (await site.ask("/sha/x")).header("WWW-Authenticate") ?? "";
    const [, id = ""] = /"(.*?)"/.exec(realm) ?? [];
    expect(await status("/bcrypt/x", basic(`${id}>eve`))).toBe(401);
    expect(await status("/bcrypt/x", basic(`bob>${id}>eve`))).toBe(401);
  });

  test("users of a file get in, another file is a reload, and without it nobody gets in", async () => {
    expect(await status("/filed/x", basic("bob"))).toBe(200);
    expect(await status("/filed/x", basic("eve"))).toBe(200);
    expect(await status("/filed/x")).toBe(401);
    writeFileSync(USERS, `al@x.org:${SHA512}\n`);
    expect(await site.serve({})).toBe("reload");
    expect(await status("/filed/x", basic("bob"))).toBe(401);
    expect(await status("/filed/x", basic("al@x.org"))).toBe(200);
    rmSync(USERS);
    await site.serve({});
    expect(await status("/filed/x", basic("eve"))).toBe(503);
    writeFileSync(USERS, `bob:${SHA512}\n`);
    await site.serve({});
    expect(await status("/filed/x", basic("bob"))).toBe(200);
    await site.running.verify();
  });

  test("two headers are none", async () => {
    const { Authorization } = basic("bob");
    const headers = { Authorization, authorization: basic("eve").Authorization };
    expect(await status("/bcrypt/x", headers)).toBe(401);
  });

  test("a container gets the header only if its label says so", async () => {
    for (const _ of [1, 2]) expect(await status("/forward/x", basic("bob"))).toBe(200);
    const seen = site.app("forward").received.flatMap((each) => each.values("Authorization"));
    expect(seen).toEqual([basic("bob").Authorization, basic("bob").Authorization]);
    // Where nobody asks for a password, it is the container's.
    await status("/plain/x", basic("bob"));
    expect(site.app("plain").received[0]?.values("Authorization")).toHaveLength(1);
    expect((await site.ask("/open/x", { Host: "a.test" })).status).toBe(200);
  });

  test("after ten wrong ones an address waits, and who is known does not", async () => {
    expect(await status("/bcrypt/x", basic("bob"))).toBe(200);
    for (let count = 0; count < 10; count++) {
      expect(await status("/bcrypt/x", basic("bob", String(count)))).toBe(401);
    }
    const refused = await site.ask("/sha/x", basic("eve"));
    expect([refused.status, refused.header("Retry-After")]).toEqual([429, "60"]);
    expect(await status("/bcrypt/x", basic("bob"))).toBe(200);
    // Without a password nothing is checked.
    expect(await status("/sha/x")).toBe(401);
  });

  test("a password that was right takes no time", async () => {
    const times: number[] = [];
    for (let count = 0; count < 20; count++) {
      const started = performance.now();
      expect(await status("/slow/x", basic("bob"))).toBe(200);
      times.push(performance.now() - started);
    }
    const [first = 0, ...later] = times;
    expect(Math.min(...later) * 4).toBeLessThan(first);
  });

  test("a network is asked for first, and what is wrong lets nobody in", async () => {
    expect(await status("/strict/x", basic("bob"))).toBe(403);
    expect(await status("/closed/x", basic("bob"))).toBe(503);
  });

  test("another password is a reload, and the one before is forgotten", async () => {
    expect(await status("/sha/x", basic("eve"))).toBe(200);
    const other =
      "$6$salt$UQz.nAMXQ5Sxg6JO5mVxPg7Q8zK5VQ9C5Y1wXzJH0J1vN8Kk0gVjM7pGcQ3t9tYyJ6rj1aC0e2Kpq1bXw5hO0/";
    expect(await site.serve({ sha: { auth: `eve:${other}` } })).toBe("reload");
    expect(site.running.reloads.at(-1)).toEqual(['userlist "_users" changed']);
    expect(await status("/sha/x", basic("eve"))).toBe(401);
    await site.serve({ sha: {} });
    expect(await status("/sha/x")).toBe(200);
    await site.running.verify();
  });
});
