// Runs the other programs that are needed to make a release.

/** Returns the standard output of a program. @throws Error with all its output if it fails */
export async function run(words: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...words], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status === 0) return out;
  throw new Error(`Cannot run "${words.join(" ")}": it ended with ${status}\n${out}${err}`);
}
