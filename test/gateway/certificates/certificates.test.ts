// Certificates of folders as somebody else writes, renews and removes them.

import { beforeAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Certificates } from "../../../src/gateway/certificates/certificates.ts";
import { isUsableSelfSigned } from "../../../src/gateway/certificates/self-signed.ts";
import { parseKeyPair } from "../../../src/lib/certificates.ts";
import { Authority, place } from "../../lab/authority.ts";
import { labDir } from "../../lab/leftovers.ts";
import { failureOf } from "../../lab/make.ts";

/** How often the gateway looks, in milliseconds. */
const LOOK = 800;
const DAY = 24 * 3_600_000;

let authority: Authority;
let dir = "";
let folder = "";
let now = 0;
let certificates: Certificates;

beforeAll(async () => {
  authority = await Authority.make();
});

beforeEach(() => {
  dir = labDir("certificates");
  folder = join(dir, "certs");
  mkdirSync(folder);
  now = Date.now();
  certificates = make();
});

function make(): Certificates {
  return new Certificates(true, [{ path: folder, isOptional: false }], {
    store: join(dir, "store"),
    fallback: join(dir, "default.pem"),
    ticketKeys: join(dir, "tickets.keys"),
  });
}

/** Looks as the gateway does, so often. @returns how often there was something to read */
async function look(times = 1): Promise<number> {
  let changes = 0;
  for (let count = 0; count < times; count++) {
    now += LOOK;
    if (!certificates.hasChanged(now)) continue;
    changes++;
    await certificates.refresh(now);
  }
  return changes;
}

async function put(file: string, ...wish: Parameters<Authority["issue"]>): Promise<string> {
  const { both } = await authority.issue(...wish);
  place(join(folder, file), both);
  return both;
}

