// Reads from a program's file what machine and which C library it is for.

import { closeSync, openSync, readSync } from "node:fs";

const MACHINES: Readonly<Record<number, string>> = { 0x3e: "x64", 0xb7: "arm64" };
const FILE_HEADER = 64;
/** The kind of program header that names the loader. */
const INTERPRETER = 3;

export interface Elf {
  /** As `process.arch` says it. */
  readonly machine: string;
  /** The loader that the kernel starts it with; empty for a static program. */
  readonly interpreter: string;
}

/** The machine and loader of a 64-bit little-endian ELF program; undefined for any other file. */
export function readElf(path: string): Elf | undefined {
  const file = openSync(path, "r");
  try {
    const header = bytesAt(file, 0, FILE_HEADER);
    // The magic number, then the marks for 64 bits and little-endian.
    if (header.toString("latin1", 0, 6) !== "\u007fELF\u0002\u0001") return undefined;
    // What is cut reads as noughts, which are no machine.
    const machine = MACHINES[header.readUInt16LE(18)];
    if (machine === undefined) return undefined;
    const offset = Number(header.readBigUInt64LE(32));
    const size = header.readUInt16LE(54);
    for (let index = 0; index < header.readUInt16LE(56); index++) {
      const entry = bytesAt(file, offset + index * size, size);
      if (entry.readUInt32LE(0) !== INTERPRETER) continue;
      const name = bytesAt(
        file,
        Number(entry.readBigUInt64LE(8)),
        Number(entry.readBigUInt64LE(32)),
      );
      return { machine, interpreter: name.toString("latin1").replaceAll("\0", "") };
    }
    return { machine, interpreter: "" };
  } finally {
    closeSync(file);
  }
}

/** The name of a kind of machine in the names of a release's files, such as `linux-x64-musl`. */
export function kindOf({ machine, interpreter }: Elf): string {
  return `linux-${machine}${interpreter.includes("/ld-musl-") ? "-musl" : ""}`;
}

function bytesAt(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  readSync(file, bytes, 0, length, position);
  return bytes;
}
