// The answer to `GET /v1/failures`: the last requests that failed. Pure.

import type { FailedRequest } from "../gateway/access-log/failures.ts";

/** The answer. */
export interface FailuresDocument {
  /** Whether the gateway knows of requests: it does where it writes an access log. */
  readonly kept: boolean;
  /** The newest one first. */
  readonly failures: readonly FailureDocument[];
}

interface FailureDocument extends Omit<FailedRequest, "at"> {
  readonly time: string;
}

/** Makes the answer. @param failed the newest one last; undefined: nothing is known of requests */
export function failuresDocument(failed: readonly FailedRequest[] | undefined): FailuresDocument {
  const failures = (failed ?? []).map(({ at, ...request }) => {
    return { time: new Date(at).toISOString(), ...request };
  });
  return { kept: failed !== undefined, failures: failures.toReversed() };
}
