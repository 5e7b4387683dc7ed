// A root folder as Alpine's is, with musl and busybox, made of Debian's packages.

import { chmodSync, copyFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { openDir, programPath, run, type Finished } from "./commands.ts";

const LOADER = "lib/ld-musl-x86_64.so.1";
/** What Debian's C++ library, made for glibc, asks for and musl 1.2.3 has not. */
const LACKING = `
char __libc_single_threaded;
int _dl_find_object(void *address, void *result) { return -1; }
unsigned arc4random(void) { return 4; }
`;

export interface MuslRoot {
  readonly dir: string;
  /** Runs a program in it, with /proc, on this machine's network. */
  run(words: readonly string[], options?: Parameters<typeof run>[1]): Promise<Finished>;
  /** Adds the C++ library that the program needs: on Alpine, `apk add libstdc++`. */
  addLibrary(program: string): Promise<void>;
}

/** @param applets those of busybox that are in its /bin */
export function makeMuslRoot(applets: readonly string[]): MuslRoot {
  const dir = openDir("musl");
  for (const folder of ["bin", "lib", "usr/lib", "usr/local/bin", "dev", "proc", "tmp"])
    mkdirSync(join(dir, folder), { recursive: true });
  copyFileSync(`/${LOADER}`, join(dir, LOADER));
  chmodSync(join(dir, LOADER), 0o755);
  copyFileSync(programPath("busybox"), join(dir, "bin/busybox"));
  chmodSync(join(dir, "bin/busybox"), 0o755);
  for (const applet of applets) symlinkSync("busybox", join(dir, "bin", applet));
  const enter = [
    `mount -t proc proc "$0/proc"`,
    // Bound, as a folder below /tmp may not have devices.
    `: >"$0/dev/null" && mount --bind /dev/null "$0/dev/null"`,
    `exec chroot "$0" "$@"`,
  ].join(" && ");
  return {
    dir,
    run: (words, options = {}) =>
      run(
        [
          "unshare",
          "--mount",
          "sh",
          "-c",
          enter,
          dir,
          "/bin/busybox",
          "env",
          "PATH=/bin",
          ...words,
        ],
        options,
      ),
    addLibrary: (program) => linkLibrary(program, join(dir, "usr/lib/libstdc++.so.6")),
  };
}

/** Links what that program needs of Debian's static C++ library for musl. */
async function linkLibrary(program: string, library: string): Promise<void> {
  const symbols = (await output(["nm", "--dynamic", program]))
    .split("\n")
    // What it lacks, and what it copies from the library.
    .flatMap(
      (line) => / (?:U (?:_Z|__cxa_|__dynamic_cast|__once_proxy)|[BV] _ZTV).*$/.exec(line) ?? [],
    )
    .map((found) => found.slice(3));
  const archives = ["libstdc++_pic.a", "libgcc_eh.a", "libgcc.a"].map((name) =>
    output(["gcc", `-print-file-name=${name}`]).then((path) => path.trim()),
  );
  const source = `${library}.c`;
  await Bun.write(source, LACKING);
  const words = ["-shared", "-fPIC", "-nodefaultlibs", "-Wl,-soname,libstdc++.so.6", "-o", library];
  const wanted = symbols.map((symbol) => `-Wl,-u,${symbol}`);
  await output(["musl-gcc", ...words, source, ...wanted, ...(await Promise.all(archives)), "-lc"]);
}

async function output([program = "", ...words]: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run([programPath(program), ...words]);
  if (status !== 0) throw new Error(`Cannot run ${program}: ${stderr}`);
  return stdout;
}
