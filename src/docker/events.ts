// The Engine's event stream: lines of JSON. An event says only what to read again, or who got a signal.

/**
 * A container to read again, a signal that was sent to a container, or a change of the networks, or of
 * services or nodes of a swarm.
 */
export type DockerEvent =
  | {
      readonly kind: "container";
      readonly id: string;
      readonly action: string;
      /** The ID of the network that the container was connected to or disconnected from, if any. */
      readonly network?: string;
    }
  | { readonly kind: "signal"; readonly id: string; readonly signal: string }
  | { readonly kind: "networks" }
  | { readonly kind: "swarm"; readonly of: "service" | "node"; readonly id: string };

interface RawEvent {
  readonly Type?: string;
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
}

/** Yields the events of a stream. @throws SyntaxError if a line is not JSON */
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

/** Translates one event of the Engine. Empty if the event is of no interest. */
export function parseEvent({ Type, Action = "", Actor }: RawEvent): DockerEvent[] {
  const attributes = Actor?.Attributes ?? {};
  if (Type === "network") {
    // Podman names the container as the actor, Docker names it as an attribute.
    const actor = Action === "connect" || Action === "disconnect" ? Actor?.ID : undefined;
    const id = attributes["container"] ?? actor;
    if (id === undefined || id === "") return [{ kind: "networks" }];
    const network = id === Actor?.ID ? undefined : Actor?.ID;
    return [
      { kind: "container", id, action: Action, ...(network === undefined ? {} : { network }) },
    ];
  }
  const id = Actor?.ID;
  if (Type === "service" || Type === "node") return [{ kind: "swarm", of: Type, id: id ?? "" }];
  if (Type !== "container" || id === undefined || id === "") return [];
  const signal = attributes["signal"];
  if (Action === "kill" && signal !== undefined) return [{ kind: "signal", id, signal }];
  return [{ kind: "container", id, action: Action }];
}
