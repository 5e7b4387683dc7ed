// The loop under a clock of the test's own: when it reads, when it tries again, who is told.

import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Container } from "../../src/model.ts";
import { until, useFakeClock } from "../lab/fake-clock.ts";
import {
  onLoopback,
  PlayedGateway,
  WAIT,
  WITH_SOCKET,
  WITHOUT_SOCKET,
} from "../lab/played-gateway.ts";

const web = onLoopback("web", { image: "web" });
const web2 = onLoopback("web2", { image: "web" });
const shop = onLoopback("shop", { image: "shop" });

const BROKEN = new GatewayError("docker", 'Cannot reach Docker at "played": it is broken');
const STUCK = new GatewayError("haproxy", "Cannot reload HAProxy: it is stuck");
const NOTE = "what is served stays as it is; trying again";
const REFUSED = WITHOUT_SOCKET.replace("mode http", "refused");
const TEN_MINUTES = 600_000;

let played: PlayedGateway;

useFakeClock();
// No delay is longer than it says.
beforeEach(() => void spyOn(Math, "random").mockReturnValue(0));
afterEach(async () => {
  await played.stop();
  jest.restoreAllMocks();
});

/** How long after a moment those are that came later, in milliseconds. */
function after(moment: number, times: readonly number[]): number[] {
  return times.map((time) => time - moment).filter((ms) => ms > 0);
}

/** A gateway that serves one container, and since when. */
async function serving(template = WITHOUT_SOCKET): Promise<number> {
  played = new PlayedGateway(template);
  await played.start(web);
  expect(played.served).toEqual(["web"]);
  return Date.now();
}

/** A gateway that serves one container. Its HAProxy has just become another process. */
async function withAnotherProcess(): Promise<void> {
  await serving(WITH_SOCKET);
  // This pass learns which process it is.
  played.source.change(web);
  await played.rest();
  played.haproxy.read(readFileSync(played.files.output, "utf8"));
}

/** Whether a promise is done. */
function isDone(promise: Promise<unknown>): () => boolean {
  let done = false;
  void promise.then(() => (done = true));
  return () => done;
}

describe("after a failure", () => {
  test("the back-off wins over changes that wait for quiet", async () => {
    const start = await serving();
    played.source.change(web, shop);
    await played.rest();
    played.source.failure = BROKEN;
    await played.elapse(TEN_MINUTES);
    const reads = after(start, played.source.reads);
    // At the end of the quiet period, then after 1, 2, 4, 8, 16 s and so on; every minute is a look.
    expect(reads.slice(0, 10)).toEqual([
      200, 1_200, 3_200, 7_200, 15_200, 31_200, 60_000, 63_200, 120_000, 123_200,
    ]);
    expect(reads.length).toBeLessThan(30);
    const errors = played.log.filter((line) => line.startsWith("error: "));
    expect(errors[0]).toBe(`error: ${BROKEN.message} (${NOTE})`);
    expect(errors.slice(1)).toEqual([
      `error: ${BROKEN.message} (${NOTE}; 7 times since)`,
      ...Array.from({ length: 8 }, () => `error: ${BROKEN.message} (${NOTE}; 2 times since)`),
    ]);
    expect(played.gateway.state.counters.failures).toBe(reads.length);

    played.source.failure = undefined;
    await played.elapse(61_000);
    expect(played.served).toEqual(["shop", "web"]);
  });

  test("it worked in between: the same failure is news, and tried again soon", async () => {
    await serving();
    for (let round = 1; round <= 3; round++) {
      played.source.failure = BROKEN;
      const again = Date.now();
      played.source.change(web);
      await played.elapse(1_500);
      expect(after(again, played.source.reads)).toEqual([1_000]);
      const told = played.log.filter((line) => line === `error: ${BROKEN.message} (${NOTE})`);
      expect(told).toHaveLength(round);
      played.source.failure = undefined;
      await played.elapse(2_000);
    }
  });

  test("of a reload it is tried again after 1, 2, 4 ... 60 s, and told once a minute", async () => {
    const start = await serving();
    played.haproxy.failure = STUCK;
    await played.elapse(5_000);
    played.source.change(web, shop);
    await played.elapse(TEN_MINUTES);
    expect(after(start, played.haproxy.reloads)).toEqual(
      [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363, 423, 483, 543].map(
        (s) => 5_000 + s * 1_000,
      ),
    );
    const errors = played.log.filter((line) => line.includes(STUCK.message));
    expect(errors.slice(0, 3)).toEqual([
      `error: ${STUCK.message} (${NOTE})`,
      `error: ${STUCK.message} (${NOTE}; 6 times since)`,
      `error: ${STUCK.message} (${NOTE})`,
    ]);
    expect(played.served).toEqual(["web"]);

    played.haproxy.failure = undefined;
    await played.elapse(60_000);
    expect(played.served).toEqual(["shop", "web"]);
    const again = Date.now();
    played.haproxy.failure = STUCK;
    await played.elapse(5_000);
    played.source.change(web);
    await played.elapse(2_000);
    // Its success is forgotten by nobody: the next failure begins anew.
    expect(after(again, played.haproxy.reloads)).toEqual([5_000, 6_000]);
  });

  test("an event is looked at at once and does not put the retry off", async () => {
    const start = await serving();
    played.source.failure = BROKEN;
    played.source.change(web);
    await played.elapse(10_000);
    played.source.change(web, shop);
    await played.rest();
    expect(after(start, played.source.reads)).toEqual([1_000, 3_000, 7_000, 10_000]);
    await played.elapse(1_000);
    played.source.change(web);
    await played.elapse(20_500);
    expect(after(start, played.source.reads).slice(3)).toEqual([10_000, 11_000, 15_000, 31_000]);
  });

  test("a new change is tried after its quiet period", async () => {
    const start = await serving();
    await played.elapse(5_000);
    played.haproxy.failure = STUCK;
    played.source.change(web, shop);
    // Tried at 5, 6 and 8 s; again at 12 s.
    await played.elapse(3_100);
    played.haproxy.failure = undefined;
    played.source.change(shop);
    await played.elapse(199);
    expect(after(start, played.haproxy.reloads)).toEqual([5_000, 6_000, 8_000]);
    await played.elapse(1);
    expect(after(start, played.haproxy.reloads)).toEqual([5_000, 6_000, 8_000, 8_300]);
    expect(played.served).toEqual(["shop"]);
  });

  test("and at once, where nothing was reloaded for long", async () => {
    const start = await serving();
    await played.elapse(5_000);
    played.haproxy.failure = STUCK;
    played.source.change(web, shop);
    await played.elapse(6_000);
    played.source.change(shop);
    await played.rest();
    expect(after(start, played.haproxy.reloads)).toEqual([5_000, 6_000, 8_000, 11_000]);
  });
});

