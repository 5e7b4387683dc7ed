// Makes contexts of the docker program on the disk, byte by byte as `docker context create` does.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where a context has its files, in the docker program's folder. */
export interface ContextFiles {
  readonly meta: string;
  readonly tls: string;
}

interface ContextParts {
  readonly host: string;
  readonly skip?: boolean;
  /** The text of each certificate, by the name of its file. */
  readonly certificates?: Readonly<Record<string, string>>;
}

/** Makes a context in a folder of the docker program's. */
export function makeContext(folder: string, name: string, parts: ContextParts): ContextFiles {
  const files = contextFiles(folder, name);
  const { host, skip = false, certificates = {} } = parts;
  const endpoint = { Host: host, SkipTLSVerify: skip };
  mkdirSync(join(files.meta, ".."), { recursive: true });
  const meta = { Name: name, Metadata: {}, Endpoints: { docker: endpoint } };
  writeFileSync(files.meta, JSON.stringify(meta));
  const texts = Object.entries(certificates);
  if (texts.length > 0) mkdirSync(files.tls, { recursive: true, mode: 0o700 });
  for (const [file, text] of texts) writeFileSync(join(files.tls, file), text, { mode: 0o600 });
  return files;
}

/** Where the files of a context are or would be. */
export function contextFiles(folder: string, name: string): ContextFiles {
  // Not by the gateway's own way, so that a mistake there is seen.
  const { stdout } = Bun.spawnSync(["sha256sum"], { stdin: Buffer.from(name) });
  const id = stdout.toString().slice(0, 64);
  return {
    meta: join(folder, "contexts/meta", id, "meta.json"),
    tls: join(folder, "contexts/tls", id, "docker"),
  };
}

/** Does what `docker context use` does. */
export function useContext(folder: string, name: string): void {
  writeFileSync(join(folder, "config.json"), JSON.stringify({ auths: {}, currentContext: name }));
}
