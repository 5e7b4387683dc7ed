// The kinds of machine for which a release has a program, and the Bun in each program.
// Run by itself, this file fetches each Bun that is not in the cache.

import { mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { run } from "./run.ts";

export interface Kind {
  /** A target of .ci/build.ts. */
  readonly target: string;
  /** The kernel starts programs with it. Each kind has another. Source: ld.so(8), musl. */
  readonly loader: string;
  /** The npm package with its Bun. Its version is that of `bun` in package.json. */
  readonly package: string;
  /**
   * The output of `npm view PACKAGE@VERSION dist.integrity`. Nearly all of a program is this
   * package. Bun itself does not check what it fetches, and the lock file names only half of them.
   */
  readonly integrity: string;
}

export const KINDS: readonly Kind[] = [
  {
    // It also runs on processors without AVX2.
    target: "linux-x64-baseline",
    loader: "/lib64/ld-linux-x86-64.so.2",
    package: "@oven/bun-linux-x64-baseline",
    integrity:
      "sha512-s8yMwYcFnnrA178gji0gZbkE2WVDej/Ti1x770oPfihxyRxSMNhGhiAQNXV53aDeraZxksdvKV/RAdQBCd0qPA==",
  },
  {
    target: "linux-arm64",
    loader: "/lib/ld-linux-aarch64.so.1",
    package: "@oven/bun-linux-aarch64",
    integrity:
      "sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==",
  },
  {
    target: "linux-x64-musl-baseline",
    loader: "/lib/ld-musl-x86_64.so.1",
    package: "@oven/bun-linux-x64-musl-baseline",
    integrity:
      "sha512-cWJhU8h0+MiUgpSt99sQhjxLIIosKEcKYdtKddohokUvAuN6jKOy7g7+QDTZTXtwHxz93wL3BX+L6wXVPDUH3A==",
  },
  {
    target: "linux-arm64-musl",
    loader: "/lib/ld-musl-aarch64.so.1",
    package: "@oven/bun-linux-aarch64-musl",
    integrity:
      "sha512-XCNc+WvvMAdNNb+OWTogpy+N9wm62fkVeEVLb6how0RZhW5LPi6c7BlkeVCuWps7XjEl2saFpHFa20/1E+PAHg==",
  },
];

/** The version of the Bun in the programs. */
export const BUN_VERSION = manifest.devDependencies.bun;

/**
 * Returns the path of the Bun for a kind of machine. Its checksum was checked.
 * @param work the folder in which it is unpacked
 * @throws Error if npm gives another one than the pinned
 */
export async function runtimeOf(kind: Kind, work: string): Promise<string> {
  const archive = await Bun.file(await packageOf(kind, work)).bytes();
  const sum = new Bun.CryptoHasher("sha512").update(archive).digest("base64");
  if (`sha512-${sum}` !== kind.integrity) {
    throw new Error(
      `Cannot use ${kind.package}@${BUN_VERSION}: it is sha512-${sum}\n  and should be ${kind.integrity}`,
    );
  }
  const folder = join(work, `${kind.target}-runtime`);
  await new Bun.Archive(archive).extract(folder);
  return join(folder, "package/bin/bun");
}

/** Returns the path of the package's archive in the cache. Fetches it if it is not there. */
async function packageOf(kind: Kind, work: string): Promise<string> {
  const cache = join(
    process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
    "docker-api-gateway/runtimes",
  );
  const cached = join(cache, `${kind.package.replace("@oven/", "")}-${BUN_VERSION}.tgz`);
  if (await Bun.file(cached).exists()) return cached;
  process.stdout.write(`fetching ${kind.package}@${BUN_VERSION}\n`);
  mkdirSync(cache, { recursive: true });
  const fetched = join(work, "fetched");
  mkdirSync(fetched, { recursive: true });
  const what = `${kind.package}@${BUN_VERSION}`;
  const name = await run(["npm", "pack", "--silent", what, "--pack-destination", fetched], work);
  // It gets its name when it is complete: a file with the name is never half written.
  const partial = `${cached}.${process.pid}`;
  await Bun.write(partial, Bun.file(join(fetched, name.trim())));
  renameSync(partial, cached);
  rmSync(fetched, { recursive: true });
  return cached;
}

if (import.meta.main) {
  const work = mkdtempSync(join(tmpdir(), "dag-runtimes-"));
  for (const kind of KINDS) await packageOf(kind, work);
  rmSync(work, { recursive: true });
}