describe("reading everything again", () => {
  test("asked for in the middle of a pass, it is done after the next one", async () => {
    await serving();
    played.source.hold();
    played.source.change(web);
    await until(() => !played.source.isIdle());
    const [one, two] = [isDone(played.gateway.resync()), isDone(played.gateway.resync())];
    const reads = played.source.reads.length;
    played.source.letOne();
    await until(() => played.source.reads.length > reads);
    expect([one(), two()]).toEqual([false, false]);
    const late = isDone(played.gateway.resync());
    played.source.letOne();
    await until(() => played.source.reads.length > reads + 1);
    expect([one(), two(), late()]).toEqual([true, true, false]);
    played.source.letOne();
    await until(late);
    await played.rest();
    expect(played.source.reads.length).toBe(reads + 2);
  });

  test("it is done where that pass fails too", async () => {
    await serving();
    played.source.failure = BROKEN;
    played.source.hold();
    played.source.change(web);
    await until(() => !played.source.isIdle());
    const done = isDone(played.gateway.resync());
    const reads = played.source.reads.length;
    played.source.letOne();
    await until(() => played.source.reads.length > reads);
    expect(done()).toBe(false);
    played.source.letOne();
    await until(done);
  });

  test("what HAProxy lost since is found", async () => {
    await serving(WITH_SOCKET);
    played.haproxy.read("");
    await played.gateway.resync();
    await played.rest();
    expect(Object.values(played.haproxy.servers)).toEqual(["127.0.0.2:8000 ready"]);
    expect(played.haproxy.reloads).toHaveLength(2);
  });
});

