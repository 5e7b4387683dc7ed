// Finds out who is behind each server: which processes hold its address.

import { readlinkSync } from "node:fs";
import { ownerLine, ownersText, type Owner } from "../config/owners.ts";
import {
  bootId,
  controlGroups,
  isAlive,
  startTime,
  type ProcessIdentity,
} from "../lib/processes.ts";
import { inOnePiece } from "../lib/text.ts";
import { shared } from "../lib/lists.ts";
import { ListCache, WeakCache } from "../lib/weak-cache.ts";
import type { Files, Holder, Model, Server, Service } from "../model.ts";

/** Where and how long the numbers of processes are valid: in this boot and this PID namespace. */
function processScope(): string {
  return `${bootId()} ${readlinkSync("/proc/self/ns/pid")}`;
}

/** Makes the file that says who is behind each server, for the services of each pass. */
export function createOwnersFile(path: string): (model: Model) => Files["assets"] {
  const scope = processScope();
  const lines = new ListCache<Server, string>();
  return ({ services }) => {
    const servers = services.flatMap((service) => service.servers);
    return { [path]: { kind: "owners", text: ownersText(scope, lines.getAll(servers, lineOf)) } };
  };
}

function lineOf(server: Server): string {
  return inOnePiece(ownerLine(`${server.address}:${server.port}`, toOwner(server)));
}

function toOwner({ id, container, startedAt, holders, isPublished }: Server): Owner {
  const processes = holders.map(identify);
  const areKnown = processes.every((process) => process !== undefined);
  return {
    id,
    name: container,
    startedAt,
    processes: areKnown ? processes : undefined,
    ...(isPublished === true ? { isPublished } : {}),
  };
}

/**
 * The process of a container, if it can be seen from here. It cannot if the Engine runs on another
 * machine, or if this program is in a container with PIDs of its own. A process with that number may
 * then be anybody's: its control group tells, whose name has the container's ID.
 */
function identify({ id, pid }: Holder): ProcessIdentity | undefined {
  if (pid === 0 || !controlGroups(pid).includes(id)) return undefined;
  const started = startTime(pid);
  return started === undefined ? undefined : { pid, started };
}

const running = new WeakCache<Service, readonly Holder[]>();

/** The containers of a service whose processes are known. */
export function holdersThatRun(service: Service): readonly Holder[] {
  return running.get(service, ({ servers }) =>
    shared(servers.flatMap(({ holders }) => holders.filter(({ pid }) => pid !== 0))),
  );
}

/** Whether the process of a container can be seen from here. */
export function isSeen(container: Holder): boolean {
  return identify(container) !== undefined;
}

/** `gone`: another container may have its address now. `unknown`: it cannot be told from here. */
export type Life = "alive" | "gone" | "unknown";

/** Makes the function that tells whether a container still lives. @param scope see `processScope` */
export function createLifeCheck(scope: string): (owner: Owner) => Life {
  const here = processScope();
  const [boot = ""] = scope.split(" ");
  return ({ processes }) => {
    if (processes === undefined) return "unknown";
    if (!here.startsWith(`${boot} `)) return "gone";
    if (here !== scope) return "unknown";
    return processes.every(isAlive) ? "alive" : "gone";
  };
}
