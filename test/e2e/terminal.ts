// A terminal with the program in it: what stands on its screen, and what the user types.

import { binary, cleanEnvironment } from "./program.ts";

/** What the program may send besides text: to the top left, erase the line's rest, the screen's. */
const HOME = "\u001B[H";
const ERASE_LINE = "\u001B[K";
const ERASE_REST = "\u001B[J";
/** A screen of its own and the former one; the cursor away and back. */
const SCREENS = ["\u001B[?1049h", "\u001B[?1049l"];
const CURSOR = ["\u001B[?25l", "\u001B[?25h"];
/** What text looks like. */
const LOOK = new RegExp(String.raw`^${"\u001B"}\[\d+m$`);
/** Any such order, or one character. */
const PARTS = new RegExp(String.raw`${"\u001B"}\[\??\d*[A-Za-z]|[^]`, "g");

/** The screen, as a terminal makes it of what it is sent. */
export class Screen {
  /** How often it was drawn from the top. */
  drawn = 0;
  /** How many lines were pushed out at the top. */
  scrolled = 0;
  #lines: string[] = [""];
  #row = 0;
  #column = 0;

  constructor(
    private readonly columns: number,
    private readonly rows: number,
  ) {}

  /** The lines, without the blank ones at the end. */
  text(): string {
    return this.#lines
      .map((line) => line.trimEnd())
      .join("\n")
      .trimEnd();
  }

  write(text: string): void {
    for (const [part] of text.matchAll(PARTS)) this.#put(part);
  }

  #put(part: string): void {
    const line = this.#lines[this.#row] ?? "";
    if (part === HOME) {
      [this.#row, this.#column] = [0, 0];
      this.drawn++;
    } else if (part === ERASE_LINE) this.#lines[this.#row] = line.slice(0, this.#column);
    else if (part === ERASE_REST) {
      this.#lines[this.#row] = line.slice(0, this.#column);
      this.#lines.length = this.#row + 1;
    } else if (part === "\r") this.#column = 0;
    else if (part === "\n") this.#down();
    else if (SCREENS.includes(part)) {
      this.#lines = [""];
      [this.#row, this.#column] = [0, 0];
    } else if (CURSOR.includes(part) || LOOK.test(part)) return;
    else if (part.startsWith("\u001B")) throw new Error(`unknown: ${JSON.stringify(part)}`);
    else {
      if (this.#column === this.columns) this.#down();
      const start = (this.#lines[this.#row] ?? "").padEnd(this.#column);
      this.#lines[this.#row] = start.slice(0, this.#column) + part + start.slice(this.#column + 1);
      this.#column++;
    }
  }

  #down(): void {
    this.#column = 0;
    this.#row++;
    this.#lines[this.#row] ??= "";
    if (this.#row < this.rows) return;
    this.#lines.shift();
    this.#row--;
    this.scrolled++;
  }
}

export interface InTerminal {
  screen: Screen;
  exited: Promise<number>;
  /** Types a key, such as Ctrl-C. */
  type(keys: string): void;
  /** Gives the terminal another size, with an empty screen. */
  resize(columns: number, rows: number): void;
}

/** Runs the gateway with these words in a terminal. */
export async function runInTerminal(
  words: readonly string[],
  { columns = 120, rows = 20 } = {},
): Promise<InTerminal> {
  const decoder = new TextDecoder();
  const run = { screen: new Screen(columns, rows) };
  const child = Bun.spawn([await binary(), ...words], {
    env: cleanEnvironment({ TERM: "xterm" }),
    cwd: "/",
    terminal: {
      cols: columns,
      rows,
      data: (_, bytes) => run.screen.write(decoder.decode(bytes, { stream: true })),
    },
  });
  return Object.assign(run, {
    exited: child.exited,
    type: (keys: string) => void child.terminal?.write(keys),
    resize: (width: number, height: number) => {
      run.screen = new Screen(width, height);
      child.terminal?.resize(width, height);
    },
  });
}
