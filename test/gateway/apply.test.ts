// What is known of HAProxy when it refuses a change or a reload: enough to ask it and to drain.

import { afterEach, beforeEach, describe, expect, test, spyOn } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Applier } from "../../src/gateway/apply.ts";
import { ownerLine, ownersText } from "../../src/config/owners.ts";
import { FormerWorkers } from "../../src/haproxy/process/former.ts";
import { ConfigFiles } from "../../src/haproxy/files/files.ts";
import { Runtime } from "../../src/haproxy/runtime/runtime.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Files } from "../../src/model.ts";
import { planChange, type Plan } from "../../src/plan/plan.ts";
import { isOwnConfig } from "../../src/template/compile.ts";
import { elapse, until, useFakeClock } from "../lab/fake-clock.ts";
import { failure } from "../lab/folder.ts";
import { labDir } from "../lab/leftovers.ts";
import { PlayedHaproxy } from "../lab/played-haproxy.ts";
import { listLogger } from "../lab/proxy.ts";

let haproxy: PlayedHaproxy;
let files: ConfigFiles;
let runtime: Runtime;
let applier: Applier;
let log: string[];

useFakeClock();
beforeEach(() => {
  haproxy = new PlayedHaproxy(labDir("apply"));
  ({ files, runtime, applier, log } = make());
});
afterEach(async () => {
  await applier.close();
  await haproxy.close();
});

/** A gateway's own parts, as a new process has them. */
function make() {
  const said: string[] = [];
  const logger = listLogger(said);
  haproxy.output = join(haproxy.statsSocket, "..", "haproxy.cfg");
  const onDisk = new ConfigFiles(haproxy.output, isOwnConfig, logger);
  const own = new Runtime(
    () => made.statsSocket,
    () => 0,
    true,
    logger,
  );
  const { program } = haproxy;
  const former = new FormerWorkers(haproxy.masterSocket, logger);
  const made = new Applier({ files: onDisk, haproxy, runtime: own, former, program, log: logger });
  return { files: onDisk, runtime: own, applier: made, log: said };
}

/** A configuration with these backends, each with one server, and a route to each. */
function site(...names: readonly string[]): Files {
  const map = files.pathOf("routes.map");
  const backends = names.map((name) => `backend ${name} from d\n    server s 127.0.0.2:8000\n`);
  const spares = haproxy.version.startsWith("2.") ? "backend _spare_1 from d\n" : "";
  return {
    config: `# Written by docker-api-gateway: what is changed here is overwritten.
global
    stats socket ${haproxy.statsSocket} level admin
defaults d
    mode http
frontend f from d
    use_backend %[path,map_beg(${map})]
${spares}${backends.join("")}`,
    assets: { [map]: { kind: "map", text: names.map((name) => `/${name}/ ${name}\n`).join("") } },
  };
}

async function planFor(wanted: Files): Promise<Plan> {
  return planChange(applier.applied, wanted, await runtime.capabilities());
}

/** Changes HAProxy while it runs. */
async function change(wanted: Files): Promise<void> {
  const plan = await planFor(wanted);
  if (plan.kind !== "runtime") throw new Error(JSON.stringify(plan));
  await applier.change(wanted, plan);
}

/** Whether HAProxy is told to drain a server, under the name that it has the backend by. */
async function drains(backend: string): Promise<void> {
  const name = applier.runningName(backend);
  runtime.drain(name, "s");
  await until(() => haproxy.told.includes(`set server ${name}/s state drain`));
}

const STUCK = new GatewayError("haproxy", "Cannot reload HAProxy: it is stuck");

describe("after a change that HAProxy refused", () => {
  beforeEach(async () => {
    await applier.reload(site("a"));
    haproxy.refuses = /^add backend/;
    const { message } = await failure(change(site("a", "b")));
    expect(message).toContain("I will not.");
  });

  test("it can still be asked, and told to drain", async () => {
    expect(applier.statsSocket).toBe(haproxy.statsSocket);
    await drains("a");
  });

  test("the next plan is a reload that says why, and then all is sure again", async () => {
    const plan = await planFor(site("a", "b"));
    expect(plan).toMatchObject({ kind: "reload" });
    expect(plan.kind === "reload" && plan.reasons[0]).toContain("I will not.");
    await applier.reload(site("a", "b"));
    expect(applier.applied.doubt).toBeUndefined();
    expect(await planFor(site("a", "b"))).toEqual({ kind: "none" });
  });

  test("what it runs is compared with nothing until then", async () => {
    await applier.verify("same");
    expect(applier.applied.doubt).toContain("I will not.");
  });
});

