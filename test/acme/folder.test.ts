// The folder of --acme-dir.

import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { lockFolder } from "../../src/acme/folder.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { labDir } from "../lab/leftovers.ts";

const dir = labDir("acme");

afterAll(() => rmSync(dir, { recursive: true }));

test("one gateway has it at a time, and the next one is told who has it", async () => {
  const folder = join(dir, "new/acme");
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const unlock = await lockFolder(folder, warn);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  const refused: unknown = await lockFolder(folder, warn).catch((error: unknown) => error);
  if (!(refused instanceof GatewayError)) throw new Error("it was not refused");
  expect(refused.code).toBe("config");
  expect(refused.message).toBe(
    `Cannot use "${join(folder, "state")}": another gateway (process ${process.pid}) writes it`,
  );
  expect(refused.hint).toBe(`end that one (kill ${process.pid}), or name another --acme-dir`);
  unlock();
  (await lockFolder(folder, warn))();
  expect(existsSync(join(folder, ".state.lock"))).toBe(false);
  expect(warnings).toEqual([]);
});

test("one that cannot be made is named", async () => {
  const file = join(dir, "file");
  await Bun.write(file, "");
  chmodSync(file, 0o600);
  const refused: unknown = await lockFolder(join(file, "acme"), () => undefined).catch(
    (error: unknown) => error,
  );
  expect(String(refused)).toContain(`Cannot make folder "${join(file, "acme", "state")}"`);
});
