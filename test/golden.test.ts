// The files for given containers, byte by byte, and what every HAProxy says of them.
//
// UPDATE_GOLDEN=1 bun test test/golden.test.ts writes the expected files anew: read what changed.

import { describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { namedFiles } from "./lab/named-files.ts";
import { certificateOf, crtListsOf, listLines } from "../src/config/crt-list.ts";
import { makeSelfSigned } from "../src/gateway/certificates/self-signed.ts";
import type { Files } from "../src/model.ts";
import {
  byName,
  expectedFiles,
  foldersOf,
  goldenCases,
  writeExpected,
  type GoldenCase,
} from "./golden/cases.ts";
import { haproxyProgram, haproxyVersions } from "./lab/haproxy.ts";
import { labDir } from "./lab/leftovers.ts";
import { randomNumbers, shuffle } from "./lab/make.ts";

const selfSigned = makeSelfSigned(Date.now());
/** HAProxy 3.4 measures how long a password takes. Where that is the busy machine's time, it is asked again. */
const SLOW_PASSWORD = /the hash algorithm used for this password takes/;
const MOST_CHECKS = 5;
const isUpdate = process.env["UPDATE_GOLDEN"] === "1";

/** Lets HAProxy check files as if they were where they belong. */
async function check(program: string, files: Files, { paths }: GoldenCase) {
  const dir = labDir("golden");
  const moved = (text: string): string =>
    foldersOf(paths).reduce(
      (all, folder) => all.replaceAll(`${folder}/`, `${dir}${folder}/`),
      text,
    );
  const all = { ...namedFiles(files), [paths.output]: files.config };
  for (const [path, text] of Object.entries(all)) {
    const place = join(dir, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, moved(text));
  }
  const pem = await selfSigned;
  for (const path of Object.values(crtListsOf(files)).flatMap(listLines).map(certificateOf)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), pem);
  }
  // Which the gateway writes before HAProxy reads its files.
  const stateFile = join(dir, paths.haproxy.stateFile);
  mkdirSync(dirname(stateFile), { recursive: true });
  writeFileSync(stateFile, "1\n");
  // -dW: a warning is an error.
  const result = Bun.spawnSync([program, "-dW", "-c", "-f", join(dir, paths.output)]);
  const said = `${result.stdout.toString()}${result.stderr.toString()}`;
  return { exitCode: result.exitCode, said: said.replaceAll(dir, "") };
}

describe.each(goldenCases().map((each) => [each.name, each] as const))("%s", (name, golden) => {
  const { containers, version } = golden;
  const { files } = golden.render(containers, version);
  if (isUpdate) writeExpected(name, byName(files, golden.paths));

  test("the files, byte by byte", () => {
    expect(byName(files, golden.paths)).toEqual(expectedFiles(name));
  });

  test("whatever the order in which the containers are listed", () => {
    const random = randomNumbers(name.length);
    for (let round = 0; round < 10; round++) {
      expect(golden.render(shuffle(containers, random), version).files).toEqual(files);
    }
  });

  test.each(haproxyVersions())("HAProxy %s has nothing against it", async (haproxy) => {
    const rendered = golden.render(containers, haproxy).files;
    const program = haproxyProgram(haproxy);
    let { exitCode, said } = await check(program, rendered, golden);
    for (let checks = 1; SLOW_PASSWORD.test(said) && checks < MOST_CHECKS; checks++) {
      ({ exitCode, said } = await check(program, rendered, golden));
    }
    expect({ exitCode, said: said.match(/.*(?:WARNING|ALERT).*/g) ?? [] }).toEqual({
      exitCode: 0,
      said: [],
    });
  });
});

test("HAProxy does say something where something is wrong", async () => {
  const [golden] = goldenCases();
  if (golden === undefined) throw new Error("there are no cases");
  const wrong = { config: "global\n  bogus\n", assets: {} };
  for (const haproxy of haproxyVersions()) {
    const { exitCode, said } = await check(haproxyProgram(haproxy), wrong, golden);
    expect(exitCode).toBe(1);
    expect(said).toContain("ALERT");
  }
});
