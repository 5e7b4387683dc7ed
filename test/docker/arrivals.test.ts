// Containers that are known before they run: what is read of them, and what is made of it.

import { afterEach, beforeEach, describe, expect, jest, spyOn, test } from "bun:test";
import type { DockerEvent } from "../../src/docker/events.ts";
import { Store } from "../../src/docker/store.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { HAS_ENDED } from "../../src/model.ts";
import { elapse, through, turn, useFakeClock } from "../lab/fake-clock.ts";
import { PlayedClient } from "../lab/played-client.ts";

const { signal } = new AbortController();
const A = "a".repeat(64);
const REFUSED = new GatewayError("docker", "403 Forbidden");

let client: PlayedClient;
let store: Store;

useFakeClock();
afterEach(() => jest.restoreAllMocks());
beforeEach(async () => {
  spyOn(Math, "random").mockReturnValue(0);
  client = new PlayedClient();
  store = new Store(client.asClient, {
    changed: () => undefined,
    failed: () => undefined,
    worked: () => undefined,
  });
  await refresh();
  client.asked.length = 0;
});

const refresh = () => through(store.refresh(signal));

function happened(action: string, network?: string): DockerEvent {
  return { kind: "container", id: A, action, ...(network === undefined ? {} : { network }) };
}

/** Each container that is known, with its addresses and ports. */
function known(): string[] {
  return store.snapshot().containers.map(({ name, state, health, attachments, exposed }) => {
    const at = attachments.map(({ network, ipv4 }) => `${network} ${ipv4}`).join(", ");
    const note = health === "none" ? "" : ` ${health}`;
    return `${name} ${state}${note} at ${at}: ${exposed.map(String).join(" ")}`;
  });
}

/** It is created, and inspected then. */
async function created(rest: Partial<Parameters<PlayedClient["add"]>[1]> = {}): Promise<void> {
  client.add(A, { name: "one", status: "created", ...rest });
  store.note(happened("create"));
  await refresh();
}

/** It is created and started at once, so that its inspection gets no answer until it runs. */
async function hurried(rest: Partial<Parameters<PlayedClient["add"]>[1]> = {}): Promise<void> {
  client.add(A, { name: "one", status: "created", ...rest });
  client.hang(A);
  store.note(happened("create"));
  await refresh();
  store.note(happened("connect", "bridge"));
  await refresh();
}

/** It runs now, and whoever asked about it gets the answer. */
async function runs(rest: Partial<Parameters<PlayedClient["add"]>[1]> = {}) {
  client.add(A, { name: "one", ...rest });
  const noted = store.note(happened("start"));
  client.answer(A);
  await turn();
  const { started } = await refresh();
  return { noted, started };
}

describe("a container that was inspected when it was created", () => {
  test("has its addresses before it runs, and is inspected only afterwards", async () => {
    await created();
    expect(known()).toEqual([]);
    store.note(happened("connect", "bridge"));
    await refresh();
    expect(known()).toEqual(["one starting at bridge 172.17.0.2: 8000"]);
    expect(client.asked).toEqual([A, "network bridge"]);
    client.add(A, { name: "one" });
    expect(store.note(happened("start"))).toMatchObject({ what: "started", container: { id: A } });
    expect(store.begunAt(A)).toBe(Date.now());
    const { marks } = await refresh();
    expect(store.begunAt(A)).toBeUndefined();
    expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000"]);
    expect([[...marks.keys()], client.asked.length]).toEqual([[A], 2]);
    await elapse(50);
    await refresh();
    expect(client.asked.slice(2)).toEqual([A]);
    expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000"]);
  });

  test("in several networks has all its addresses or none", async () => {
    client.networks = { bridge: "bridge", back: "bridge" };
    await created({ networks: ["bridge", "back"] });
    store.note(happened("connect", "back"));
    store.note(happened("connect", "bridge"));
    client.hang("network back");
    await refresh();
    expect(known()).toEqual([]);
    client.answer("network back");
    await turn();
    await refresh();
    expect(known()).toEqual(["one starting at back 172.17.0.2, bridge 172.17.0.2: 8000"]);
  });

  test("with a HEALTHCHECK gets no requests at its start", async () => {
    await created({ isChecked: true });
    store.note(happened("connect", "bridge"));
    await refresh();
    client.add(A, { name: "one", isChecked: true, health: "starting" });
    expect(store.note(happened("start"))).toBeUndefined();
    expect(known()).toEqual(["one running starting at bridge 172.17.0.2: 8000"]);
  });

  test("does not start after all", async () => {
    await created();
    store.note(happened("connect", "bridge"));
    await refresh();
    store.note(happened("disconnect", "bridge"));
    await refresh();
    expect(known()).toEqual([]);
  });

  test("does not start, and nobody tells", async () => {
    await created();
    store.note(happened("connect", "bridge"));
    await refresh();
    await elapse(2_000);
    await refresh();
    expect(known()).toEqual([]);
  });

  test("is removed before it starts", async () => {
    await created();
    store.note(happened("connect", "bridge"));
    await refresh();
    client.containers.delete(A);
    store.note(happened("destroy"));
    await refresh();
    expect(known()).toEqual([]);
  });

  test("was stopped and starts again", async () => {
    client.add(A, { name: "one" });
    store.note(happened("start"));
    await refresh();
    client.add(A, { name: "one", status: "exited" });
    store.note(happened("die"));
    await refresh();
    store.note(happened("connect", "bridge"));
    await refresh();
    expect(known()).toEqual(["one starting at bridge 172.17.0.2: 8000"]);
    expect(store.note(happened("start"))).toMatchObject({ what: "started", container: { id: A } });
    expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000"]);
  });

  test("was to be restarted and does not start after all: Docker still has it", async () => {
    client.add(A, { name: "one", status: "restarting" });
    store.note(happened("die"));
    await refresh();
    store.note(happened("connect", "bridge"));
    await refresh();
    expect(known()).toEqual(["one starting at bridge 172.17.0.2: 8000"]);
    client.add(A, { name: "one", status: "exited" });
    store.note(happened("disconnect", "bridge"));
    expect(store.remains(A)).toBe(true);
    await refresh();
    expect([known(), store.remains(A)]).toEqual([[], true]);
  });
});

