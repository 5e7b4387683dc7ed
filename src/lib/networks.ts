// Reads addresses and networks. Two texts that mean the same network give the same text.

import { isIPv4, isIPv6 } from "node:net";

/** An IPv4 or IPv6 network as numbers. */
export interface Network {
  readonly bits: 32 | 128;
  /** The address, without the bits that the network leaves open. */
  readonly first: bigint;
  readonly length: number;
}

/** An address, or a network such as `10.0.0.0/8`, as HAProxy's maps have it. */
export function parseNetwork(text: string): string | undefined {
  const network = toNetwork(text);
  return network === undefined ? undefined : networkText(network);
}

/** Reads an address or a network; undefined if the text is none. */
export function toNetwork(text: string): Network | undefined {
  const [, address = "", size] = /^([0-9A-Fa-f.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const isFour = isIPv4(address);
  if (!isFour && !isIPv6(address)) return undefined;
  const bits = isFour ? 32 : 128;
  const length = size === undefined ? bits : Number(size);
  if (length > bits) return undefined;
  const value = isFour ? fourToNumber(address) : sixToNumber(address);
  const open = BigInt(bits - length);
  return { bits, first: (value >> open) << open, length };
}

/** A network as text, always with its length. */
export function networkText({ bits, first, length }: Network): string {
  return `${bits === 32 ? fourToText(first) : sixToText(first)}/${length}`;
}

/** Whether a network is the other one, or a part of it. */
export function isInside(inner: Network, outer: Network): boolean {
  if (inner.bits !== outer.bits || inner.length < outer.length) return false;
  const open = BigInt(outer.bits - outer.length);
  return inner.first >> open === outer.first >> open;
}

function fourToNumber(address: string): bigint {
  return address.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function fourToText(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** @param address one that `isIPv6` knows */
function sixToNumber(address: string): bigint {
  // The last 32 bits may be written as an IPv4 address.
  const plain = address.replace(/[\d.]+\.[\d.]+$/, (four) => {
    const value = fourToNumber(four);
    return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
  });
  const [head = "", tail] = plain.split("::");
  const [start, end] = [wordsOf(head), wordsOf(tail ?? "")];
  const gap = Array.from({ length: 8 - start.length - end.length }, () => "0");
  return [...start, ...gap, ...end].reduce((sum, word) => (sum << 16n) | BigInt(`0x${word}`), 0n);
}

function wordsOf(part: string): string[] {
  return part.split(":").filter((word) => word !== "");
}

function sixToText(value: bigint): string {
  const words = Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt((7 - index) * 16)) & 0xffffn).toString(16),
  ).join(":");
  // Source: RFC 5952, section 4.2: the longest run of zeros is left out, the first of several as long.
  const runs = [...words.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)];
  const [longest] = runs.toSorted(([a], [b]) => b.length - a.length);
  if (longest === undefined) return words;
  const [head, tail] = [
    words.slice(0, longest.index),
    words.slice(longest.index + longest[0].length),
  ];
  return `${head.replace(/:$/, "")}::${tail.replace(/^:/, "")}`;
}
