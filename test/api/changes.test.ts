// The changes that are kept, and the stream of those that come.

import { expect, test } from "bun:test";
import { changeEvents, changesDocument } from "../../src/api/changes.ts";
import { History, type Told } from "../../src/gateway/history.ts";

function told(message: string, more: Partial<Told> = {}): Told {
  return { level: "info", message, fields: { event: "routed" }, ...more };
}

function filled(count: number): History {
  const history = new History("life");
  for (let number = 1; number <= count; number++) history.add(told(`m${number}`), number);
  return history;
}

/** Reads until a message has come, and gives all that came. */
async function readUntil(stream: ReadableStream<Uint8Array>, message: string): Promise<string[]> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes(`"${message}"`)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended before ${message}`);
    text += decoder.decode(value);
  }
  await reader.cancel();
  return [...text.matchAll(/"message":"(\w+)"/g)].map(([, each = ""]) => each);
}

test("only the last thousand are kept", () => {
  const history = filled(1_005);
  const { changes } = changesDocument(history);
  expect(changes).toHaveLength(1_000);
  expect([changes[0]?.id, changes.at(-1)?.id]).toEqual(["life-6", "life-1005"]);
});

test("a change has the fields that the log has, and how HAProxy got it", () => {
  const history = new History("life");
  const fields = { event: "routed", route: "/a", container: "a-1", id: "0123", ms: 3 };
  history.add(told("a", { fields, way: { how: "runtime", reasons: [] } }), 0);
  history.add(told("b", { fields, way: { how: "reload", reasons: ["why"] } }), 1_000);
  const both = {
    level: "info" as const,
    event: "routed",
    route: "/a",
    container: "a-1",
    containerId: "0123",
  };
  expect(changesDocument(history).changes).toEqual([
    {
      id: "life-1",
      time: "1970-01-01T00:00:00.000Z",
      message: "a",
      ms: 3,
      how: "runtime",
      ...both,
    },
    {
      id: "life-2",
      time: "1970-01-01T00:00:01.000Z",
      message: "b",
      ms: 3,
      how: "reload",
      reasons: ["why"],
      ...both,
    },
  ]);
});

test.each([
  ["", ["new"]],
  ["life-3", ["m4", "m5", "new"]],
  ["life-5", ["new"]],
  // It cannot know of what has not been.
  ["life-9", ["new"]],
  ["former-3", ["m1", "m2", "m3", "m4", "m5", "new"]],
  ["nonsense", ["m1", "m2", "m3", "m4", "m5", "new"]],
])("who knows %j gets what came later", async (lastId, messages) => {
  const history = filled(5);
  const reading = readUntil(changeEvents(history, lastId), "new");
  await Bun.sleep(0);
  history.add(told("new"), 6);
  expect(await reading).toEqual(messages);
});

test("who does not read keeps nothing waiting, and misses only what is kept no more", async () => {
  const history = filled(1);
  const stream = changeEvents(history, "life-0");
  for (let number = 2; number <= 5_000; number++) history.add(told(`m${number}`), number);
  const messages = await readUntil(stream, "m5000");
  expect(messages).toHaveLength(1_000);
  expect(messages[0]).toBe("m4001");
});

test("a stream without news says that it lives, and one that is left waits for nothing", async () => {
  const history = filled(0);
  const reader = changeEvents(history, "").getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe(":\n\n");
  await reader.cancel();
  history.add(told("m1"), 1);
  expect((await reader.read()).done).toBe(true);
});
