// Finds certificates and their keys in a folder, by the names of the files, as other programs leave them.

import { readdirSync, readFileSync, statSync, type Stats } from "node:fs";
import { join } from "node:path";
import { systemCode } from "../../lib/errors.ts";

/** The files of one certificate. */
export interface PairFiles {
  /** One file with everything, or the certificate and then its key. */
  readonly paths: readonly string[];
  /** Differs once a file does. */
  readonly stamp: string;
  /** Whether it is for clients that ask for an unknown name. */
  readonly isDefault: boolean;
  /** Whether its name says that there may be no key in it: then it is no certificate to show. */
  readonly mayLackKey: boolean;
}

/** Files that belong together, but not all of them are there. */
interface LonelyFile {
  readonly path: string;
  readonly problem: string;
}

export interface Found {
  readonly pairs: readonly PairFiles[];
  readonly lonely: readonly LonelyFile[];
}

/** So deep are folders looked into: /etc/letsencrypt/live/NAME. */
const DEPTH = 2;
/** Certbot keeps its former certificates there. Each is in `live`, too. */
const FORMER = ["archive", "accounts", "csr", "keys", "renewal", "renewal-hooks"];
/** Larger files are no certificates. */
const LARGEST_FILE = 1_000_000;

const CERTIFICATE_ENDINGS = [".crt", ".cer", ".cert", ".pem"];
/** How files with a certificate and its key end. The last ones are HAProxy's own, a kind of key each. */
const BUNDLE = /\.pem(?:\.(?:rsa|ecdsa|dsa))?$/;
/** Files beside certificates that are none of a server, unless they have a key: shop.ca.pem may be a host's. */
const OTHERS = /(?:^|[.-])(?:ca|chain|dhparam|dhparams)\.(?:crt|pem)$/;

/**
 * Finds the certificates in a folder and the folders in it:
 * - `NAME.pem` with everything, `NAME.pem.rsa` and `NAME.pem.ecdsa`
 * - `NAME.crt` (or `.cer`, `.cert`, `.pem`) with `NAME.key`
 * - `fullchain.pem` with `privkey.pem` or `key.pem`, as certbot and acme.sh leave them
 * @throws an error of the system if the folder itself cannot be read
 */
export function findPairs(folder: string): Found {
  const pairs = new Map<string, PairFiles>();
  const lonely: LonelyFile[] = [];
  look(folder, 0);
  return { pairs: [...pairs.values()], lonely };

  function look(path: string, depth: number): void {
    const names = readdirSync(path)
      .filter((name) => !name.startsWith("."))
      .toSorted();
    const files = new Map<string, Stats>();
    const folders: string[] = [];
    for (const name of names) {
      const stat = statOf(join(path, name));
      if (stat?.isFile() === true && stat.size <= LARGEST_FILE) files.set(name, stat);
      if (stat?.isDirectory() === true) folders.push(name);
    }
    lookAtFiles(path, files);
    if (depth === DEPTH) return;
    const isCertbots = names.includes("live");
    for (const name of folders) {
      if (isCertbots && FORMER.includes(name)) continue;
      try {
        look(join(path, name), depth + 1);
      } catch (error) {
        // It is gone by now.
        if (systemCode(error) === "ENOENT") continue;
        lonely.push({
          path: join(path, name),
          problem: `it cannot be read (${systemCode(error)})`,
        });
      }
    }
  }

  function lookAtFiles(path: string, files: ReadonlyMap<string, Stats>): void {
    const add = (...names: string[]): void => {
      const paths = names.map((name) => join(path, name));
      const [first = ""] = paths;
      const isDefault = names[0]?.startsWith("default.") === true && path === folder;
      const stamp = names.map((name) => stampOf(files.get(name))).join(" ");
      pairs.set(first, { paths, stamp, isDefault, mayLackKey: OTHERS.test(names[0] ?? "") });
    };
    const has = (name: string): boolean => files.has(name);
    const parts = ["privkey.pem", "key.pem"].find(has);
    if (parts !== undefined) {
      const whole = ["fullchain.pem", "cert.pem"].find(has);
      if (whole === undefined) {
        lonely.push({ path: join(path, parts), problem: "there is no fullchain.pem beside it" });
      } else add(whole, parts);
    }
    for (const name of files.keys()) {
      if (parts !== undefined && name.endsWith(".pem")) continue;
      const stem = name.replace(/\.[^.]*$/, "");
      const key = `${stem}.key`;
      const isKey = name === key;
      if (isKey) {
        if (CERTIFICATE_ENDINGS.some((ending) => has(`${stem}${ending}`))) continue;
        lonely.push({ path: join(path, name), problem: `there is no ${stem}.crt beside it` });
      } else if (CERTIFICATE_ENDINGS.some((ending) => name.endsWith(ending)) && has(key)) {
        add(name, key);
      } else if (BUNDLE.test(name)) add(name);
      else if (OTHERS.test(name)) continue;
      else if (CERTIFICATE_ENDINGS.some((ending) => name.endsWith(ending))) {
        lonely.push({ path: join(path, name), problem: `there is no ${key} beside it` });
      }
    }
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    // A link that leads nowhere, or a file that is gone by now.
    if (["ENOENT", "ELOOP", "EACCES", "ENOTDIR"].includes(systemCode(error))) return undefined;
    throw error;
  }
}

function stampOf(stat: Stats | undefined): string {
  if (stat === undefined) return "";
  // Times have fractions of a millisecond.
  const { dev, ino, size, mtimeMs, ctimeMs } = stat;
  return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** The text of a certificate's files, one behind the other. @throws an error of the system */
export function readPair({ paths }: PairFiles): string {
  return paths.map((path) => readFileSync(path, "utf8")).join("\n");
}
