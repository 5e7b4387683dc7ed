// Sorts Traefik's labels by what they belong to. Their names count in any case.

import { compare } from "../../lib/text.ts";
import type { Notes, Theirs } from "./notes.ts";

/** The labels of one router, service or middleware, by what is after its name, in lower case. */
export type Options = ReadonlyMap<string, Theirs>;

/** The labels of one protocol, by the names of routers and so on, in lower case. */
interface Protocol {
  readonly routers: ReadonlyMap<string, Options>;
  readonly services: ReadonlyMap<string, Options>;
  readonly middlewares: ReadonlyMap<string, Options>;
}

export interface TraefikLabels {
  readonly enable: Theirs | undefined;
  readonly network: Theirs | undefined;
  readonly http: Protocol;
  readonly tcp: Protocol;
}

const PARTS = /^traefik\.(http|tcp)\.(routers|services|middlewares)\.([^.]+)\.(.+)$/i;
/** Labels that only say how Traefik itself works. */
const NO_MATTER = /^traefik\.docker\.(lbswarm|allownonrunning)$/i;

/** Whether a label is one of Traefik's. */
export function isOfTraefik(label: string): boolean {
  return label.length > 8 && label.slice(0, 8).toLowerCase() === "traefik.";
}

/** Sorts the labels. Those that belong to nothing that can be had here are warned of. */
export function sortTraefikLabels(
  labels: Readonly<Record<string, string>>,
  notes: Notes,
): TraefikLabels {
  const own = Object.entries(labels)
    .filter(([label]) => isOfTraefik(label))
    .toSorted(([a], [b]) => compare(a, b));
  let enable: Theirs | undefined;
  let network: Theirs | undefined;
  const http = emptyProtocol();
  const tcp = emptyProtocol();
  for (const [label, value] of own) {
    const theirs = { label, value };
    const name = label.toLowerCase();
    const [, protocol, kind, owner, option] = PARTS.exec(label) ?? [];
    if (owner !== undefined && option !== undefined) {
      const { [kind?.toLowerCase() as keyof Protocol]: owners } =
        protocol?.toLowerCase() === "tcp" ? tcp : http;
      const options = owners.get(owner.toLowerCase()) ?? new Map<string, Theirs>();
      options.set(option.toLowerCase(), theirs);
      owners.set(owner.toLowerCase(), options);
    } else if (name === "traefik.enable") enable = theirs;
    else if (name === "traefik.docker.network") network = theirs;
    else if (!NO_MATTER.test(label)) warnOfOther(theirs, notes);
  }
  return { enable, network, http, tcp };
}

function emptyProtocol(): Record<keyof Protocol, Map<string, Map<string, Theirs>>> {
  return { routers: new Map(), services: new Map(), middlewares: new Map() };
}

function warnOfOther(theirs: Theirs, notes: Notes): void {
  const name = theirs.label.toLowerCase();
  if (name.startsWith("traefik.udp.")) notes.warn(theirs, "UDP is not served");
  else if (name === "traefik.port") notes.warn(theirs, "it is a label of Traefik 1", "port");
  else if (/^traefik\.(frontend|backend|protocol|weight)\b/.test(name)) {
    notes.warn(theirs, "it is a label of Traefik 1", "host", "path");
  } else notes.warn(theirs, "it is not known");
}