describe("after a reload that failed", () => {
  beforeEach(async () => {
    await applier.reload(site("a"));
    haproxy.failure = STUCK;
    expect((await failure(applier.reload(site("a", "b")))).message).toBe(STUCK.message);
  });

  test("it can still be asked, and told to drain", async () => {
    expect(applier.statsSocket).toBe(haproxy.statsSocket);
    await drains("a");
  });

  test("the files before are on disk, and the next plan is a reload that says why", async () => {
    expect(await files.read(site("a").assets)).toEqual(site("a"));
    expect(await planFor(site("a"))).toEqual({
      kind: "reload",
      reasons: ["the last reload failed"],
    });
  });
});

test("a configuration that is refused changes nothing that is known", async () => {
  await applier.reload(site("a"));
  const { message } = await failure(applier.reload(site("a", "refused")));
  expect(message).toContain("HAProxy refuses it");
  expect(applier.applied.doubt).toBeUndefined();
  expect(haproxy.reloads).toHaveLength(1);
  expect(await planFor(site("a"))).toEqual({ kind: "none" });
});

test("a backend that HAProxy has under a spare's name is drained there, also in doubt", async () => {
  haproxy.version = "2.6.12";
  await applier.reload(site("a"));
  await change(site("a", "b"));
  expect([applier.runningName("a"), applier.runningName("b")]).toEqual(["a", "_spare_1"]);
  haproxy.failure = STUCK;
  await failure(applier.reload(site("c")));
  await drains("b");
  expect(haproxy.told).toContain("set server _spare_1/s state drain");
});

describe("what an earlier gateway left", () => {
  test("is what HAProxy runs, where that says the same", async () => {
    await applier.reload(site("a", "b"));
    ({ files, runtime, applier, log } = make());
    await applier.recover(site().assets);
    expect(applier.applied).toMatchObject({ files: site("a", "b") });
    expect(await planFor(site("a", "b"))).toEqual({ kind: "none" });
    await drains("a");
  });

  test("is in doubt where HAProxy says otherwise", async () => {
    await applier.reload(site("a"));
    writeFileSync(files.output, site("a", "b").config);
    ({ files, runtime, applier, log } = make());
    await applier.recover(site().assets);
    expect(applier.applied.doubt).toBe("HAProxy has no server b/s, HAProxy has no backend b");
    await drains("a");
  });

  test("is put back where HAProxy never said that it runs it", async () => {
    await applier.reload(site("a"));
    await files.stage(site("b"));
    await files.replace(site("b"));
    ({ files, runtime, applier, log } = make());
    await applier.recover(site().assets);
    expect(await files.read(site().assets)).toEqual(site("a"));
    expect(applier.applied).toMatchObject({ doubt: "HAProxy never confirmed the last change" });
    expect(log[0]).toStartWith("warn: an earlier gateway ended before HAProxy confirmed");
  });

  test("is none of the gateway's where somebody else wrote it", async () => {
    writeFileSync(files.output, "# by hand\n");
    await applier.recover({});
    expect(applier.applied).toMatchObject({ aliases: {} });
    expect(applier.statsSocket).toBeUndefined();
  });
});

