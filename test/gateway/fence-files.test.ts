// Servers are taken out of the files on disk, before HAProxy reads them.

import { beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ownerLine, ownersText } from "../../src/config/owners.ts";
import { describeFenced, fenceFiles } from "../../src/gateway/fence-files.ts";
import { ConfigFiles } from "../../src/haproxy/files/files.ts";
import { isOwnConfig } from "../../src/template/compile.ts";
import { labDir } from "../lab/leftovers.ts";
import { listLogger } from "../lab/proxy.ts";

const HEADER = "# Written by docker-api-gateway: what is changed here is overwritten.\n";
const CONFIG = `${HEADER}global
backend a
    server one 10.0.0.1:80 check # web
    server two 10.0.0.2:80
backend static
    server mine 192.0.2.1:80
`;

let dir: string;
let files: ConfigFiles;

/** @param isSeen whether the gateway before could see its process */
function line(place: string, id: string, isSeen: boolean): string {
  const processes = isSeen ? [{ pid: 1, started: "1" }] : undefined;
  return ownerLine(place, { id, name: id, startedAt: "", processes });
}

beforeEach(() => {
  dir = labDir("fence");
  files = new ConfigFiles(join(dir, "haproxy.cfg"), isOwnConfig, listLogger([]));
  writeFileSync(files.output, CONFIG);
  // Of another boot; the second one's process cannot be seen.
  const lines = [line("10.0.0.1:80", "one", true), line("10.0.0.2:80", "two", false)];
  writeFileSync(files.ownersPath, ownersText("0-0-0 pid:[1]", lines));
});

function config(): string {
  return readFileSync(files.output, "utf8");
}

/** What is said of it. */
async function fence(): Promise<string | undefined> {
  const fenced = await fenceFiles(files);
  return fenced && describeFenced(fenced, files.ownersPath);
}

const REST = "their routes answer 503 until Docker tells where they are";

test("only those whose containers are known to have ended are taken out", async () => {
  expect(await fence()).toBe(`without 1 of 3 servers: their containers have ended; ${REST}`);
  expect(config()).toBe(CONFIG.replace("check # web", "check disabled"));
  // Nothing is left beside the files but a way back.
  expect(readdirSync(dir).toSorted()).toEqual([
    ".haproxy.cfg.last-good",
    "haproxy.cfg",
    "haproxy.owners",
  ]);
});

test("once more, there is nothing to do", async () => {
  await fenceFiles(files);
  const before = config();
  expect(await fenceFiles(files)).toEqual({ servers: 2, takenOut: 0, isKnown: true });
  expect(config()).toBe(before);
});

test.each([
  ["is missing", () => rmSync(files.ownersPath)],
  ["is damaged", () => writeFileSync(files.ownersPath, "scope")],
])("if the file about owners %s, all are taken out, and it is named", async (_, damage) => {
  damage();
  const why = `${files.ownersPath}, which says whose they are, is damaged or missing`;
  expect(await fence()).toBe(`without all servers: ${why}; ${REST}`);
  expect(config().match(/ disabled$/gm)).toHaveLength(3);
});

test("somebody else's configuration stays as it is", async () => {
  const theirs = CONFIG.slice(HEADER.length);
  writeFileSync(files.output, theirs);
  expect(await fenceFiles(files)).toBeUndefined();
  expect(config()).toBe(theirs);
});

test("there is no configuration", async () => {
  rmSync(files.output);
  expect(await fenceFiles(files)).toBeUndefined();
});
