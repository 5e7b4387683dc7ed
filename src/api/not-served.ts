// What is not served, and why: containers that are not routed, and routes that containers do not get.

import type { Model, Rejection } from "../model.ts";

/** A container that is not routed. */
type NotRouted = Omit<Rejection, "ending" | "kind">;

/** A route that containers ask for and do not have. */
interface Refused {
  /** As a person reads it. */
  readonly route: string;
  /** The IDs of the containers. */
  readonly containers: readonly string[];
  readonly reason: string;
}

export interface NotServed {
  readonly notRouted: readonly NotRouted[];
  readonly refusals: readonly Refused[];
}

/** Finds what is not served. What is only about to end is nothing to speak of. */
export function notServedOf({
  rejections,
  refusals,
}: Pick<Model, "rejections" | "refusals">): NotServed {
  return {
    notRouted: rejections
      .filter(({ ending }) => !ending)
      .map(({ id, container, image, reason, expected }) => ({
        id,
        container,
        image,
        reason,
        expected,
      })),
    refusals: refusals.map(({ ids, route, reason }) => ({ route, containers: ids, reason })),
  };
}

/** Says what is not served though somebody wants it, one sentence for each. */
export function describeNotServed({ notRouted, refusals }: NotServed): readonly string[] {
  const wrong = notRouted.filter(({ expected }) => !expected);
  const isOut = new Set(wrong.map(({ id }) => id));
  const reasons = new Set([
    ...wrong.map(({ container, reason }) => `container ${container}: ${reason}`),
    ...refusals
      .filter(({ containers }) => !containers.every((id) => isOut.has(id)))
      .map(({ reason }) => reason),
  ]);
  return [...reasons];
}