describe("a container whose inspection gets no answer before it runs", () => {
  test("is known from the list and its image", async () => {
    await hurried();
    expect(client.asked).toEqual([A, "network bridge", "listed a", "image sha256:0"]);
    expect(known()).toEqual(["one starting at bridge 172.17.0.2: 8000"]);
    // Not older than any of its second, until it is known.
    expect(store.snapshot().containers[0]?.created).toBe(999);
    expect(await runs()).toMatchObject({ noted: undefined, started: [{ id: A, created: 0 }] });
    expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000"]);
  });

  test("is something else: it gets its requests as if it had not been known", async () => {
    await hurried();
    expect(await runs({ exposed: ["9000/tcp"] })).toEqual({ noted: undefined, started: [] });
    expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000 9000"]);
  });

  test("has variables that say where it is served: it gets no requests before these are known", async () => {
    await hurried();
    const environment = ["NETWORK_ACCESS=internal", "VIRTUAL_HOST=a.test"];
    expect(store.snapshot().containers[0]?.environment).toEqual({});
    expect(await runs({ environment })).toEqual({ noted: undefined, started: [] });
    expect(store.snapshot().containers[0]?.environment).toEqual({
      NETWORK_ACCESS: "internal",
      VIRTUAL_HOST: "a.test",
    });
  });

  test("has a HEALTHCHECK of its own: it gets no requests at its start", async () => {
    await hurried();
    expect(await runs({ health: "starting" })).toEqual({ noted: undefined, started: [] });
    expect(known()).toEqual(["one running starting at bridge 172.17.0.2: 8000"]);
  });

  test.each(["die", "disconnect, die"])(
    "has ended before it answers: it is not forgotten, and gets no requests (%s)",
    async (actions) => {
      await hurried();
      store.note(happened("start"));
      for (const action of actions.split(", ")) {
        store.note(happened(action));
        await refresh();
        const { state, stopping } = store.snapshot().containers[0] ?? {};
        expect([state, stopping]).toEqual(
          action === "die" ? ["running", HAS_ENDED] : ["starting", 0],
        );
      }
      expect(store.remains(A)).toBe(true);
      // Docker is about to start it again.
      client.add(A, { name: "one", ip: "", status: "restarting" });
      client.answer(A);
      await turn();
      await refresh();
      expect(known()).toEqual(["one restarting at bridge : 8000"]);
    },
  );

  test("answers after all", async () => {
    await hurried();
    client.answer(A);
    await turn();
    await refresh();
    expect(known()).toEqual(["one starting at bridge 172.17.0.2: 8000"]);
    client.add(A, { name: "one" });
    expect(store.note(happened("start"))).toMatchObject({ what: "started", container: { id: A } });
  });

  test.each(["network bridge", "listed a", "image sha256:0"])(
    "and %s may not be read: it is known once it runs",
    async (what) => {
      client.failing.set(what, REFUSED);
      await hurried();
      expect(known()).toEqual([]);
      expect(await runs()).toEqual({ noted: undefined, started: [] });
      expect(known()).toEqual(["one running at bridge 172.17.0.2: 8000"]);
    },
  );
});

test("one that ran before is told to end right after it has started again: it is stopping", async () => {
  client.add(A, { name: "one", status: "exited", startedAt: "1970-01-01" });
  store.note(happened("die"));
  await refresh();
  store.note(happened("connect", "bridge"));
  await refresh();
  client.add(A, { name: "one", startedAt: "1970-01-02" });
  expect(store.note(happened("start"))).toMatchObject({ what: "started" });
  expect(store.note({ kind: "signal", id: A, signal: "15" })).toEqual({ what: "ending", id: A });
  const before = client.asked.length;
  await elapse(1_000);
  await refresh();
  expect(client.asked.slice(before)).toContain(A);
  const [{ startedAt, stopping } = {}] = store.snapshot().containers;
  expect([startedAt, (stopping ?? 0) > HAS_ENDED]).toEqual(["1970-01-02", true]);
});

test("a network that a running container is connected to is read with it", async () => {
  client.add(A, { name: "one" });
  store.note(happened("start"));
  await refresh();
  client.networks = { bridge: "bridge", back: "bridge" };
  client.add(A, { name: "one", networks: ["bridge", "back"] });
  store.note(happened("connect", "back"));
  await refresh();
  expect(known()).toEqual(["one running at back 172.17.0.2, bridge 172.17.0.2: 8000"]);
});
