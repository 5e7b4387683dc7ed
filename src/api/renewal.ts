// The answer to `POST /v1/certificates/NAME/renew`: has the authority make a certificate anew.

import type { Acme } from "../acme/acme.ts";
import { GatewayError } from "../lib/errors.ts";
import { nearest } from "../lib/text.ts";
import type { Service } from "../model.ts";
import { certificatesDocument, type Https } from "./certificates.ts";

export interface RenewalDocument {
  /** All names of the certificate. */
  readonly names: readonly string[];
  /** The host of the authority that is asked. */
  readonly authority: string;
}

/**
 * Has the certificate of a name made anew. It is under way then.
 * @param acme who asks the authority; undefined: nobody does
 * @throws GatewayError `usage` if it is none of an authority's, `gateway` if the authority had too many tries
 */
export function renew(
  name: string,
  https: Https,
  services: readonly Service[],
  acme: Pick<Acme, "renew"> | undefined,
): RenewalDocument {
  const names = acme?.renew(name);
  if (names !== undefined) return { names, authority: https.authority?.host ?? "" };
  const { certificates } = certificatesDocument(https, services, Date.now());
  const [row] = certificates.filter((each) => each.name === name);
  const because = (state: string, hint: string): GatewayError =>
    new GatewayError("usage", `Cannot renew "${name}": ${state}`, { hint });
  if (row === undefined) {
    const known = certificates.map((each) => each.name);
    const meant = nearest(name, known);
    throw because(
      "no route has that name, and no certificate is for it",
      meant === undefined ? "docker-api-gateway certs lists them" : `did you mean ${meant}?`,
    );
  }
  if (row.source === "acme") {
    throw because("no route has that name any more", "it is made anew once a route has it again");
  }
  const unwanted = https.states.find((state) => state.name === name);
  if (unwanted !== undefined) throw because(unwanted.reason, "give it one with --certs");
  if (row.source === "file") {
    throw because(
      `its certificate is ${row.path}`,
      "who put it there renews it, such as certbot; a new one is served within 2 s",
    );
  }
  throw because(
    "no certificate is for it",
    https.authority === undefined ? "--acme gets one" : "its label acme=off says so",
  );
}
