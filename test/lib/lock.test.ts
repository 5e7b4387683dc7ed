// One gateway for each output file, told apart by real processes.

import { ptr } from "bun:ffi";
import { afterEach, describe, expect, mock, test } from "bun:test";
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { GatewayError } from "../../src/lib/errors.ts";
import * as libc from "../../src/lib/libc.ts";
import { lockOutput } from "../../src/lib/lock.ts";
import { labDir } from "../lab/leftovers.ts";

const LOCK = join(import.meta.dir, "../../src/lib/lock.ts");
const LIBC = join(import.meta.dir, "../../src/lib/libc.ts");
const started: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/** Another process that takes the lock; resolves with what it says of it. */
async function takeElsewhere(output: string, within: readonly string[] = []) {
  const script = `
    import { lockOutput } from ${JSON.stringify(LOCK)};
    try {
      const unlock = await lockOutput(process.argv[1]);
      console.log("locked");
      for await (const _ of process.stdin) {}
      unlock();
    } catch (error) { console.log(error.message); }`;
  const child = Bun.spawn([...within, process.execPath, "-e", script, output], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  started.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { child, said: new TextDecoder().decode(value).trim() };
}

function raise(message: string): never {
  throw new Error(message);
}

async function refusal(output: string): Promise<GatewayError> {
  const error: unknown = await lockOutput(output).catch((reason: unknown) => reason);
  if (error instanceof GatewayError) return error;
  throw new Error("it was not refused");
}

function place(): { output: string; lock: string } {
  const dir = labDir("lock");
  return { output: join(dir, "haproxy.cfg"), lock: join(dir, ".haproxy.cfg.lock") };
}

test("it is taken, and given back", async () => {
  const { output, lock } = place();
  const unlock = await lockOutput(output);
  expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
  unlock();
  expect(existsSync(lock)).toBe(false);
  (await lockOutput(output))();
});

test("the second is refused and told of the first, which goes on having it", async () => {
  const { output, lock } = place();
  const first = await takeElsewhere(output);
  expect(first.said).toBe("locked");
  const error = await refusal(output);
  expect(error.code).toBe("config");
  expect(error.message).toBe(
    `Cannot use "${output}": another gateway (process ${first.child.pid}) writes it`,
  );
  expect(error.hint).toBe(`end that one (kill ${first.child.pid}), or name another --output-file`);
  expect(readFileSync(lock, "utf8")).toStartWith(`${first.child.pid} `);

  await first.child.stdin.end();
  await first.child.exited;
  (await lockOutput(output))();
});

test("files beside each other have their own", async () => {
  const { output } = place();
  const first = await takeElsewhere(output);
  expect(first.said).toBe("locked");
  (await lockOutput(`${output}.other`))();
});

test("one that died without giving it back does not keep it", async () => {
  const { output, lock } = place();
  const first = await takeElsewhere(output);
  first.child.kill("SIGKILL");
  await first.child.exited;
  expect(existsSync(lock)).toBe(true);
  const unlock = await lockOutput(output);
  expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
  unlock();
});

test.each([
  ["another process has its number since", `${process.ppid} 1`],
  ["it is empty", ""],
  ["it is not ours", "nonsense"],
])("what was left does not count: %s", async (_, content) => {
  const { output, lock } = place();
  writeFileSync(lock, content);
  const unlock = await lockOutput(output);
  unlock();
  expect(existsSync(lock)).toBe(false);
});

test("of two that find a dead one's lock at once, one gets it", async () => {
  const { output, lock } = place();
  writeFileSync(lock, `${process.ppid} 1`);
  const both = await Promise.all([takeElsewhere(output), takeElsewhere(output)]);
  const winners = both.filter(({ said }) => said === "locked");
  expect(winners).toHaveLength(1);
  const [winner] = winners;
  expect(readFileSync(lock, "utf8")).toStartWith(`${winner?.child.pid} `);
  const other = both.find(({ said }) => said !== "locked");
  expect(other?.said).toBe(
    `Cannot use "${output}": another gateway (process ${winner?.child.pid}) writes it`,
  );
});

test("who lost the lock does not take it from the one that has it now", async () => {
  const { output, lock } = place();
  const unlock = await lockOutput(output);
  rmSync(lock);
  writeFileSync(lock, "1 1");
  unlock();
  expect(readFileSync(lock, "utf8")).toBe("1 1");
});

test("what is written into the lock does not open it", async () => {
  const { output, lock } = place();
  const unlock = await lockOutput(output);
  writeFileSync(lock, "");
  expect((await takeElsewhere(output)).said).toContain("another gateway");
  unlock();
});

test("who waits for one that is just ending gets a lock that counts", async () => {
  const { output } = place();
  const unlock = await lockOutput(output);
  const next = takeElsewhere(output);
  await Bun.sleep(20);
  unlock();
  expect((await next).said).toBe("locked");
  expect((await takeElsewhere(output)).said).toContain("another gateway");
});

test("a lock on a file that its holder just removed does not count", async () => {
  const { output, lock } = place();
  const real = { ...libc };
  let isFirst = true;
  const openLibc: typeof libc.openLibc = (functions) => {
    if (isFirst) rmSync(lock);
    isFirst = false;
    return real.openLibc(functions);
  };
  try {
    await mock.module(LIBC, () => ({ openLibc }));
    const unlock = await lockOutput(output);
    expect((await takeElsewhere(output)).said).toContain("another gateway");
    unlock();
  } finally {
    await mock.module(LIBC, () => real);
  }
});

test("a program that lives on does not keep the lock of the gateway that started it", async () => {
  const { output } = place();
  const script = `
    import { lockOutput } from ${JSON.stringify(LOCK)};
    await lockOutput(process.argv[1]);
    const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"], detached: true });
    console.log(child.pid);
    process.kill(process.pid, "SIGKILL");`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script, output]);
  const left = Number(stdout.toString());
  try {
    process.kill(left, 0);
    (await lockOutput(output))();
  } finally {
    process.kill(left, "SIGKILL");
  }
});

