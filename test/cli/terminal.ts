// A terminal for tests: what runs in it believes that a user sits there.

export interface Terminal {
  write(text: string): void;
  /** All that was written to it so far. */
  readonly screen: string;
  /** Ends what runs in it, if it has not ended. */
  close(): Promise<void>;
  /** How it ended, once all that it wrote is on the screen. */
  readonly exited: Promise<number>;
}

interface TerminalOptions {
  readonly columns?: number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Starts a program in a terminal of its own. */
export function inTerminal(
  words: readonly string[],
  { columns = 80, env, cwd = "/" }: TerminalOptions,
): Terminal {
  const decoder = new TextDecoder();
  let screen = "";
  const read = Promise.withResolvers<void>();
  const child = Bun.spawn([...words], {
    cwd,
    env: { TERM: "xterm", ...env },
    terminal: {
      cols: columns,
      rows: 50,
      data: (_, bytes) => {
        screen += decoder.decode(bytes, { stream: true });
      },
      exit: () => read.resolve(),
    },
  });
  return {
    write: (text) => void child.terminal?.write(text),
    get screen() {
      return screen;
    },
    async close() {
      child.kill("SIGKILL");
      await child.exited;
      child.terminal?.close();
    },
    exited: read.promise.then(() => child.exited),
  };
}