/** The names of all certificates, and whether what HAProxy is to read of each is there. */
function served(): string[][] {
  return certificates.files.certificates.map(({ path, names }) => {
    const pair = parseKeyPair(readFileSync(path, "utf8"));
    if ("problem" in pair) throw new Error(pair.problem);
    expect(pair.names).toEqual([...names]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    return [...names];
  });
}

test("what is there at the start is read at once, and nothing while nothing changes", async () => {
  await put("a.pem", ["a.org"]);
  await put("sub/b.pem", ["b.org"]);
  await certificates.refresh(now);
  expect(served()).toEqual([["a.org"], ["b.org"]]);
  expect(statSync(join(dir, "store")).mode & 0o777).toBe(0o700);
  const { files } = certificates;
  expect(await look(5)).toBe(0);
  expect(certificates.files).toBe(files);
});

test("a file that is being written is waited for, within two seconds", async () => {
  await certificates.refresh(now);
  const { both } = await authority.issue(["a.org"]);
  for (const end of [100, 500, 900]) {
    writeFileSync(join(folder, "a.pem"), both.slice(0, end));
    await look();
    expect([served(), certificates.warnings]).toEqual([[], []]);
  }
  writeFileSync(join(folder, "a.pem"), both);
  const before = now;
  while (served().length === 0) await look();
  expect(now - before).toBeLessThan(2_000);
  expect(certificates.warnings).toEqual([]);
});

test("a key and its certificate that are renewed one after the other", async () => {
  const [old, renewed] = [await authority.issue(["a.org"]), await authority.issue(["a.org"])];
  place(join(folder, "a.crt"), old.chain);
  place(join(folder, "a.key"), old.key);
  await certificates.refresh(now);
  const [first] = certificates.files.certificates;
  place(join(folder, "a.crt"), renewed.chain);
  await look(3);
  expect(certificates.files.certificates).toEqual(first === undefined ? [] : [first]);
  expect(certificates.warnings).toEqual([
    `${folder}/a.crt and ${folder}/a.key cannot be used, and those before them are used on: its private key belongs to another certificate`,
  ]);
  place(join(folder, "a.key"), renewed.key);
  await look(3);
  expect(served()).toEqual([["a.org"]]);
  expect(certificates.files.certificates[0]?.path).not.toBe(first?.path);
  expect(certificates.warnings).toEqual([]);
});

test("one that is removed goes; one that is only replaced never does", async () => {
  await put("a.pem", ["a.org"]);
  await certificates.refresh(now);
  renameSync(join(folder, "a.pem"), join(dir, "away"));
  await look();
  expect(served()).toEqual([["a.org"]]);
  renameSync(join(dir, "away"), join(folder, "a.pem"));
  await look(3);
  expect(served()).toEqual([["a.org"]]);
  rmSync(join(folder, "a.pem"));
  await look(2);
  expect(served()).toEqual([]);
});

test("a folder that is away for a while takes nothing with it", async () => {
  await put("a.pem", ["a.org"]);
  await put("default.pem", ["b.org"]);
  await certificates.refresh(now);
  const { files } = certificates;
  renameSync(folder, join(dir, "away"));
  await look(3);
  expect(certificates.files).toBe(files);
  expect(certificates.warnings).toEqual([`${folder} is not used: it is gone`]);
  renameSync(join(dir, "away"), folder);
  await look(3);
  expect(certificates.files).toBe(files);
  expect(certificates.warnings).toEqual([]);
});

test("one that cannot be kept changes nothing, and is tried again", async () => {
  await put("a.pem", ["a.org"]);
  await certificates.refresh(now);
  // Nobody can make a file in a file.
  rmSync(join(dir, "store"), { recursive: true });
  writeFileSync(join(dir, "store"), "");
  await put("b.pem", ["b.org"]);
  await look(3);
  expect(certificates.files.certificates.map(({ names }) => names)).toEqual([["a.org"]]);
  expect(certificates.warnings).toHaveLength(1);
  expect(certificates.warnings[0]).toStartWith(
    `certificates cannot be kept in ${dir}/store, so those before them are used on: `,
  );
  rmSync(join(dir, "store"));
  await certificates.refresh(now);
  expect(served()).toEqual([["a.org"], ["b.org"]]);
  expect(certificates.warnings).toEqual([]);
});

test("what somebody removes of what was kept comes back", async () => {
  await put("a.pem", ["a.org"]);
  await certificates.refresh(now);
  rmSync(join(dir, "store"), { recursive: true });
  await certificates.refresh(now + 61_000);
  expect(served()).toEqual([["a.org"]]);
});

test("the next gateway has the same, and the last good one where a file is broken by now", async () => {
  await put("a.pem", ["a.org"]);
  await certificates.refresh(now);
  writeFileSync(join(dir, "default.pem"), certificates.files.fallback);
  writeFileSync(join(dir, "tickets.keys"), certificates.files.ticketKeys);
  const before = certificates.files;
  writeFileSync(join(folder, "a.pem"), "broken");
  certificates = make();
  await certificates.refresh(now);
  expect(certificates.files).toEqual(before);
  expect(certificates.warnings).toEqual([
    `${folder}/a.pem cannot be used, and the one before it is used on: it has no certificate in PEM`,
  ]);
});

test("one that expires is told, before and when it does", async () => {
  await put("a.pem", ["a.org"], { days: [-80, 8] });
  await certificates.refresh(now);
  expect([certificates.warnings, certificates.files.certificates[0]?.expired]).toEqual([[], false]);
  now += 2 * DAY;
  await certificates.look(now);
  expect(certificates.warnings[0]).toMatch(/a\.pem \(a\.org\) expires on 20..-..-..: renew it$/);
  now += 7 * DAY;
  expect(certificates.hasChanged(now)).toBe(true);
  await certificates.refresh(now);
  expect(certificates.files.certificates[0]?.expired).toBe(true);
  expect(certificates.warnings[0]).toMatch(/expired on 20..-..-..: clients refuse it$/);
});

test("one that is not valid yet, and one without its chain", async () => {
  await put("a.pem", ["a.org"], { days: [2, 90] });
  const { chain, key } = await authority.issue(["b.org"]);
  const [own = ""] = /-----BEGIN[^]*?-----END CERTIFICATE-----/.exec(chain) ?? [];
  place(join(folder, "b.pem"), `${own}\n${key}`);
  await certificates.refresh(now);
  expect(certificates.warnings).toEqual([
    expect.stringMatching(
      /a\.pem \(a\.org\) is not valid before 20..-..-..: is the clock of this machine right\?$/,
    ),
    `${folder}/b.pem has no certificate of its issuer, Tests Test CA R1: many clients refuse it without; put that one behind it, into the same file`,
  ]);
});

test("for unknown names: the one that is called default, else one that the gateway signs itself", async () => {
  await certificates.refresh(now);
  expect(isUsableSelfSigned(certificates.files.fallback, now)).toBe(true);
  expect(isUsableSelfSigned(certificates.files.fallback, now + 340 * DAY)).toBe(false);
  const both = await put("default.pem", ["a.org"]);
  await look(3);
  const pair = parseKeyPair(both);
  expect("problem" in pair ? pair : pair.pem).toBe(certificates.files.fallback);
  rmSync(join(folder, "default.pem"));
  await look(3);
  expect(isUsableSelfSigned(certificates.files.fallback, now)).toBe(true);
});

test("what is out of use for a day is removed, and nothing else", async () => {
  await put("a.pem", ["a.org"]);
  await certificates.refresh(now);
  const [old = ""] = readdirSync(join(dir, "store"));
  await put("a.pem", ["a.org"]);
  await look(3);
  expect(readdirSync(join(dir, "store"))).toHaveLength(2);
  const long = (now - 25 * 3_600_000) / 1000;
  for (const name of readdirSync(join(dir, "store")))
    utimesSync(join(dir, "store", name), long, long);
  await certificates.refresh(now + 3_700_000);
  expect(readdirSync(join(dir, "store"))).toHaveLength(1);
  expect(existsSync(join(dir, "store", old))).toBe(false);
  expect(served()).toEqual([["a.org"]]);
});

test("a file that may not be read is told", async () => {
  await put("a.pem", ["a.org"]);
  chmodSync(join(folder, "a.pem"), 0);
  await certificates.refresh(now);
  // Root may read everything.
  if (process.getuid?.() === 0) expect(served()).toEqual([["a.org"]]);
  else
    expect(certificates.warnings).toEqual([
      `${folder}/a.pem is not used: the gateway may not read it`,
    ]);
});

test("a folder that is not there at the start is refused, and one that may come later is not", async () => {
  const own = { store: join(dir, "s"), fallback: join(dir, "d"), ticketKeys: join(dir, "t") };
  const none = join(dir, "none");
  const error = failureOf(
    "usage",
    () => new Certificates(true, [{ path: none, isOptional: false }], own),
  );
  expect(error.message).toBe(`Cannot use --certs "${none}": there is no such folder`);
  await put("file.pem", ["a.org"]);
  const file = join(folder, "file.pem");
  const other = failureOf(
    "usage",
    () => new Certificates(true, [{ path: file, isOptional: false }], own),
  );
  expect(other.message).toBe(`Cannot use --certs "${file}": it is no folder`);
  certificates = new Certificates(true, [{ path: none, isOptional: true }], own);
  await certificates.refresh(now);
  expect([served(), certificates.warnings]).toEqual([[], []]);
  folder = none;
  await put("a.pem", ["a.org"]);
  await look(3);
  expect(served()).toEqual([["a.org"]]);
});

test("what cannot be read of an earlier gateway's is made anew, and holds up nothing", async () => {
  for (const name of ["default.pem", "tickets.keys"]) mkdirSync(join(dir, name));
  writeFileSync(join(dir, "store"), "");
  await put("a.pem", ["a.org"]);
  writeFileSync(join(folder, "b.pem"), "broken");
  await certificates.look(now);
  const { files, warnings } = certificates;
  expect(files.certificates.map(({ names }) => names)).toEqual([["a.org"]]);
  expect(isUsableSelfSigned(files.fallback, now)).toBe(true);
  expect(warnings).toEqual([`${folder}/b.pem is not used: it has no certificate in PEM`]);
});

test("without HTTPS nothing is read and nothing made", async () => {
  const unused = new Certificates(false, [], {
    store: join(dir, "s"),
    fallback: "",
    ticketKeys: "",
  });
  await unused.refresh(now);
  expect(unused.hasChanged(now + DAY)).toBe(false);
  expect(unused.files).toEqual({ certificates: [], fallback: "", ticketKeys: "" });
  expect(existsSync(join(dir, "s"))).toBe(false);
});