describe("once", () => {
  test("is one pass", async () => {
    played = new PlayedGateway(WITHOUT_SOCKET);
    played.source.change(web);
    await played.once();
    expect(played.served).toEqual(["web"]);
    expect(played.source.reads).toHaveLength(1);
  });

  test("is two where a template is refused and an older one works", async () => {
    played = new PlayedGateway(WITHOUT_SOCKET);
    await played.once();
    jest.advanceTimersByTime(WAIT.max);
    writeFileSync(played.templateFile, REFUSED);
    played.source.change(web);
    await played.once();
    expect(played.source.reads).toHaveLength(3);
    expect(played.served).toEqual(["web"]);
    expect(played.log.filter((line) => line.startsWith("error: "))[0]).toEndWith(
      "(the template before it is used on)",
    );
  });

  test.each<[string, (gateway: PlayedGateway) => void, string]>([
    ["reading does", ({ source }) => (source.failure = BROKEN), BROKEN.message],
    ["the reload does", ({ haproxy }) => (haproxy.failure = STUCK), STUCK.message],
    [
      "HAProxy refuses the only template",
      ({ templateFile }) => writeFileSync(templateFile, REFUSED),
      "HAProxy refuses it",
    ],
  ])("fails where %s", async (_, spoil, message) => {
    played = new PlayedGateway(WITHOUT_SOCKET);
    spoil(played);
    const error: unknown = await played.once().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).message).toContain(message);
  });
});

/** A gateway that comes after one that served `web`, and knows only of these containers. */
async function next(...containers: Container[]): Promise<number> {
  const start = await serving();
  await played.stop();
  played = new PlayedGateway(WITHOUT_SOCKET, played.dir);
  played.source.isComplete = false;
  await played.start(...containers);
  return start;
}

describe("as long as not all containers are known", () => {
  test("those that are known are served where nothing was", async () => {
    played = new PlayedGateway(WITHOUT_SOCKET);
    played.source.isComplete = false;
    await played.start();
    expect(played.haproxy.reloads).toHaveLength(0);
    played.source.change(web);
    await played.rest();
    expect(played.served).toEqual(["web"]);
    // What was known may go, and the rest may come.
    played.source.change(shop);
    await played.elapse(WAIT.min);
    expect(played.served).toEqual(["shop"]);
  });

  test("what an earlier gateway served stays, and is learnt about", async () => {
    const start = await next(shop);
    await played.elapse(120_000);
    expect([played.served, after(start, played.haproxy.reloads)]).toEqual([["web"], []]);
    expect([...played.source.unknown]).toEqual([web.id.slice(0, 12)]);
    played.source.change(shop, web);
    await played.rest();
    expect(played.served).toEqual(["shop", "web"]);
    played.source.change(shop);
    await played.elapse(WAIT.max);
    expect(played.served).toEqual(["shop"]);
  });

  test("what has ended since goes", async () => {
    await next(shop);
    played.source.known.add(web.id);
    played.source.change(shop);
    await played.rest();
    expect(played.served).toEqual(["shop"]);
  });

  test("and all that has ended goes once they are known", async () => {
    await next(shop);
    played.source.isComplete = true;
    played.source.change(shop);
    await played.rest();
    expect(played.served).toEqual(["shop"]);
  });

  test("servers that name no container wait for that", async () => {
    await next(shop);
    await played.stop();
    const { output } = played.files;
    const named = readFileSync(output, "utf8");
    writeFileSync(output, named.replace(/(backend web .*\n +server )\w+/, "$1own"));
    const { dir } = played;
    played = new PlayedGateway(WITHOUT_SOCKET, dir);
    played.source.isComplete = false;
    await played.start(shop);
    await played.elapse(120_000);
    expect([played.served, [...played.source.unknown]]).toEqual([["web"], []]);
  });
});

describe("the comparison with HAProxy", () => {
  test("knows of another process after a pass in which the Engine could not be read", async () => {
    await withAnotherProcess();
    const verify = spyOn(played.applier, "verify");
    played.source.failure = BROKEN;
    played.source.change(web, shop);
    await played.rest();
    expect(verify).not.toHaveBeenCalled();
    played.source.failure = undefined;
    await played.elapse(1_000);
    expect(verify.mock.calls).toEqual([["another"]]);
    await until(() => "shop" in Object.groupBy(Object.keys(played.haproxy.servers), backendOf));
  });

  test("is made again if it failed, and then no more", async () => {
    await withAnotherProcess();
    const verify = spyOn(played.applier, "verify").mockRejectedValueOnce(STUCK);
    void played.gateway.resync();
    await played.rest();
    expect(verify.mock.calls).toEqual([["another"]]);
    await played.elapse(1_000);
    expect(verify.mock.calls).toEqual([["another"], ["another"]]);
    played.source.change(web, shop);
    await played.elapse(10_000);
    expect(verify).toHaveBeenCalledTimes(2);
  });
});

