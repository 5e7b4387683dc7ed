// A long answer of which most is what it was before. It is taken apart into its elements, and only those are parsed
// that are new. To parse all of them takes no longer, but leaves objects behind by the hundred thousand, which Bun has
// to clear away. An element that is as it was is not even looked through: its beginning tells how long it was, and its
// mark whether it still is the same.

/** An element of a list, such as a task. */
export interface Listed<T> {
  /** The same for the same text. Another text has the same one once in 2^64 times. */
  readonly mark: bigint;
  /** Parses it. @throws SyntaxError */
  parse(): T;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const BRACKET = 0x5b;
const BRACKET_END = 0x5d;
const BRACE = 0x7b;
const BRACE_END = 0x7d;

/** An element as it was read last. */
interface Known {
  /** How many bytes it has. */
  readonly length: number;
  readonly mark: bigint;
}

/** So many bytes at the beginning of an element tell which it is: a task or a service begins with its ID. */
const HEAD = 32;
/** What was not seen while at least so many elements were new is forgotten. */
const FEWEST_NEW = 1_000;

/** Reads answers of one kind, one after the other. */
export class ListReader<T> {
  /** By the beginnings of their texts. */
  #known = new Map<string, Known>();
  /** Those that were seen before. What is seen again is taken over. */
  #older: ReadonlyMap<string, Known> = new Map();
  /** How many were new since. */
  #news = 0;

  /**
   * Takes a list of objects apart, given as JSON.
   * @throws SyntaxError if it is none
   */
  read(json: Uint8Array): Listed<T>[] {
    const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength);
    const elements: Listed<T>[] = [];
    let depth = 0;
    let begin = 0;
    let head = "";
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) at = endOfString(bytes, at);
      else if (byte === BRACE || byte === BRACKET) {
        if (depth === 1) {
          head = bytes.toString("latin1", at, at + HEAD);
          const same = this.#same(bytes, at, head);
          if (same !== undefined) {
            elements.push(toListed(bytes.subarray(at, at + same.length), same.mark));
            at += same.length - 1;
            continue;
          }
          begin = at;
        }
        depth++;
      } else if (byte === BRACE_END || byte === BRACKET_END) {
        depth--;
        if (depth === 1) elements.push(this.#note(head, bytes.subarray(begin, at + 1)));
      }
    }
    if (depth !== 0 || bytes.find((byte) => byte > 0x20) !== BRACKET) {
      throw new SyntaxError("it is not a list, or not all of one");
    }
    if (this.#news > Math.max(FEWEST_NEW, this.#known.size / 2)) {
      this.#older = this.#known;
      this.#known = new Map();
      this.#news = 0;
    }
    return elements;
  }

  /** The element that begins here, if it is as it was. */
  #same(json: Uint8Array, begin: number, head: string): Known | undefined {
    const known = this.#known.get(head) ?? this.#older.get(head);
    if (known === undefined) return undefined;
    const end = begin + known.length;
    if (json[end] !== COMMA && json[end] !== BRACKET_END) return undefined;
    if (Bun.hash.wyhash(json.subarray(begin, end)) !== known.mark) return undefined;
    if (this.#older.size > 0) this.#known.set(head, known);
    return known;
  }

  #note(head: string, json: Uint8Array): Listed<T> {
    const mark = Bun.hash.wyhash(json);
    this.#news++;
    this.#known.set(head, { length: json.length, mark });
    return toListed(json, mark);
  }
}

/** Where the quote is that ends a string; behind everything if there is none. */
function endOfString(json: Uint8Array, begin: number): number {
  for (let end = begin; ;) {
    end = json.indexOf(QUOTE, end + 1);
    if (end < 0) return json.length;
    let before = end - 1;
    while (json[before] === BACKSLASH) before--;
    if ((end - before) % 2 === 1) return end;
  }
}

function toListed<T>(json: Uint8Array, mark: bigint): Listed<T> {
  return { mark, parse: () => JSON.parse(new TextDecoder().decode(json)) as T };
}
