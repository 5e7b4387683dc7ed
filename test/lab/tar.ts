// Writes tar archives (ustar) of folders, programs and symbolic links.

const BLOCK = 512;

/** An executable file if it has a content, a symbolic link if it has a link, else a folder. */
export interface TarEntry {
  path: string;
  content?: Uint8Array;
  link?: string;
}

/** Makes an archive of these entries. Root owns all of them. */
export function tarArchive(entries: TarEntry[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const entry of entries) {
    const { content = new Uint8Array() } = entry;
    blocks.push(header(entry, content.length), content);
    blocks.push(new Uint8Array((BLOCK - (content.length % BLOCK)) % BLOCK));
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  return Buffer.concat(blocks);
}

function header(entry: TarEntry, size: number): Uint8Array {
  const block = Buffer.alloc(BLOCK);
  const type = entry.link === undefined ? (entry.content === undefined ? "5" : "0") : "2";
  block.write(entry.path, 0);
  block.write("0000755\0".concat("0000000\0".repeat(2)), 100);
  block.write(`${octal(size)}\0${octal(0)}\0`, 124);
  // While the checksum is computed, its own place has blanks.
  block.write(" ".repeat(8), 148);
  block.write(type, 156);
  block.write(entry.link ?? "", 157);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function octal(value: number): string {
  return value.toString(8).padStart(11, "0");
}