describe("looking for containers that do not answer", () => {
  test.each<[string, Error, string]>([
    ["HAProxy is gone", STUCK, `debug: cannot tell which containers answer: ${STUCK.message}`],
    ["there is a bug", new TypeError("it is undefined"), "error: it is undefined"],
  ])("ends nothing where %s", async (_, error, line) => {
    await serving(WITH_SOCKET);
    let isAway = true;
    answerStats(() => (isAway ? Promise.reject(error) : Promise.resolve("")));
    await played.elapse(9_999);
    expect(played.log).not.toContain(line);
    await played.elapse(1);
    await until(() => played.log.includes(line));
    isAway = false;
    played.source.change(web, shop);
    await until(() => "shop" in Object.groupBy(Object.keys(played.haproxy.servers), backendOf));
  });

  test("holds up no change as long as HAProxy gives no answer", async () => {
    await serving(WITH_SOCKET);
    const never = Promise.withResolvers<string>();
    let looks = 0;
    answerStats(() => {
      looks++;
      return never.promise;
    });
    await played.elapse(10_000);
    await until(() => looks === 1);
    played.source.change(web, shop);
    await until(() => "shop" in Object.groupBy(Object.keys(played.haproxy.servers), backendOf));
  });

  const stats = `# pxname,svname,status,lastchg,addr\nweb,x,DOWN,10,127.0.0.2:8000\n`;

  test("tells of one that was never up", async () => {
    await serving(WITH_SOCKET);
    answerStats(() => Promise.resolve(stats));
    await played.elapse(30_000);
    expect(silent()).toHaveLength(1);
  });

  test("looks again after a while if HAProxy could not be asked", async () => {
    await serving(WITH_SOCKET);
    let [looks, answer] = [0, (): Promise<string> => Promise.reject(STUCK)];
    answerStats(() => {
      looks++;
      return answer();
    });
    await played.elapse(15_000);
    expect([looks, silent()]).toEqual([1, []]);
    answer = () => Promise.resolve(stats);
    await played.elapse(15_000);
    expect(silent()).toHaveLength(1);
  });

  test("looks for servers that went down every two seconds, and at once where HAProxy says so", async () => {
    await serving(WITH_SOCKET);
    const name = web.id.slice(0, 12);
    let [looks, state] = [0, 2];
    const ask = played.runtime.ask.bind(played.runtime);
    spyOn(played.runtime, "ask").mockImplementation((line) => {
      if (line !== "show info;show servers state") return ask(line);
      looks++;
      const fields = `1 web 1 ${name} 127.0.0.2 ${state} 0 1 1 5 6 3 4 6 0 0 0 - 8000 - 0`;
      return Promise.resolve(`Pid: 1\n${fields}\n`);
    });
    await played.elapse(10_500);
    expect(looks).toBeWithin(4, 6);
    const down = () => played.gateway.state.changes.filter(({ event }) => event === "down");
    expect(down()).toEqual([]);
    state = 0;
    const before = looks;
    expect(
      played.gateway.noticed(`Server web/${name} is DOWN, reason: Layer4 timeout.`),
    ).toBeTrue();
    expect(played.gateway.noticed("Server own/a is DOWN, reason: Layer4 timeout.")).toBeFalse();
    // Of one that has just ended nobody wants to hear.
    expect(
      played.gateway.noticed("Server web/0123456789ab is DOWN, reason: Layer4 timeout."),
    ).toBeTrue();
    await played.elapse(60);
    await until(() => down().length === 1);
    expect(looks).toBe(before + 1);
    expect(down()).toMatchObject([{ container: "web", route: "/web" }]);
    await played.elapse(10_000);
    expect(looks).toBeWithin(before + 4, before + 7);
  });
});

describe("looking at how containers answer", () => {
  const circles = `0x1: key=${web.id.slice(0, 12)} use=0 exp=1 conn_cnt=1\n`;

  test("happens every minute and at SIGHUP, and is a change of the state", async () => {
    await serving(WITH_SOCKET);
    let looks = 0;
    spyOn(played.runtime, "ask").mockImplementation((line) => {
      if (line.startsWith("show table")) looks++;
      return Promise.resolve(circles);
    });
    await played.elapse(61_000);
    await until(() => looks === 1);
    const odd = () => played.gateway.state.changes.filter(({ event }) => event === "odd answers");
    await until(() => odd().length === 1);
    expect(odd()).toMatchObject([{ container: "web", answers: "circle" }]);
    expect(played.gateway.state.counters.changes).toBe(played.gateway.state.changes.length);
    await played.gateway.resync();
    await until(() => looks === 2);
    await played.elapse(61_000);
    await until(() => looks === 3);
    expect(odd()).toHaveLength(1);
  });

  test.each<[string, Error, string]>([
    ["HAProxy is gone", STUCK, `debug: cannot tell how containers answer: ${STUCK.message}`],
    ["there is a bug", new TypeError("it is undefined"), "error: it is undefined"],
  ])("ends nothing where %s", async (_, error, line) => {
    await serving(WITH_SOCKET);
    const ask = spyOn(played.runtime, "ask").mockImplementation((command) =>
      command.startsWith("show table") ? Promise.reject(error) : Promise.resolve(circles),
    );
    await played.elapse(61_000);
    await until(() => played.log.includes(line));
    ask.mockRestore();
    played.source.change(web, shop);
    await until(() => "shop" in Object.groupBy(Object.keys(played.haproxy.servers), backendOf));
  });
});

