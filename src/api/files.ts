// The answer to `GET /v1/config`: the files that HAProxy runs, and those that it should run. Pure.

import { digestOf } from "../lib/digest.ts";
import { OWN_KINDS, SECRET_KINDS, type Files } from "../model.ts";
import { sameFiles } from "../plan/plan.ts";

/** The text of each file by its path. */
type Texts = Readonly<Record<string, string>>;

export interface ConfigDocument {
  /** The path of the configuration. The other files are its maps and the like. Null: there are none yet. */
  readonly output: string;
  readonly applied: Texts | null;
  readonly desired: Texts | null;
  /** Whether HAProxy should run something else than it does. */
  readonly differs: boolean;
}

export interface AppliedAndDesired {
  readonly applied: Files | undefined;
  readonly desired: Files | undefined;
}

/** Makes the answer. */
export function configDocument(output: string, files: AppliedAndDesired): ConfigDocument {
  const [applied, desired] = [forHaproxy(files.applied), forHaproxy(files.desired)];
  return {
    output,
    applied: applied === undefined ? null : textsOf(output, applied),
    desired: desired === undefined ? null : textsOf(output, desired),
    differs: desired !== undefined && (applied === undefined || !sameFiles(applied, desired)),
  };
}

/** The files that HAProxy reads: who owns its servers is the gateway's own affair. */
function forHaproxy(files: Files | undefined): Files | undefined {
  if (files === undefined) return undefined;
  const assets = Object.entries(files.assets).filter(([, { kind }]) => !OWN_KINDS.includes(kind));
  return { config: files.config, assets: Object.fromEntries(assets) };
}

/** The text of each file by its path, the configuration first. */
export function textsOf(output: string, { config, assets }: Files): Texts {
  // Who may run this may not be who may see keys. Whether one differs is all that is told of it.
  const named = Object.entries(assets).map(([path, { kind, text }]) => [
    path,
    SECRET_KINDS.includes(kind) ? `# secret (SHA-256 ${digestOf(text)})\n` : text,
  ]);
  return Object.fromEntries([[output, config], ...named]);
}
