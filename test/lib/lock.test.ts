// The lock of an output file, taken by real processes.

import { ptr } from "bun:ffi";
import { afterEach, describe, expect, mock, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { GatewayError } from "../../src/lib/errors.ts";
import * as libc from "../../src/lib/libc.ts";
import { lockOutput } from "../../src/lib/lock.ts";
import { labDir } from "../lab/leftovers.ts";

const LOCK = join(import.meta.dir, "../../src/lib/lock.ts");
const LIBC = join(import.meta.dir, "../../src/lib/libc.ts");
/** A user that is not root. */
const NOBODY = 65_534;
const started: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/**
 * Starts another process that takes the lock.
 * @param wrapper a program to run it with, such as `unshare`
 * @param user the number of the user that it becomes
 * @returns the process, and its output: `locked` or the error message
 */
async function lockElsewhere(output: string, wrapper: readonly string[] = [], user = 0) {
  const script = `
    import { lockOutput } from ${JSON.stringify(LOCK)};
    process.setgroups([]);
    process.setuid(${user});
    try {
      const unlock = await lockOutput(process.argv[1]);
      console.log("locked");
      for await (const _ of process.stdin) {}
      unlock();
    } catch (error) { console.log(error.message); }`;
  const child = Bun.spawn([...wrapper, process.execPath, "-e", script, output], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  started.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { child, answer: new TextDecoder().decode(value).trim() };
}

function fail(message: string): never {
  throw new Error(message);
}

async function refusalOf(output: string): Promise<GatewayError> {
  const error: unknown = await lockOutput(output).catch((reason: unknown) => reason);
  if (error instanceof GatewayError) return error;
  throw new Error("it was not refused");
}

function newOutput(mode = 0o755): { output: string; lock: string } {
  const dir = labDir("lock");
  chmodSync(dir, mode);
  return { output: join(dir, "haproxy.cfg"), lock: join(dir, ".haproxy.cfg.lock") };
}

test("the lock is taken and released", async () => {
  const { output, lock } = newOutput();
  const unlock = await lockOutput(output);
  expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
  unlock();
  expect(existsSync(lock)).toBe(false);
  (await lockOutput(output))();
});

test("a second gateway is refused, the error names the first, and the first keeps the lock", async () => {
  const { output, lock } = newOutput();
  const first = await lockElsewhere(output);
  expect(first.answer).toBe("locked");
  const error = await refusalOf(output);
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

test("each output file of a folder has its own lock", async () => {
  const { output } = newOutput();
  const first = await lockElsewhere(output);
  expect(first.answer).toBe("locked");
  (await lockOutput(`${output}.other`))();
});

test("a process that was killed does not keep the lock", async () => {
  const { output, lock } = newOutput();
  const first = await lockElsewhere(output);
  first.child.kill("SIGKILL");
  await first.child.exited;
  expect(existsSync(lock)).toBe(true);
  const unlock = await lockOutput(output);
  expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
  unlock();
});

test.each([
  ["with the number of another process", `${process.ppid} 1`],
  ["that is empty", ""],
  ["with other content", "nonsense"],
])("a lock file that nobody holds does not count: one %s", async (_, content) => {
  const { output, lock } = newOutput();
  writeFileSync(lock, content);
  const unlock = await lockOutput(output);
  unlock();
  expect(existsSync(lock)).toBe(false);
});

describe("a lock file of another user, in a folder that both may write", () => {
  test("is replaced if its holder has died", async () => {
    const { output, lock } = newOutput(0o777);
    writeFileSync(lock, "1", { mode: 0o644 });
    expect((await lockElsewhere(output, [], NOBODY)).answer).toBe("locked");
    expect(statSync(lock).uid).toBe(NOBODY);
    expect((await refusalOf(output)).message).toContain("another gateway");
  });

  test("is obeyed as long as its holder lives", async () => {
    const { output, lock } = newOutput(0o777);
    const unlock = await lockOutput(output);
    const { answer } = await lockElsewhere(output, [], NOBODY);
    expect(answer).toContain(`another gateway (process ${process.pid}) writes it`);
    expect(statSync(lock).uid).toBe(0);
    unlock();
  });
});

test("if two processes find an old lock file at once, one gets the lock", async () => {
  const { output, lock } = newOutput();
  writeFileSync(lock, `${process.ppid} 1`);
  const both = await Promise.all([lockElsewhere(output), lockElsewhere(output)]);
  const winners = both.filter(({ answer }) => answer === "locked");
  expect(winners).toHaveLength(1);
  const [winner] = winners;
  expect(readFileSync(lock, "utf8")).toStartWith(`${winner?.child.pid} `);
  const other = both.find(({ answer }) => answer !== "locked");
  expect(other?.answer).toBe(
    `Cannot use "${output}": another gateway (process ${winner?.child.pid}) writes it`,
  );
});

test("a gateway whose lock file was replaced does not remove the new one", async () => {
  const { output, lock } = newOutput();
  const unlock = await lockOutput(output);
  rmSync(lock);
  writeFileSync(lock, "1 1");
  unlock();
  expect(readFileSync(lock, "utf8")).toBe("1 1");
});

describe("a lock file that somebody removed", () => {
  test("keeps others out all the same: its holder has it open", async () => {
    const { output, lock } = newOutput();
    const { child } = await lockElsewhere(output);
    rmSync(lock);
    expect((await refusalOf(output)).message).toBe(
      `Cannot use "${output}": another gateway (process ${child.pid}) writes it`,
    );
    // Nothing is left of the attempt, which the holder would take for another's lock.
    expect(existsSync(lock)).toBe(false);
  });

  test("is made again, and holds", async () => {
    const { output, lock } = newOutput();
    const unlock = await lockOutput(output);
    expect(await unlock.renew()).toBe(false);
    rmSync(lock);
    expect(await unlock.renew()).toBe(true);
    expect(readFileSync(lock, "utf8")).toStartWith(`${process.pid} `);
    expect((await lockElsewhere(output, [], NOBODY)).answer).toContain("another gateway");
    unlock();
    expect(existsSync(lock)).toBe(false);
    expect((await lockElsewhere(output)).answer).toBe("locked");
  });

  test("is not made again where another gateway has it by now", async () => {
    const { output, lock } = newOutput();
    const unlock = await lockOutput(output);
    rmSync(lock);
    // As from a container with processes of its own: it cannot see who has the removed one open.
    const other = await lockElsewhere(output, ["unshare", "--pid", "--fork", "--mount-proc"]);
    expect(other.answer).toBe("locked");
    expect(await unlock.renew().catch(String)).toContain("another gateway");
    unlock();
    expect(existsSync(lock)).toBe(true);
  });
});

test("a change of the lock file's content does not release the lock", async () => {
  const { output, lock } = newOutput();
  const unlock = await lockOutput(output);
  writeFileSync(lock, "");
  expect((await lockElsewhere(output)).answer).toContain("another gateway");
  unlock();
});

test("a process that waits for the release of a lock gets a valid one", async () => {
  const { output } = newOutput();
  const unlock = await lockOutput(output);
  const next = lockElsewhere(output);
  await Bun.sleep(20);
  unlock();
  expect((await next).answer).toBe("locked");
  expect((await lockElsewhere(output)).answer).toContain("another gateway");
});

test("a lock on a file that its holder just removed is not valid", async () => {
  const { output, lock } = newOutput();
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
    expect((await lockElsewhere(output)).answer).toContain("another gateway");
    unlock();
  } finally {
    await mock.module(LIBC, () => real);
  }
});

test("a child that outlives the gateway does not keep its lock", async () => {
  const { output } = newOutput();
  const script = `
    import { lockOutput } from ${JSON.stringify(LOCK)};
    await lockOutput(process.argv[1]);
    const child = Bun.spawn(["sleep", "60"], { stdio: ["ignore", "ignore", "ignore"], detached: true });
    console.log(child.pid);
    process.kill(process.pid, "SIGKILL");`;
  const { stdout } = Bun.spawnSync([process.execPath, "-e", script, output]);
  const child = Number(stdout.toString());
  try {
    process.kill(child, 0);
    (await lockOutput(output))();
  } finally {
    process.kill(child, "SIGKILL");
  }
});

test("a holder in another container that shares the folder is named by its host name", async () => {
  const { output } = newOutput();
  const first = await lockElsewhere(output, [
    "unshare",
    "--pid",
    "--fork",
    "--mount-proc",
    "--uts",
  ]);
  expect(first.answer).toBe("locked");
  const error = await refusalOf(output);
  expect(error.message).toBe(
    `Cannot use "${output}": another gateway (in the container or on the host "${hostname()}") writes it`,
  );
  expect(error.hint).toBe("end that one, or name another --output-file");
});

test("a symbolic link is not followed, and its target is not changed", async () => {
  const { output, lock } = newOutput();
  const precious = `${output}.precious`;
  writeFileSync(precious, "precious");
  symlinkSync(precious, lock);
  const error = await refusalOf(output);
  expect(error.message).toStartWith(`Cannot lock "${output}": ELOOP`);
  expect(readFileSync(precious, "utf8")).toBe("precious");
});

describe("without locks the gateway goes on with a warning", () => {
  const errno = new Int32Array([37]);

  test.each([
    [
      "the file system has no locks",
      () => ({ flock: () => -1, __errno_location: () => ptr(errno) }),
      "ENOLCK",
    ],
    ["there is no C library", () => fail("no such library"), "no such library"],
  ])("%s", async (_, openLibc, why) => {
    const real = { ...libc };
    const { output, lock } = newOutput();
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

test("a missing folder, or a file in its place, is an error with a hint", async () => {
  const { output } = newOutput();
  const missing = await refusalOf(join(output, "x.cfg"));
  expect(missing.message).toStartWith(`Cannot lock "${output}/x.cfg": ENOENT`);
  expect(missing.hint).toContain("--output-file");
  writeFileSync(output, "a file");
  const file = await refusalOf(join(output, "x.cfg"));
  expect(file.message).toStartWith(`Cannot lock "${output}/x.cfg": ENOTDIR`);
});
