// One gateway for each output file, told apart by real processes.

import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../src/lib/errors.ts";
import { lockOutput } from "../../src/lib/lock.ts";
import { labDir } from "../lab/leftovers.ts";

const LOCK = join(import.meta.dir, "../../src/lib/lock.ts");
const started: Bun.Subprocess[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

/** Another process that takes the lock; resolves with what it says of it. */
async function takeElsewhere(output: string) {
  const script = `
    import { lockOutput } from ${JSON.stringify(LOCK)};
    try {
      const unlock = await lockOutput(process.argv[1]);
      console.log("locked");
      for await (const _ of process.stdin) {}
      unlock();
    } catch (error) { console.log(error.message); }`;
  const child = Bun.spawn([process.execPath, "-e", script, output], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  started.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return { child, said: new TextDecoder().decode(value).trim() };
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
  writeFileSync(lock, "1 1");
  unlock();
  expect(readFileSync(lock, "utf8")).toBe("1 1");
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
