// Shares the requests of a service between its containers with the label `split` and the others, by the
// weights of their servers.

import type { Server } from "../model.ts";
import type { RoutedContainer } from "./container.ts";
import { titleOf } from "./intent.ts";

/** The largest weight that HAProxy takes. Source: configuration manual, section 5.2 (`weight`). */
const LARGEST = 256;
/** All shares together may be so far off. */
const NEAR = 0.001;

/** One server, and whether it is on the side of the label. */
interface Part {
  readonly server: Server;
  readonly isSplit: boolean;
  /** Its share among those of its side. */
  readonly weight: number;
}

/**
 * Gives the servers weights by which those of containers with the label get their share together.
 * @param members the containers of a service, the oldest with the label first
 * @returns the same servers if there is nothing to share: one of the sides has none
 */
export function withShares(
  members: readonly RoutedContainer[],
  servers: readonly Server[],
): readonly Server[] {
  const split = members.filter(({ intent }) => intent.server.split !== undefined);
  const percent = split[0]?.intent.server.split;
  if (percent === undefined) return servers;
  const ids = new Set(split.flatMap((member) => member.servers.map(({ id }) => id)));
  // What gets no requests now has no part in it, and keeps its weight.
  const parts = servers
    .filter(({ disabled, backup }) => !disabled && !backup)
    .map((server): Part => ({
      server,
      isSplit: ids.has(server.id),
      weight: Number(server.weight || "1"),
    }));
  const [ours, theirs] = [sumOf(parts, true), sumOf(parts, false)];
  if (ours === 0 || theirs === 0) return servers;
  const share = percent / 100;
  const wanted = parts.map(({ isSplit, weight }) =>
    isSplit ? (weight * share) / ours : (weight * (1 - share)) / theirs,
  );
  const weights = inWholeNumbers(wanted);
  const byServer = new Map(parts.map(({ server }, index) => [server, weights[index]]));
  return servers.map((server) => {
    const weight = byServer.get(server)?.toString() ?? server.weight;
    return weight === server.weight ? server : { ...server, weight };
  });
}

/** A warning if two containers of a service want another share. @param members the oldest first */
export function shareWarnings(
  service: string,
  members: readonly RoutedContainer[],
  labelPrefix: string,
): string[] {
  const [first, ...others] = members.flatMap(({ container, intent }) =>
    intent.server.split === undefined ? [] : { name: container.name, split: intent.server.split },
  );
  const other = others.find(({ split }) => split !== first?.split);
  if (first === undefined || other === undefined) return [];
  return [
    `containers ${first.name} and ${other.name} share service ${titleOf(service)} and differ in label ` +
      `${labelPrefix}split: ${first.name} is the oldest, so they get ${first.split}% together`,
  ];
}

/**
 * The smallest whole numbers that are near enough to these shares, none of them larger than HAProxy takes.
 * @param wanted their sum is 1
 */
function inWholeNumbers(wanted: readonly number[]): readonly number[] {
  const largest = Math.max(...wanted);
  let best: readonly number[] = [];
  let least = Infinity;
  for (let top = 1; top <= LARGEST && least > NEAR; top++) {
    const numbers = wanted.map((each) =>
      each === 0 ? 0 : Math.max(1, Math.round((each / largest) * top)),
    );
    const sum = total(numbers);
    const error = total(numbers.map((each, index) => Math.abs(each / sum - (wanted[index] ?? 0))));
    if (error < least) [best, least] = [numbers, error];
  }
  return best;
}

function sumOf(parts: readonly Part[], isSplit: boolean): number {
  return total(parts.filter((each) => each.isSplit === isSplit).map(({ weight }) => weight));
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}
