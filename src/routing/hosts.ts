// Host names for repositories: `bar.example.com` for `foo/bar`, and what to do when two want one.

/** A host name's label may be this long (RFC 1035, section 2.3.4). */
const LABEL_LIMIT = 63;

interface Claimant {
  readonly repository: string;
  /** When its oldest container was made, in milliseconds since 1970. */
  readonly created: number;
}

interface Hosts {
  /** The host names of each repository. */
  readonly names: ReadonlyMap<string, readonly string[]>;
  readonly warnings: readonly string[];
}

/**
 * Gives every repository the host name of its last part below the domain. Where several end in the
 * same part, the oldest keeps it and each also gets the long name, its parts from last to first.
 */
export function assignHosts(claimants: readonly Claimant[], domain: string): Hosts {
  const byAge = claimants.toSorted(
    (a, b) => a.created - b.created || (a.repository < b.repository ? -1 : 1),
  );
  const owners = new Map<string, string>();
  const names = new Map<string, string[]>(byAge.map(({ repository }) => [repository, []]));
  const warnings: string[] = [];

  function claim(label: string, repository: string, precedes: string): void {
    const host = `${label}.${domain}`;
    const owner = owners.get(host);
    if (owner === undefined) {
      owners.set(host, repository);
      names.get(repository)?.push(host);
    } else if (owner !== repository) {
      warnings.push(`${host} goes to ${owner}, which ${precedes} ${repository}`);
    }
  }

  // All short names first: a long name must never take the short one of another.
  for (const { repository } of byAge) claim(shortLabel(repository), repository, "is older than");
  const shared = Map.groupBy(byAge, ({ repository }) => shortLabel(repository));
  for (const group of shared.values()) {
    if (group.length < 2) continue;
    for (const { repository } of group) {
      // Without a folder there is no longer name.
      if (repository.includes("/")) claim(longLabel(repository), repository, "comes before");
    }
  }
  return { names, warnings };
}

function shortLabel(repository: string): string {
  return toLabel(repository.slice(repository.lastIndexOf("/") + 1));
}

function longLabel(repository: string): string {
  return toLabel(repository.split("/").toReversed().join("-"));
}

/** Letters, digits and hyphens only, as a host name wants it (RFC 1123, section 2.1). */
function toLabel(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .slice(0, LABEL_LIMIT)
    .replaceAll(/^-+|-+$/g, "");
}
