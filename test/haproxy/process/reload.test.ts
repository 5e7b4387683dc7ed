// Proves that somebody else's HAProxy is made to reload, by whichever way there is, and believed only
// where it can tell.

import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  afterAll,
  beforeAll,
  beforeEach,
  describe,
  expect,
  jest,
  setDefaultTimeout,
  spyOn,
  test,
} from "bun:test";
import { showProcesses } from "../../../src/haproxy/process/master.ts";
import { ExternalHaproxy } from "../../../src/haproxy/process/external.ts";
import { haproxyVersions } from "../../lab/haproxy.ts";
import { eventually } from "../../lab/http.ts";
import { labDir } from "../../lab/leftovers.ts";
import { failure } from "../../lab/folder.ts";
import { startPlain, type Plain } from "../../lab/plain.ts";
import { START_MS } from "../../lab/proxy.ts";

setDefaultTimeout(START_MS);

const NO_SOCKET = "/nowhere/master.sock";

describe.each(haproxyVersions())("reload, HAProxy %s", (version) => {
  let plain: Plain;
  let masterSocket: string;
  let count = 0;

  beforeAll(async () => {
    plain = await startPlain(version);
    ({ masterSocket } = plain.haproxy);
  });

  afterAll(() => plain.haproxy.stop());

  beforeEach(() => plain.answerWith(`round-${++count}`));

  function signal(): string[] {
    return ["sh", "-c", `kill -USR2 ${plain.haproxy.pid}`];
  }

  async function expectTaken(): Promise<void> {
    await eventually(async () => expect(await plain.ask()).toBe(`round-${count}`));
  }

  test("over the master's socket, where there is one and no command", async () => {
    const before = await showProcesses(masterSocket);
    await new ExternalHaproxy({
      command: undefined,
      defaultCommand: ["false"],
      masterSocket,
    }).reload();
    expect((await showProcesses(masterSocket)).reloads).toBe(before.reloads + 1);
    await expectTaken();
  });

  test("by the user's command, and the master confirms it", async () => {
    const haproxy = new ExternalHaproxy({
      command: signal(),
      defaultCommand: ["false"],
      masterSocket,
    });
    const before = await showProcesses(masterSocket);
    await haproxy.reload();
    // Once, not by the socket as well.
    expect((await showProcesses(masterSocket)).reloads).toBe(before.reloads + 1);
    await expectTaken();
  });

  test("by the default command, where there is no socket", async () => {
    await new ExternalHaproxy({
      command: undefined,
      defaultCommand: signal(),
      masterSocket: NO_SOCKET,
    }).reload();
    await expectTaken();
  });

  test("the command succeeds and HAProxy does not: an error", async () => {
    const haproxy = new ExternalHaproxy({
      command: signal(),
      defaultCommand: ["false"],
      masterSocket,
    });
    plain.spoil();
    expect((await failure(haproxy.reload())).message).toStartWith("Cannot reload HAProxy: ");
    plain.answerWith(`round-${count}`);
    await haproxy.reload();
    await expectTaken();
  });

  test("the command does nothing: an error after a while, which time alone decides", async () => {
    const haproxy = new ExternalHaproxy({
      command: ["true"],
      defaultCommand: ["false"],
      masterSocket,
    });
    let jump = 0;
    const now = Date.now;
    // Two seconds pass between one look at the clock and the next.
    const clock = spyOn(Date, "now").mockImplementation(() => now() + (jump += 2_000));
    try {
      const error = await failure(haproxy.reload());
      expect(error.message).toContain("not confirmed in 15 s: no new worker started");
    } finally {
      clock.mockRestore();
    }
  });

  test("it knows when HAProxy last read its files", async () => {
    const haproxy = new ExternalHaproxy({
      command: undefined,
      defaultCommand: ["false"],
      masterSocket,
    });
    const before = Date.now();
    await haproxy.reload();
    const after = Date.now();
    const lastRead = (await haproxy.lastRead()) ?? 0;
    // HAProxy tells whole seconds, and it is rather taken to be too early than too late.
    expect(lastRead).toBeGreaterThan(before - 2_100);
    expect(lastRead).toBeLessThanOrEqual(after);
    const other = new ExternalHaproxy({
      command: undefined,
      defaultCommand: ["false"],
      masterSocket: NO_SOCKET,
    });
    expect(await other.lastRead()).toBeUndefined();
  });
});

describe("a reload command", () => {
  const dir = labDir("reload");

  function script(name: string, text: string): string {
    const path = join(dir, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  test("gets its words as they are, without a shell", async () => {
    const out = join(dir, "words");
    await run(script("words.sh", `printf '%s|' "$@" >${out}`), "a b", "$HOME", "*", "", ";", "'");
    expect(readFileSync(out, "utf8")).toBe("a b|$HOME|*||;|'|");
  });

  test("that fails: its own lines, and what to do", async () => {
    const command = script("fail.sh", "echo on output; echo on error >&2; exit 3");
    const error = await failure(run(command, "now"));
    expect(error.message).toBe(
      `Cannot reload HAProxy with "${command} now": it ended with exit status 3`,
    );
    expect(error.lines.toSorted()).toEqual(["on error", "on output"]);
    expect(error.hint).toContain("--reload-cmd");
  });

  test("that is not there: its name, and what to do", async () => {
    const error = await failure(run("/no/such/program", "reload"));
    expect(error.message).toBe('Cannot run "/no/such/program": there is no such program');
    expect(error.hint).toContain("full path");
  });

  test("that cannot be run: its name", async () => {
    const path = join(dir, "not-executable");
    writeFileSync(path, "#!/bin/sh\n");
    chmodSync(path, 0o644);
    expect((await failure(run(path))).message).toStartWith(`Cannot run "${path}": `);
  });

  test("that hangs is ended after a while, with all its children", async () => {
    const pids = join(dir, "pids");
    const command = script(
      "hang.sh",
      `sleep 600 & echo $! $$ >${pids}.new; mv ${pids}.new ${pids}; wait`,
    );
    jest.useFakeTimers();
    try {
      const waiting = failure(run(command));
      // The clock that stands still is the gateway's, so the test must not sleep by it either.
      while (!existsSync(pids)) await new Promise((resolve) => void setImmediate(resolve));
      jest.advanceTimersByTime(29_000);
      expect(alive(pids)).toEqual([true, true]);
      jest.advanceTimersByTime(1_000);
      const error = await waiting;
      expect(error.message).toBe(
        `Cannot reload HAProxy with "${command}": it did not end in 30 s and was killed`,
      );
    } finally {
      jest.useRealTimers();
    }
    await eventually(() => expect(alive(pids)).toEqual([false, false]));
  });

  test("that leaves a child in the background is not waited for any longer", async () => {
    const pid = join(dir, "background");
    const command = script("background.sh", `echo started; sleep 600 & echo $! >${pid}`);
    try {
      await run(command);
    } finally {
      process.kill(Number(readFileSync(pid, "utf8")));
    }
  });
});

function run(...command: string[]): Promise<void> {
  const options = { command, defaultCommand: ["false"], masterSocket: NO_SOCKET };
  return new ExternalHaproxy(options).reload();
}

/** Which of the processes in this file live; what is dead and not yet buried does not. */
function alive(file: string): boolean[] {
  return readFileSync(file, "utf8")
    .trim()
    .split(" ")
    .map((pid) => {
      try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
      } catch {
        return false;
      }
    });
}
