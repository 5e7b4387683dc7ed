// The doctor's check of the certificates that clients see.

import type { CertificatesDocument } from "../../api/certificates.ts";
import { ok, type Finding } from "./check.ts";

/** Tells which hosts have no certificate, or one that ends, and which files are of no use. */
export function judgeCertificates({ certificates, warnings }: CertificatesDocument): Finding {
  const told = certificates.filter(
    ({ problem, path }) =>
      problem !== "" && (path === "" || !warnings.some((each) => each.includes(path))),
  );
  const lines = [...warnings, ...told.map(({ name, problem }) => `${name}: ${problem}`)];
  if (lines.length === 0) return ok(describe(certificates));
  const isRefused = certificates.some(({ routed, daysLeft }) => routed && (daysLeft ?? 0) < 0);
  return {
    level: isRefused ? "failure" : "warning",
    lines: ["not all is right with them", ...lines, "explain https://HOST tells more"],
  };
}

function describe(certificates: CertificatesDocument["certificates"]): string {
  const days = certificates.flatMap(({ daysLeft }) => daysLeft ?? []);
  if (days.length === 0) return "there is none yet, and no host of a route that needs one";
  return `each host has one, and the first ends in ${Math.min(...days)} days`;
}
