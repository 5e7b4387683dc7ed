// What is made of one service: itself, or why it is not served, and what there is to say of it.

import { isDeepStrictEqual } from "node:util";
import { shared } from "../lib/lists.ts";
import { keyOf, nameOf } from "../lib/places.ts";
import type { Rejection, RouteRefusal, Service } from "../model.ts";
import type { UnroutedContainer } from "./container.ts";
import { isBranch, titleOf, type Intent } from "./intent.ts";
import type { Loss } from "./ownership.ts";
import { toService, warningsOf, type ServiceGroup } from "./service.ts";
import type { Ask, Denial, Standing } from "./standing.ts";

/** A service that may be served. */
export interface Candidate extends Standing {
  readonly name: string;
  readonly group: ServiceGroup;
}

/** What is made of a service, with the input that it was made from. */
export interface Served {
  readonly name: string;
  readonly candidate: Candidate;
  readonly losses: readonly Loss[];
  /** Undefined if it has no route, so that none of its containers is routed. */
  readonly service: Service | undefined;
  readonly rejections: readonly Rejection[];
  readonly refusals: readonly RouteRefusal[];
  readonly warnings: readonly string[];
}

/** What is made of a service, with the service from before if that is the same. */
export function reuse(made: Served, before: Service | undefined): Served {
  // Other input can give an equal service. One example is a container that was told to stop and
  // goes on as the last of its service.
  const isSame = before !== undefined && isDeepStrictEqual(before, made.service);
  return isSame ? { ...made, service: before } : made;
}

/** Makes a service of what it asks for. @param losses the routes that others have */
export function serve(candidate: Candidate, losses: readonly Loss[]): Served {
  const { name, group, members, asks, denials, settings } = candidate;
  const lost = new Set(losses.map(({ ask }) => ask));
  const own = asks.filter((ask) => !lost.has(ask));
  const isServed = own.length > 0;
  const left = new Set(members.map(({ container }) => container.id));
  const out = denials.filter(({ route }) => route === undefined);
  const why = losses[0]?.reason ?? "another service has its host name";
  const refusals = [
    ...denials.flatMap(({ container, route, reason }): RouteRefusal[] =>
      route === undefined ? [] : [{ ids: [container.id], route, reason }],
    ),
    ...losses.map(({ ask, reason }): RouteRefusal => {
      const asking = group.members.filter(
        ({ container: { id }, intent }) => left.has(id) && asksFor(intent, ask),
      );
      return { ids: asking.map(({ container }) => container.id), route: nameOf(ask), reason };
    }),
  ];
  return {
    name,
    candidate,
    losses,
    service: isServed ? toService(name, members, own, settings) : undefined,
    // What has no part in a branch is served elsewhere.
    rejections: shared(
      isBranch(name)
        ? []
        : [
            ...out.map((each) => toRejection(unrouted(each))),
            ...(isServed
              ? []
              : members.map(({ container }) =>
                  toRejection(unrouted({ container, route: undefined, reason: why })),
                )),
          ],
    ),
    refusals: shared(refusals),
    warnings: shared([
      ...warningsOf(name, members),
      ...candidate.warnings,
      ...(isBranch(name) ? out : []).map(
        ({ container, reason }) =>
          `container ${container.name} is no part of service ${titleOf(name)}: ${reason}`,
      ),
      ...(isServed || isBranch(name) ? refusals : []).map(
        ({ route, reason }) => `service ${titleOf(name)} is not served at ${route}: ${reason}`,
      ),
    ]),
  };
}

function unrouted({ container, reason }: Denial): UnroutedContainer {
  return { container, kind: "route", reason, expected: false, ending: false };
}

/** Whether a container asks for a route. */
function asksFor({ routes }: Intent, ask: Ask): boolean {
  return routes.some((each) => keyOf(each) === ask.key || (each.isDefault && ask.isDefault));
}

/** What is said of a container that is not routed. */
export function toRejection({
  container,
  kind,
  reason,
  expected,
  ending,
}: UnroutedContainer): Rejection {
  const { id, name, image } = container;
  return { id, container: name, image, kind, reason, expected, ending };
}
