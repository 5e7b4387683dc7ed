// Writes docker contexts to the disk, with the same bytes as `docker context create`.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The paths of a context's files in the folder of the docker program. */
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

/** Makes a context in a folder of the docker program. */
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

/** The paths of a context's files, whether they exist or not. */
export function contextFiles(folder: string, name: string): ContextFiles {
  // The gateway's own code is not used here: the tests must see a mistake in it.
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
