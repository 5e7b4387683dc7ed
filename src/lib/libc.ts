// Calls the C library, for the few system calls that Bun has no function for.

import { dlopen, type FFIFunction } from "bun:ffi";

/** The C library of Debian and most other distributions (glibc), and that of Alpine (musl). */
const LIBRARIES = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"];

/** Loads functions of the C library by name. @throws Error if no library has them */
export function openLibc<Functions extends Record<string, FFIFunction>>(functions: Functions) {
  let failure: unknown;
  for (const name of LIBRARIES) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}