describe("comparing", () => {
  test("finds what HAProxy lost, and what another process has not", async () => {
    await applier.reload(site("a"));
    await applier.verify("same");
    expect(applier.applied.doubt).toBeUndefined();
    haproxy.read("");
    await applier.verify("same");
    expect(applier.applied.doubt).toBe(
      `HAProxy has no server a/s, HAProxy has other entries in map ${files.pathOf("routes.map")}, ` +
        "HAProxy has no backend a",
    );
  });

  test("writes a file again that somebody else changed, without a reload", async () => {
    await applier.reload(site("a"));
    writeFileSync(files.output, "# by hand\n");
    await applier.verify("same");
    await applier.close();
    expect(readFileSync(files.output, "utf8")).toBe(site("a").config);
    expect(applier.applied.doubt).toBeUndefined();
  });

  test("is in doubt where another process may have read that", async () => {
    await applier.reload(site("a"));
    writeFileSync(files.output, "# by hand\n");
    await applier.verify("another");
    expect(applier.applied.doubt).toBe(`${files.output} was changed by somebody else`);
  });

  test("finds what another process had not read yet", async () => {
    await applier.reload(site("a"));
    await change(site("a", "b"));
    haproxy.read(site("a").config);
    await applier.verify("another");
    expect(applier.applied.doubt).toContain("HAProxy has no server b/s");
  });
});

/** The same with the servers at two addresses. */
function apart(): Files {
  const both = site("a", "b");
  return { ...both, config: both.config.replace(/(backend b .*\n.*)127.0.0.2/, "$1127.0.0.3") };
}

function isOfA(place: string): boolean {
  return place === "127.0.0.2:8000";
}

function configOnDisk(): string {
  return readFileSync(files.output, "utf8");
}

describe("servers that must go at once", () => {
  beforeEach(async () => {
    await applier.reload(apart());
  });

  test("are disabled in HAProxy, and then in its file", async () => {
    await applier.takeOut(isOfA);
    expect(haproxy.servers).toEqual({
      "a/s": "127.0.0.2:8000 maint",
      "b/s": "127.0.0.3:8000 ready",
    });
    await applier.close();
    expect(configOnDisk()).toContain("server s 127.0.0.2:8000 disabled\n");
    expect(configOnDisk()).toContain("server s 127.0.0.3:8000\n");
    expect(haproxy.reloads).toHaveLength(1);
  });

  test("come back by the next plan, which knows of them", async () => {
    await applier.takeOut(isOfA);
    const plan = await planFor(apart());
    const does = plan.kind === "runtime" ? plan.operations.map((each) => each.do) : [];
    expect(does).toEqual(["enable server"]);
  });

  test("leave a waiting room open behind them, if there is one and it may be opened", async () => {
    const room = "    server _wait 127.0.0.1:1 backup disabled\n";
    const { config, assets } = apart();
    const withRooms = config.replace(/(server s 127.0.0.[23]:8000\n)/g, `$1${room}`);
    await applier.reload({ config: withRooms, assets });
    const asked: string[] = [];
    const mayWait = (backend: string): boolean => asked.push(backend) > 0;
    haproxy.told.length = 0;
    expect(await applier.takeOut(isOfA, mayWait)).toEqual(["a"]);
    expect(haproxy.told).toEqual(["set server a/_wait state ready", "set server a/s state maint"]);
    // It is open now.
    expect(await applier.takeOut(isOfA, mayWait)).toEqual([]);
    expect(await applier.takeOut(() => true)).toEqual([]);
    expect([asked, haproxy.servers["b/_wait"]]).toEqual([["a"], "127.0.0.1:1 maint"]);
  });

  test("are told to HAProxy only once", async () => {
    await applier.takeOut(isOfA);
    const count = haproxy.told.length;
    await applier.takeOut(isOfA);
    expect(haproxy.told).toHaveLength(count);
  });

  test("do not undo a change that comes while HAProxy is told", async () => {
    const answer = Promise.withResolvers<string[]>();
    spyOn(runtime, "disable").mockReturnValue(answer.promise);
    const taking = applier.takeOut(isOfA);
    const more = apart();
    const config = `${more.config}backend c from d\n    server s 127.0.0.4:8000\n`;
    await change({ ...more, config });
    answer.resolve([]);
    await taking;
    const { files: now } = applier.applied;
    expect(now?.config).toContain("backend c from d\n    server s 127.0.0.4:8000\n");
    expect(now?.config).toContain("server s 127.0.0.2:8000 disabled\n");
  });

  test("are written down beside a reload, and neither takes away the other's new files", async () => {
    let [writers, most] = [0, 0];
    const [stage, discard] = [files.stage.bind(files), files.discard.bind(files)];
    const isStaged = Promise.withResolvers<void>();
    const mayGoOn = Promise.withResolvers<void>();
    spyOn(files, "stage").mockImplementation(async (each) => {
      most = Math.max(most, ++writers);
      isStaged.resolve();
      await mayGoOn.promise;
      return stage(each);
    });
    spyOn(files, "discard").mockImplementation((each) => {
      writers--;
      return discard(each);
    });
    const { config, assets } = apart();
    const reloading = applier.reload({ config: `${config}backend c from d\n`, assets });
    await isStaged.promise;
    await applier.takeOut(isOfA);
    // So long after a change files are written at the latest.
    await elapse(100);
    mayGoOn.resolve();
    await reloading;
    await applier.close();
    expect([most, writers]).toEqual([1, 0]);
    expect(log.filter((line) => !line.startsWith("debug: "))).toEqual([]);
  });

  test("are reloaded away if HAProxy cannot be told otherwise", async () => {
    haproxy.processes = [1];
    haproxy.refuses = /state maint$/;
    await applier.takeOut(isOfA);
    expect(haproxy.reloads).toHaveLength(2);
    expect(configOnDisk()).toContain("server s 127.0.0.2:8000 disabled\n");
    expect(log[0]).toBe(
      "error: HAProxy cannot be told to spare ended containers; it is reloaded without them",
    );
    expect(log[1]).toContain("I will not.");
  });

  test("fail if there is no way at all", async () => {
    haproxy.processes = [1];
    haproxy.refuses = /state maint$/;
    haproxy.failure = STUCK;
    expect(await failure(applier.takeOut(isOfA))).toMatchObject({ message: STUCK.message });
  });

  test("are written down for a HAProxy that does not run", async () => {
    await haproxy.close();
    await applier.takeOut(isOfA);
    expect(haproxy.reloads).toHaveLength(1);
    await applier.close();
    expect(configOnDisk()).toContain("server s 127.0.0.2:8000 disabled\n");
  });
});

