// The answer to `GET /v1/traffic`: what went on in the last hour. Pure but for the clock that dates it.

import { GatewayError } from "../../lib/errors.ts";
import type { Service } from "../../model.ts";
import { titleOf } from "../../routing/intent.ts";
import { POINT, POINTS, told, type Kind, type Points } from "./ring.ts";
import type { Traffic } from "./traffic.ts";

/** So many services may be asked for by one request: a page shows fewer at a time. */
const MOST_ASKED = 200;
/** What is true now is the mean of so many points: a minute. */
const LATELY = 60 / POINT;

/** The answer. Requests and errors are those a second, times are in milliseconds. What is not known is null. */
export interface TrafficDocument {
  /** How long a point is, in seconds. */
  readonly every: number;
  /** When the newest point ended. */
  readonly until: string | null;
  /** Of all services together. */
  readonly all: Points;
  /** What went on in the last minute. */
  readonly services: readonly ServiceTraffic[];
  /** The services that were asked for. */
  readonly asked: readonly (Points & { readonly backend: string })[];
}

interface ServiceTraffic extends Readonly<Record<Kind, number | null>> {
  readonly name: string;
  readonly backend: string;
}

/**
 * Makes the answer.
 * @param traffic undefined: nothing is kept
 * @param asked the parameters: `backend` may be repeated, `every` is in seconds
 * @throws GatewayError `usage`
 */
export function trafficDocument(
  traffic: Traffic | undefined,
  services: readonly Pick<Service, "name" | "backend">[],
  asked: URLSearchParams,
): TrafficDocument {
  if (traffic === undefined) {
    throw new GatewayError("usage", "Cannot tell what went on: nothing is kept of it", {
      hint: "start the gateway with --admin",
    });
  }
  const every = everyOf(asked.get("every") ?? String(POINT));
  const backends = asked.getAll("backend");
  if (backends.length > MOST_ASKED) {
    const message = `Cannot tell what went on at ${backends.length} services: that are too many`;
    throw new GatewayError("usage", message, { hint: `ask for ${MOST_ASKED} at most` });
  }
  const { age } = traffic;
  const size = every / POINT;
  const served = new Set(services.map(({ backend }) => backend));
  return {
    every,
    until: age === undefined ? null : new Date(Date.now() - age).toISOString(),
    all: traffic.all.points(size),
    services: services.map(({ name, backend }) => {
      const { requests, errors, times } = traffic.ringOf(backend).latest(LATELY);
      const lately = { requests: told(requests), errors: told(errors), times: told(times) };
      return { name: titleOf(name), backend, ...lately };
    }),
    asked: backends
      .filter((backend) => served.has(backend))
      .map((backend) => ({ backend, ...traffic.ringOf(backend).points(size) })),
  };
}

/** @throws GatewayError `usage` */
function everyOf(value: string): number {
  const every = Number(value);
  const fits = /^\d+$/.test(value) && every > 0 && every % POINT === 0;
  if (fits && POINTS % (every / POINT) === 0) return every;
  throw new GatewayError("usage", `Cannot tell what went on every "${value}" seconds`, {
    hint: `such as ${POINT}, 60 or 300: a multiple of ${POINT} of which an hour is one`,
  });
}
