// The lists of revoked certificates that keep everybody out, as they have expired or are missing.

import { outdated } from "../../lib/revocations.ts";
import { formatDay } from "../../lib/text.ts";
import { WeakCache } from "../../lib/weak-cache.ts";
import type { Authorities, Model, Rules, Service } from "../../model.ts";
import { describeMembers } from "./files.ts";

const lists = new WeakCache<Authorities, ReturnType<typeof outdated>>();
const told = new WeakCache<Service, Map<string, Service>>();

/**
 * Says of which services clients are refused, whatever certificate they show, as a list of what has been
 * revoked does not count. A service of which nothing else is said than before is the same object as before.
 * @param now in milliseconds since 1970
 */
export function withRevocations(model: Model, now: number): Model {
  const warnings: string[] = [];
  const services = model.services.map((service) => {
    const problems = problemsOf(service, now);
    if (problems.length === 0) return service;
    warnings.push(...problems.map((text) => `${describeMembers(service)}: label ${text}`));
    const known = told.get(service, () => new Map());
    const key = problems.join("\n");
    const made = known.get(key) ?? {
      ...service,
      fileProblems: [...(service.fileProblems ?? []), ...problems],
    };
    known.set(key, made);
    return made;
  });
  if (warnings.length === 0) return model;
  return { ...model, services, warnings: [...model.warnings, ...warnings] };
}

function problemsOf({ routes }: Service, now: number): readonly string[] {
  // Of thousands hardly any has them.
  if (routes.every(({ rules }) => rules.authorities?.crl === undefined)) return [];
  return [...new Set(routes.flatMap(({ rules }) => describe(rules, now)))];
}

function describe({ authorities, prefix }: Rules, now: number): string[] {
  if (authorities?.crl === undefined) return [];
  const { ca, crl } = authorities;
  const label = `${prefix}mtls.crl=${JSON.stringify(crl.path)}`;
  return lists
    .get(authorities, () => outdated(ca.text, crl.text))
    .filter(({ until }) => until <= now)
    .map(({ name, until }) => {
      const why =
        until === -Infinity
          ? `it has no list of ${name}`
          : `its list of ${name} expired on ${formatDay(until)}`;
      return `${label}: ${why}: nobody with a certificate of that authority gets in until there is a new one`;
    });
}
