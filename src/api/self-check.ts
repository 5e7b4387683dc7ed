// The answer to `POST /v1/certificates/NAME/check`: whether the addresses of a name lead to this gateway.

import { isIPv6 } from "node:net";
import type { Acme } from "../acme/acme.ts";
import { Failure } from "../acme/failure.ts";
import { GatewayError } from "../lib/errors.ts";

/** An address of a name. */
interface AddressDocument {
  readonly address: string;
  /** The type of its record in the DNS. */
  readonly type: "A" | "AAAA";
  /** Who answers there instead; empty: it leads here. */
  readonly problem: string;
  /** Whether this machine has no way there at all: others may have one. */
  readonly unreachable: boolean;
}

export interface CheckDocument {
  readonly addresses: readonly AddressDocument[];
}

/** Who asks waits for it. In milliseconds. */
const LIMIT = 3_000;

/**
 * Asks each address of a name for a text that only this gateway answers.
 * @param acme whose answers HAProxy gives; undefined: it gives none
 * @throws GatewayError `usage` if the name has no address, or HAProxy answers nothing to authorities
 */
export async function whereItLeads(
  name: string,
  acme: Pick<Acme, "whereItLeads"> | undefined,
): Promise<CheckDocument> {
  const cannot = (state: string, hint?: string): GatewayError =>
    new GatewayError("usage", `Cannot check where "${name}" leads: ${state}`, { hint });
  if (acme === undefined) throw cannot("that takes --acme, and no --acme-dns");
  try {
    const found = await acme.whereItLeads(name, LIMIT);
    return {
      addresses: found.map(({ address, problem = "", isUnknown }) => {
        return { address, type: isIPv6(address) ? "AAAA" : "A", problem, unreachable: isUnknown };
      }),
    };
  } catch (error) {
    if (error instanceof Failure) throw cannot(error.message, error.hint);
    throw error;
  }
}
