// The file that says who is behind each server, as text. Docker gives an address to another container
// as soon as its container has ended. This file tells whether it still is the same one.

import { differingItems } from "../lib/lists.ts";
import type { ProcessIdentity } from "../lib/processes.ts";
import { lineDifference } from "../lib/text.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import { OWN_KINDS, type AssetKind, type Files } from "../model.ts";

/** A container at a place. */
export interface Owner {
  readonly id: string;
  readonly name: string;
  /** When its process started, in Docker's words; empty if that is not known. */
  readonly startedAt: string;
  /** The processes that hold the place; undefined if they cannot be seen from here. */
  readonly processes: readonly ProcessIdentity[] | undefined;
  /** Set if the address is that of a machine, whose other ports are other containers'. */
  readonly isPublished?: true;
}

/** A place is an `address:port` as a server line has it. */
export interface Owners {
  /** The boot and the PID namespace in which the numbers of processes are valid. */
  readonly scope: string;
  /** Containers in the host's network may share a place. */
  readonly byPlace: ReadonlyMap<string, readonly Owner[]>;
}

const HEADER = "# docker-api-gateway: the container behind each server, and its processes\n";
/** The last line. Without it the file is only a part. */
const END = "end\n";
/** Stands for what is not known. */
const UNKNOWN = "-";
/** Stands at the end of a line whose address is that of a machine. */
const PUBLISHED = "published";

/** Writes the line of one owner. */
export function ownerLine(place: string, owner: Owner): string {
  const { id, name, startedAt, processes, isPublished } = owner;
  const numbers = processes?.map(({ pid, started }) => `${pid}/${started}`).join(",") ?? UNKNOWN;
  return `${place} ${id} ${startedAt === "" ? UNKNOWN : startedAt} ${numbers} ${name}${isPublished === true ? ` ${PUBLISHED}` : ""}\n`;
}

/** Writes the file. @param lines those that `ownerLine` wrote */
export function ownersText(scope: string, lines: readonly string[]): string {
  return `${HEADER}scope ${scope}\n${lines.join("")}${END}`;
}

/** Reads the file; undefined if it is not whole. */
export function parseOwners(text: string): Owners | undefined {
  if (!text.startsWith(HEADER) || !text.endsWith(`\n${END}`)) return undefined;
  const [scope = "", ...lines] = text.slice(HEADER.length, -END.length).trimEnd().split("\n");
  const places = lines.map(parseLine);
  if (!scope.startsWith("scope ") || places.includes(undefined)) return undefined;
  const known = places.filter((each) => each !== undefined);
  const byPlace = new Map(
    [...Map.groupBy(known, ({ place }) => place)].map(([place, all]) => [
      place,
      all.map(({ owner }) => owner),
    ]),
  );
  return { scope: scope.slice("scope ".length), byPlace };
}

const parsed = new WeakCache<Files, Owners | undefined>();

/** Who is behind the servers of these files; undefined if that is not known. */
export function ownersOf(files: Files): Owners | undefined {
  return parsed.get(files, (each) => parseOwners(ownersTextOf(each)));
}

/** The text of the file about owners; empty if there is none. */
export function ownersTextOf(files: Files): string {
  return textOf(files, "owners");
}

/** Whether all that is for the gateway alone is the same in both. */
export function sameOwnFiles(a: Files, b: Files): boolean {
  return OWN_KINDS.every((kind) => textOf(a, kind) === textOf(b, kind));
}

function textOf({ assets }: Files, wanted: AssetKind): string {
  return Object.values(assets).find(({ kind }) => kind === wanted)?.text ?? "";
}

/**
 * The places that have another owner than before, or the same container after a restart. A server
 * there is a new one, though its line is the same.
 */
