// What the running HAProxy knows: its servers and its routes.

import { mapPathsOf } from "../../config/map-file.ts";
import { WAITING_ROOM } from "../../config/operations.ts";
import { readBadAnswers, readCircles, type Oddity } from "../../haproxy/runtime/oddities.ts";
import type { Runtime } from "../../haproxy/runtime/runtime.ts";
import { readMap, readStats, requestsWait, type ServerStats } from "../../haproxy/runtime/stats.ts";
import { GatewayError } from "../../lib/errors.ts";
import { placeOf } from "../../lib/places.ts";
import { NO_RULES, type Route } from "../../model.ts";
import type { Running } from "../running.ts";

/** What HAProxy knows of its servers. */
export interface Known {
  readonly servers: readonly ServerStats[];
  readonly oddities: readonly Oddity[];
}

/** Finds the running HAProxy. @throws GatewayError if it cannot be asked */
export type FindRunning = () => Promise<Running> | Running;

/** HAProxy's servers. Undefined if HAProxy cannot be asked: then only their lines are missing. */
export async function readServers(find: FindRunning): Promise<Known | undefined> {
  try {
    const { ask } = await find();
    return await readKnown(ask);
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

async function readKnown(ask: Runtime["ask"]): Promise<Known> {
  const servers = await readStats(ask);
  return {
    servers,
    oddities: [...(await readBadAnswers(ask, servers)), ...(await readCircles(ask))],
  };
}

/** What HAProxy runs, for the explanation of a URL. */
export interface Seen extends Known {
  /** The routes of all services, also of those without a running container. */
  readonly routes: readonly RunningRoute[];
}

/** A route in the running HAProxy. */
interface RunningRoute extends Route {
  /** Whether its requests wait for a container. */
  readonly waiting: boolean;
}

/** What HAProxy runs. Nothing if it cannot be asked. */
export async function readSeen(find: FindRunning): Promise<Seen> {
  try {
    const { config, ask } = await find();
    const known = await readKnown(ask);
    const byBackend = Map.groupBy(known.servers, ({ backend }) => backend);
    const routes: RunningRoute[] = [];
    for (const path of mapPathsOf(config)) {
      for (const { key, backend, prefix, rewrite } of await readMap(ask, path)) {
        const own = byBackend.get(backend) ?? [];
        // A backend without this server is none of the built-in templates', or nobody waits there.
        if (!own.some(({ name }) => name === WAITING_ROOM)) continue;
        const place = placeOf(key);
        const strip = rewrite !== "" || (place.path !== "/" && prefix !== "");
        const waiting = requestsWait(own);
        routes.push({ ...place, strip, rewrite, key, backend, rules: NO_RULES, waiting });
      }
    }
    return { ...known, routes };
  } catch (error) {
    if (error instanceof GatewayError) return { servers: [], oddities: [], routes: [] };
    throw error;
  }
}
