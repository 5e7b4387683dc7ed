// The Engine's event stream: lines of JSON, of which only "look at this container" is taken.

/** What an event says: a container to look at again, or that the networks changed. */
export type DockerEvent =
  | { readonly kind: "container"; readonly id: string; readonly action: string }
  | { readonly kind: "signal"; readonly id: string; readonly signal: string }
  | { readonly kind: "networks" };

interface RawEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

/** The events of a stream, until it ends. A line that is no JSON ends it with a SyntaxError. */
export async function* readEvents(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<DockerEvent, void, void> {
  // A chunk holds several lines, or a part of one; a character may lie across two chunks.
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.trim() !== "") yield* parseEvent(JSON.parse(line) as RawEvent);
    }
  }
}

/** What one event of the Engine means here; often nothing. */
export function parseEvent({ Type, Action = "", Actor }: RawEvent): DockerEvent[] {
  const attributes = Actor?.Attributes ?? {};
  if (Type === "network") {
    // Podman has the container as the actor.
    const actor = Action === "connect" || Action === "disconnect" ? Actor?.ID : undefined;
    const id = attributes["container"] ?? actor;
    return id === undefined || id === ""
      ? [{ kind: "networks" }]
      : [{ kind: "container", id, action: Action }];
  }
  const id = Actor?.ID;
  if (Type !== "container" || id === undefined || id === "") return [];
  const signal = attributes["signal"];
  if (Action === "kill" && signal !== undefined) return [{ kind: "signal", id, signal }];
  return [{ kind: "container", id, action: Action }];
}