test("one in another container that shares the folder is kept out, and told by its name", async () => {
  const { output } = place();
  const first = await takeElsewhere(output, [
    "unshare",
    "--pid",
    "--fork",
    "--mount-proc",
    "--uts",
  ]);
  expect(first.said).toBe("locked");
  const error = await refusal(output);
  expect(error.message).toBe(
    `Cannot use "${output}": another gateway (in the container or on the host "${hostname()}") writes it`,
  );
  expect(error.hint).toBe("end that one, or name another --output-file");
});

test("a link is not followed: where it leads is nobody's lock", async () => {
  const { output, lock } = place();
  const precious = `${output}.precious`;
  writeFileSync(precious, "precious");
  symlinkSync(precious, lock);
  const error = await refusal(output);
  expect(error.message).toStartWith(`Cannot lock "${output}": ELOOP`);
  expect(readFileSync(precious, "utf8")).toBe("precious");
});

describe("where there are no locks the gateway goes on, with a warning", () => {
  const errno = new Int32Array([37]);

  test.each([
    [
      "the file system has none",
      () => ({ flock: () => -1, __errno_location: () => ptr(errno) }),
      "ENOLCK",
    ],
    ["there is no C library", () => raise("no such library"), "no such library"],
  ])("%s", async (_, openLibc, why) => {
    const real = { ...libc };
    const { output, lock } = place();
    const warnings: string[] = [];
    try {
      await mock.module(LIBC, () => ({ openLibc }));
      const unlock = await lockOutput(output, (message) => warnings.push(message));
      expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
      unlock();
    } finally {
      await mock.module(LIBC, () => real);
    }
    expect(warnings).toEqual([
      `${output} cannot be locked: a second gateway would not be noticed (${why})`,
    ]);
  });
});

test("a folder that is not there, or is none, is told with a hint", async () => {
  const { output } = place();
  const missing = await refusal(join(output, "x.cfg"));
  expect(missing.message).toStartWith(`Cannot lock "${output}/x.cfg": ENOENT`);
  expect(missing.hint).toContain("--output-file");
  writeFileSync(output, "a file");
  const file = await refusal(join(output, "x.cfg"));
  expect(file.message).toStartWith(`Cannot lock "${output}/x.cfg": ENOTDIR`);
});
