// The Engine's event stream: what each event means, however the bytes come.

import { describe, expect, test } from "bun:test";
import { parseEvent, readEvents, type DockerEvent } from "../../src/docker/events.ts";

type Raw = Parameters<typeof parseEvent>[0];

const ID = "a".repeat(64);

function raw(Type: string, Action: string, Attributes: Record<string, string> = {}, id = ID): Raw {
  return { Type, Action, Actor: { ID: id, Attributes } };
}

describe("an event", () => {
  const of = (action: string): DockerEvent[] => [{ kind: "container", id: ID, action }];

  test.each<[string, Raw, DockerEvent[]]>([
    ["start", raw("container", "start"), of("start")],
    ["die", raw("container", "die", { exitCode: "137" }), of("die")],
    ["died, as podman says it", raw("container", "died"), of("died")],
    ["health", raw("container", "health_status: healthy"), of("health_status: healthy")],
    [
      "kill",
      raw("container", "kill", { signal: "15" }),
      [{ kind: "signal", id: ID, signal: "15" }],
    ],
    ["kill without a signal", raw("container", "kill"), of("kill")],
    ["a signal that is none of kill's", raw("container", "die", { signal: "9" }), of("die")],
    [
      "a network with its container",
      raw("network", "connect", { container: "b".repeat(64), name: "x" }, "net"),
      [{ kind: "container", id: "b".repeat(64), action: "connect", network: "net" }],
    ],
    ["a network alone", raw("network", "create", { name: "x" }, "net"), [{ kind: "networks" }]],
    [
      "a network, container empty",
      raw("network", "remove", { container: "" }),
      [{ kind: "networks" }],
    ],
    ["an image", raw("image", "pull"), []],
    ["a container without ID", raw("container", "start", {}, ""), []],
    ["nothing known", {}, []],
    ["no actor", { Type: "container", Action: "start" }, []],
    ["the old fields only", { status: "start", id: ID } as Raw, []],
  ])("%s", (_, event, expected) => {
    expect(parseEvent(event)).toEqual(expected);
  });
});

/** Reads these chunks to their end. */
async function read(chunks: readonly Uint8Array[]): Promise<DockerEvent[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  const events: DockerEvent[] = [];
  for await (const event of readEvents(stream)) events.push(event);
  return events;
}

describe("a stream", () => {
  // As 20.10 sends them, with names that take two, three and four bytes a character.
  const sent = [
    `{"status":"kill","id":"${ID}","Type":"container","Action":"kill","Actor":{"ID":"${ID}","Attributes":{"image":"foo/bar","name":"größe","signal":"Ωµ"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}`,
    `{"Type":"container","Action":"start 日本","Actor":{"ID":"${ID}","Attributes":{}}}`,
    "",
    `{"Type":"network","Action":"create","Actor":{"ID":"n","Attributes":{"name":"🐳"}}}\r`,
  ];
  const bytes = new TextEncoder().encode(sent.map((line) => `${line}\n`).join(""));
  const expected: DockerEvent[] = [
    { kind: "signal", id: ID, signal: "Ωµ" },
    { kind: "container", id: ID, action: "start 日本" },
    { kind: "networks" },
  ];

  test("in one chunk", async () => {
    expect(await read([bytes])).toEqual(expected);
  });

  test("byte by byte", async () => {
    expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  test("cut in two anywhere, within a character too", async () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(await read([bytes.slice(0, cut), bytes.slice(cut)])).toEqual(expected);
    }
  });

  test("what has no end of line is no event yet", async () => {
    expect(await read([bytes.slice(0, -1)])).toEqual(expected.slice(0, 2));
  });

  test("events come before the stream ends", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const events = readEvents(readable);
    const first = events.next();
    await writer.write(bytes.slice(0, 400));
    expect((await first).value).toEqual(expected[0]);
    await writer.close();
  });

  test("a line that is no JSON ends it with an error", async () => {
    const broken = new TextEncoder().encode(`${sent[1]}\nnot json\n`);
    const error: unknown = await read([broken]).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(SyntaxError);
  });

  test("nothing", async () => {
    expect(await read([])).toEqual([]);
  });
});
