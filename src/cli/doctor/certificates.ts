// The doctor's check of the certificates that clients see, and of those who sign what clients show.

import type { CertificatesDocument } from "../../api/certificates.ts";
import { ok, type Finding } from "./check.ts";

/**
 * Tells which hosts have no certificate, or one that ends, which files are of no use, and whose certificates of
 * clients do not count, or soon will not.
 */
export function judgeCertificates(document: CertificatesDocument): Finding {
  const { certificates, authorities, warnings } = document;
  const told = certificates.filter(
    ({ problem, path }) =>
      problem !== "" && (path === "" || !warnings.some((each) => each.includes(path))),
  );
  const lines = [
    ...warnings,
    ...told.map(({ name, problem }) => `${name}: ${problem}`),
    ...authorities
      .filter(({ problem }) => problem !== "")
      .map(({ name, routes, problem }) => `${name}, for clients of ${listed(routes)}: ${problem}`),
  ];
  if (lines.length === 0) return ok(describe(document));
  const isRefused =
    certificates.some(({ routed, daysLeft }) => routed && (daysLeft ?? 0) < 0) ||
    authorities.some(({ refused }) => refused);
  return {
    level: isRefused ? "failure" : "warning",
    lines: ["not all is right with them", ...lines, "explain https://HOST tells more"],
  };
}

/** More routes of an authority are counted. */
const ROUTES_SHOWN = 3;

function listed(routes: readonly string[]): string {
  const more = routes.length - ROUTES_SHOWN;
  return routes.slice(0, ROUTES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function describe({ certificates, authorities }: CertificatesDocument): string {
  const days = certificates.flatMap(({ daysLeft }) => daysLeft ?? []);
  if (days.length === 0) return "there is none yet, and no host of a route that needs one";
  const names = [...new Set(authorities.map(({ name }) => name))];
  const clients = names.length === 0 ? "" : `; clients show those of ${listed(names)}`;
  return `each host has one, and the first ends in ${Math.min(...days)} days${clients}`;
}
