// Takes servers out of the files before HAProxy reads them: after a boot, or before a HAProxy of the
// gateway's own starts, nobody else has looked yet.

import { disableServers } from "../config/fence.ts";
import { parseOwners } from "../config/owners.ts";
import { parseConfig } from "../config/sections.ts";
import { placeOf, serversIn } from "../config/servers.ts";
import type { ConfigFiles } from "../haproxy/files/files.ts";
import { isOwnConfig } from "../template/compile.ts";
import { createLifeCheck } from "./owners.ts";

/** How many servers a configuration has, and how many of them were taken out now. */
export interface Fenced {
  readonly servers: number;
  readonly takenOut: number;
  /** Whether it is known who is behind the servers. */
  readonly isKnown: boolean;
}

/**
 * Marks servers as disabled in the configuration on disk if their containers have ended. If it is not
 * known who is behind the servers, all are marked. Their routes stay.
 * @returns undefined if there is no configuration of the gateway's
 * @throws GatewayError `config` if the files cannot be read or written
 */
export async function fenceFiles(files: ConfigFiles): Promise<Fenced | undefined> {
  if (await files.isUnconfirmed()) await files.rollBack();
  const found = await files.read({ [files.ownersPath]: { kind: "owners", text: "" } });
  if (found === undefined || !isOwnConfig(found.config)) return undefined;
  const owners = parseOwners(found.assets[files.ownersPath]?.text ?? "");
  const lifeOf = createLifeCheck(owners?.scope ?? "");
  const config = disableServers(found.config, (server) => {
    if (owners === undefined) return true;
    return owners.byPlace.get(placeOf(server))?.some((owner) => lifeOf(owner) === "gone") ?? false;
  });
  if (config !== found.config) {
    const fenced = { config, assets: {} };
    try {
      await files.stage(fenced);
      await files.replace(fenced);
      await files.confirm();
    } finally {
      await files.discard(fenced);
    }
  }
  const [before, after] = [countEnabled(found.config), countEnabled(config)];
  return { servers: before, takenOut: before - after, isKnown: owners !== undefined };
}

function countEnabled(config: string): number {
  return serversIn(parseConfig(config)).filter(({ server }) => !server.disabled).length;
}

/** Says what was taken out, as the end of a sentence. @param path of the file about owners */
export function describeFenced({ servers, takenOut, isKnown }: Fenced, path: string): string {
  const some = takenOut === servers ? "all" : `${takenOut} of ${servers}`;
  const why = isKnown
    ? "their containers have ended"
    : `${path}, which says whose they are, is damaged or missing`;
  return `without ${some} servers: ${why}; their routes answer 503 until Docker tells where they are`;
}
