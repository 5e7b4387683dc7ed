// Gives services their host names, such as `bar.example.com` for `foo/bar`.

import { titleOf } from "./intent.ts";

/** The longest label of a host name: RFC 1035, section 2.3.4. */
const LABEL_LIMIT = 63;

interface Claimant {
  /** The name of the service, such as `foo/bar`. */
  readonly name: string;
  /** When its oldest container was created, in milliseconds since 1970. */
  readonly created: number;
}

interface Hosts {
  /** The host names of each service. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly warnings: readonly string[];
}

/**
 * Gives every service a host name below the domain: the last part of its name. If several services
 * end in the same part, the oldest gets that host name. Each of them also gets a long host name, with
 * all parts of its name from last to first.
 */
export function assignHosts(claimants: readonly Claimant[], domain: string): Hosts {
  const byAge = claimants.toSorted((a, b) => a.created - b.created || (a.name < b.name ? -1 : 1));
  const owners = new Map<string, string>();
  const names = new Map<string, string[]>(byAge.map(({ name }) => [name, []]));
  const warnings: string[] = [];

  function claim(label: string, service: string, precedes: string): void {
    const host = `${label}.${domain}`;
    const owner = owners.get(host);
    if (owner === undefined) {
      owners.set(host, service);
      names.get(service)?.push(host);
    } else if (owner !== service) {
      warnings.push(`${host} goes to ${titleOf(owner)}, which ${precedes} ${titleOf(service)}`);
    }
  }

  // All short names come first: a long name must never take the short name of another service.
  for (const { name } of byAge) claim(shortLabel(name), name, "is older than");
  const shared = Map.groupBy(byAge, ({ name }) => shortLabel(name));
  for (const group of shared.values()) {
    if (group.length < 2) continue;
    for (const { name } of group) {
      // A name of one part has no long form.
      if (name.includes("/")) claim(longLabel(name), name, "comes before");
    }
  }
  return { names, warnings };
}

function shortLabel(service: string): string {
  const name = titleOf(service);
  return toLabel(name.slice(name.lastIndexOf("/") + 1));
}

function longLabel(name: string): string {
  return toLabel(name.split("/").toReversed().join("-"));
}

/** A label of a host name has only letters, digits and hyphens: RFC 1123, section 2.1. */
function toLabel(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .slice(0, LABEL_LIMIT)
    .replaceAll(/^-+|-+$/g, "");
}