export function renewedPlaces(before: string, after: string): ReadonlySet<string> {
  const { start, before: oldEnd, after: newEnd } = lineDifference(before, after);
  const [old, now] = [
    before.slice(start, oldEnd).trimEnd().split("\n"),
    after.slice(start, newEnd).trimEnd().split("\n"),
  ];
  // Of thousands of lines between the first and the last that differ, nearly all are in both.
  const { former: gone, current: come } = differingItems(old, now);
  const places = new Set([...gone, ...come].map(placeIn));
  const isMeant = (line: string): boolean => places.has(placeIn(line));
  const [former, current] = [lives(old.filter(isMeant)), lives(now.filter(isMeant))];
  const isRenewed = ([place, life]: readonly [string, string]): boolean => {
    const last = former.get(place);
    return (
      last !== undefined && last !== life && !last.endsWith(UNKNOWN) && !life.endsWith(UNKNOWN)
    );
  };
  return new Set([...current].filter(isRenewed).map(([place]) => place));
}

/**
 * Whether containers publish ports at an address, which is a machine's then. Of thousands of lines only
 * those of the address are looked at.
 * @param address without brackets
 */
export function isMachine(files: Files, address: string): boolean {
  const text = ownersTextOf(files);
  const begin = `\n${address.includes(":") ? `[${address}]` : address}:`;
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at + 1)) {
    const line = text.slice(at + 1, text.indexOf("\n", at + 1));
    if (parseLine(line)?.owner.isPublished === true) return true;
  }
  return false;
}

/** The address in a place, without brackets. */
function addressOf(place: string): string {
  return place.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

/** The owners that a rule is for. */
export function ownersThat({ scope, byPlace }: Owners, isMeant: (owner: Owner) => boolean): Owners {
  const left = [...byPlace].map(([place, all]) => [place, all.filter(isMeant)] as const);
  return { scope, byPlace: new Map(left.filter(([, all]) => all.length > 0)) };
}

/** The addresses that only other containers have than before. They have no brackets and no port. */
export function changedHands(before: Files, after: Files): ReadonlySet<string> {
  const [old, now] = [idsByAddress(before), idsByAddress(after)];
  const isAnothers = ([address, ids]: readonly [string, ReadonlySet<string>]): boolean =>
    now.get(address)?.isDisjointFrom(ids) === true;
  return new Set([...old].filter(isAnothers).map(([address]) => address));
}

function idsByAddress(files: Files): ReadonlyMap<string, ReadonlySet<string>> {
  const all = [...(ownersOf(files)?.byPlace ?? [])];
  const byAddress = Map.groupBy(all, ([place]) => addressOf(place));
  return new Map(
    [...byAddress].map(([address, places]) => [
      address,
      new Set(places.flatMap(([, owners]) => owners.map(({ id }) => id))),
    ]),
  );
}

function placeIn(line: string): string {
  return line.slice(0, line.indexOf(" "));
}

/** By place: the containers there, each with its start. */
function lives(lines: readonly string[]): ReadonlyMap<string, string> {
  const byPlace = new Map<string, string>();
  for (const line of lines) {
    const [place = "", id, startedAt] = line.split(" ");
    const life = `${id} ${startedAt}`;
    const others = byPlace.get(place);
    byPlace.set(place, others === undefined ? life : `${others}, ${life}`);
  }
  return byPlace;
}

function parseLine(line: string): { readonly place: string; readonly owner: Owner } | undefined {
  const [place, id, startedAt, numbers, name, end, ...rest] = line.split(" ");
  if (place === undefined || id === undefined || startedAt === undefined) return undefined;
  if (numbers === undefined || name === undefined || rest.length > 0) return undefined;
  if (end !== undefined && end !== PUBLISHED) return undefined;
  const processes = numbers === UNKNOWN ? undefined : numbers.split(",").map(parseProcess);
  return {
    place,
    owner: {
      id,
      name,
      startedAt: startedAt === UNKNOWN ? "" : startedAt,
      processes,
      ...(end === PUBLISHED ? { isPublished: true } : {}),
    },
  };
}

function parseProcess(text: string): ProcessIdentity {
  const [pid, started = ""] = text.split("/");
  return { pid: Number(pid), started };
}
