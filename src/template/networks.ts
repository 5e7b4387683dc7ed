// A map of networks: which routes each of them may use, and which not.

import { isInside, networkText, toNetwork, type Network } from "../lib/networks.ts";
import { compare } from "../lib/text.ts";
import type { Entry } from "./rules.ts";

/** The networks of a route. */
interface Named {
  readonly id: string;
  /** The values of the labels. */
  readonly values: Readonly<Record<string, string>>;
}

/** Each address is in one of these, so that an IPv4 address is never looked for among those of IPv6. */
const ALL_FOUR: Network = { bits: 32, first: 0n, length: 0 };
/** Where IPv4 addresses are among those of IPv6 (RFC 4291, section 2.5.5.2): a client of a `::` has one. */
const MAPPED: Network = { bits: 128, first: 0xffffn << 32n, length: 96 };

/**
 * The entries of the map. HAProxy takes the longest network that an address is in, so each entry has what
 * the wider ones have, too. Its value is `|+ID|-ID|`: who may use which route, and who may not.
 */
export function networkEntries(routes: readonly Named[]): readonly Entry[] {
  const words = new Map<string, Set<string>>();
  const networks = new Map<string, Network>();
  const add = (network: Network, word: string): void => {
    const key = networkText(network);
    networks.set(key, network);
    const known = words.get(key) ?? new Set();
    words.set(key, known.add(word));
  };
  for (const { id, values } of routes) {
    for (const network of networksOf(values["allow"])) add(network, `+${id}`);
    for (const network of networksOf(values["deny"])) add(network, `-${id}`);
  }
  if (networks.size === 0) return [];
  for (const network of [ALL_FOUR, MAPPED]) networks.set(networkText(network), network);
  return [...networks]
    .toSorted(([a], [b]) => compare(a, b))
    .map(([key, network]) => {
      const wider = [...networks].filter(
        ([, each]) => isInside(network, each) && isAlike(network, each),
      );
      const all = new Set(wider.flatMap(([each]) => [...(words.get(each) ?? [])]));
      return {
        key,
        value: `|${[...all]
          .toSorted(compare)
          .map((word) => `${word}|`)
          .join("")}`,
      };
    });
}

/** The networks of a label. Those of IPv4 are there in both forms. */
function networksOf(list = ""): Network[] {
  return list.split(",").flatMap((text) => {
    const network = toNetwork(text);
    if (network === undefined) return [];
    const { bits, first, length } = network;
    if (bits === 128) return [network];
    return [network, { bits: 128, first: MAPPED.first | first, length: length + 96 }];
  });
}

/** Whether both are networks of IPv4, or both of IPv6: who allows `::/0` allows no IPv4 address. */
function isAlike(inner: Network, outer: Network): boolean {
  return isInside(inner, MAPPED) === isInside(outer, MAPPED);
}
