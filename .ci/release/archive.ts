// The archives of a release: always the same bytes for the same files.

const BLOCK = 512;

/** Files by name. */
export type Documents = Readonly<Record<string, string>>;

/**
 * A .tar.gz with the program and what comes beside it, in one folder.
 * @param folder the folder's name
 * @param time when everything in it was made, in seconds
 */
export function programArchive(
  folder: string,
  program: Uint8Array,
  beside: Documents,
  time: number,
): Uint8Array<ArrayBuffer> {
  const entries = [
    // First, so that who wants only this need not read the rest.
    ...entry(`${folder}/docker-api-gateway`, program, 0o755, time),
    ...Object.keys(beside)
      .toSorted()
      .flatMap((name) =>
        entry(`${folder}/${name}`, new TextEncoder().encode(beside[name]), 0o644, time),
      ),
    Buffer.alloc(2 * BLOCK),
  ];
  // Bun's own gzip and tar of our own, as those of the machine differ in what they write.
  return Bun.gzipSync(new Uint8Array(Buffer.concat(entries)), { level: 6, library: "libdeflate" });
}

/** One file as ustar has it: owned by root. */
function entry(name: string, content: Uint8Array, mode: number, time: number): Uint8Array[] {
  const header = Buffer.alloc(BLOCK);
  if (name.length > 100) throw new Error(`Cannot archive "${name}": the name is too long`);
  header.write(name, 0);
  header.write(`${octal(mode, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0`, 100);
  header.write(`${octal(content.length, 11)}\0${octal(time, 11)}\0`, 124);
  // The sum is taken with blanks in its own place.
  header.write(" ".repeat(8), 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  header.write("root", 265);
  header.write("root", 297);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)];
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