/** Two servers, and the container behind the first one. */
function behind(id: string): Files {
  const owner = { id, name: "web", startedAt: "", processes: undefined };
  const text = ownersText("here", [ownerLine("127.0.0.2:8000", owner)]);
  const { config, assets } = apart();
  return { config, assets: { ...assets, [files.ownersPath]: { kind: "owners", text } } };
}

test("before a reload, the old worker loses the servers whose address another container gets", async () => {
  await applier.reload(behind("1"));
  haproxy.told.length = 0;
  await applier.reload(behind("1"));
  expect(haproxy.told).toEqual([]);
  await applier.reload(behind("2"));
  expect(haproxy.told).toEqual(["set server a/s state maint"]);
});

test("a server that is gone, though HAProxy did not say so, does not hinder the next at its address", async () => {
  const [before, none, next] = [
    "    server s 127.0.0.2:8000\n",
    "",
    "    server t 127.0.0.2:8000\n",
  ].map((line): Files => {
    const one = site("a");
    return { ...one, config: one.config.replace("    server s 127.0.0.2:8000\n", line) };
  });
  if (before === undefined || none === undefined || next === undefined) throw new Error("no files");
  await applier.reload(before);
  haproxy.refuses = /^del server/;
  await change(none);
  haproxy.read(none.config);
  await change(next);
  expect(haproxy.told).toContain("set server a/s state maint");
  expect(Object.keys(haproxy.servers)).toEqual(["a/t"]);
});

describe("the files of an earlier gateway", () => {
  test("there are none, or they are somebody else's", async () => {
    expect(await applier.open()).toBeUndefined();
    writeFileSync(files.output, "global\n");
    expect(await applier.open()).toBeUndefined();
    expect(applier.statsSocket).toBeUndefined();
  });

  test("tell where HAProxy listens, which servers it has, and that nobody is known behind them", async () => {
    await applier.reload(site("a"));
    await applier.close();
    const { applier: next } = make();
    const found = await next.open();
    expect(next.statsSocket).toBe(haproxy.statsSocket);
    expect(found?.owners).toBeUndefined();
    expect(["127.0.0.2:8000", "127.0.0.3:8000"].map((place) => found?.hasServerAt(place))).toEqual([
      true,
      false,
    ]);
  });
});