/** Answers what is asked about servers. */
function answerStats(answer: () => Promise<string>): void {
  const ask = played.runtime.ask.bind(played.runtime);
  spyOn(played.runtime, "ask").mockImplementation((line) =>
    line.startsWith("show stat") ? answer() : ask(line),
  );
}

/** What was told of containers that never answered. */
function silent() {
  return played.gateway.state.changes.filter(({ event }) => event === "no answer");
}

function backendOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}

describe("HAProxy is still told to drain", () => {
  const draining = `set server web/${web.id.slice(0, 12)} state drain`;

  test("after a reload that failed", async () => {
    played = new PlayedGateway(WITH_SOCKET);
    await played.start(web, web2);
    await played.elapse(WAIT.max);
    played.haproxy.failure = STUCK;
    // Another map file takes a reload.
    writeFileSync(played.templateFile, `${WITH_SOCKET}{{#map "more"}}{{/map}}`);
    await played.gateway.resync();
    expect(played.gateway.state.counters.failures).toBe(1);
    played.source.end(web);
    await until(() => played.haproxy.told.includes(draining));
  });

  test("after a change that it refused", async () => {
    played = new PlayedGateway(WITH_SOCKET);
    await played.start(web, web2);
    played.haproxy.refuses = /^add backend/;
    played.haproxy.failure = STUCK;
    played.source.change(web, web2, shop);
    await played.rest();
    expect(played.haproxy.reloads).toHaveLength(1);
    await played.elapse(WAIT.min);
    expect(played.haproxy.reloads).toHaveLength(2);
    played.source.end(web);
    await until(() => played.haproxy.told.includes(draining));

    played.haproxy.failure = undefined;
    await played.elapse(1_000);
    expect(played.served).toEqual(["shop", "web"]);
    const reload = played.gateway.state.changes.findLast(({ event }) => event === "reload");
    expect(reload).toMatchObject({ reasons: ["the last reload failed"] });
  });
});

test("a container that is told to end just as a pass has read all of them stays drained", async () => {
  played = new PlayedGateway(WITH_SOCKET);
  await played.start(web, web2);
  await played.elapse(WAIT.max);
  const { source, haproxy } = played;
  const read = source.snapshot.bind(source);
  spyOn(source, "snapshot").mockImplementationOnce(() => {
    const before = read();
    void Promise.resolve().then(() => {
      source.end(web);
      source.change({ ...web, stopping: Date.now() }, web2, shop);
    });
    return before;
  });
  const from = haproxy.told.length;
  source.change(web, web2, shop);
  const server = `web/${web.id.slice(0, 12)}`;
  await until(() => haproxy.servers[server]?.endsWith("drain") === true);
  await played.rest();
  expect(haproxy.told.slice(from).filter((line) => line.includes(server))).not.toContain(
    `set server ${server} state ready`,
  );
  expect(haproxy.servers[server]).toEndWith("drain");
});

test("a change that is taken back while it waits for quiet makes no reload", async () => {
  await serving();
  played.source.change(web, shop);
  await played.rest();
  played.source.change(web);
  await played.elapse(10_000);
  expect(played.haproxy.reloads).toHaveLength(1);
});

test("it ends in the middle of what it waits for, and the files are written", async () => {
  played = new PlayedGateway(WITH_SOCKET);
  await played.start(web);
  played.source.change(web, shop);
  await until(() => "shop" in Object.groupBy(Object.keys(played.haproxy.servers), backendOf));
  await played.rest();
  expect(played.served).toEqual(["web"]);
  const ending = isDone(played.stop());
  await until(ending);
  expect(played.served).toEqual(["shop", "web"]);
});
