// Claims: who may have a host or a path at all, as the user of the gateway says.

import type { Container } from "../model.ts";
import { covers, isWithin, type Place } from "../lib/places.ts";
import { parseHost, parsePath } from "./values.ts";

/** Who may have a place, and all that is below it. */
export interface Claim extends Place {
  /** As it was given, such as `example.com=label:team=web`. */
  readonly text: string;
  readonly holder: Holder;
}

type Holder =
  | { readonly kind: "label"; readonly key: string; readonly value: string | undefined }
  | { readonly kind: "network"; readonly name: string }
  | { readonly kind: "image"; readonly pattern: string };

/** Reads `HOST[/PATH]=label:KEY[=VALUE]`, `...=network:NAME` or `...=image:PATTERN`. */
export function parseClaim(text: string): Claim | undefined {
  const [, place = "", kind = "", who = ""] =
    /^([^=]+)=(label|network|image):(.+)$/.exec(text.trim()) ?? [];
  const slash = place.includes("/") ? place.indexOf("/") : place.length;
  const [hostText, pathText] = [place.slice(0, slash), place.slice(slash)];
  const host = hostText === "" ? "" : parseHost(hostText);
  const path = pathText === "" ? "/" : parsePath(pathText);
  if (place === "" || host === undefined || path === undefined) return undefined;
  return { text: text.trim(), host, path, holder: toHolder(kind, who) };
}

function toHolder(kind: string, who: string): Holder {
  if (kind === "network") return { kind, name: who };
  if (kind === "image") return { kind, pattern: who };
  const equals = who.indexOf("=");
  return equals < 0
    ? { kind: "label", key: who, value: undefined }
    : { kind: "label", key: who.slice(0, equals), value: who.slice(equals + 1) };
}

/**
 * Why a container must not have a place; undefined if it may. Of all claims about the place those with
 * the narrowest host count, of these those with the longest path. One of them is enough.
 */
export function whyClaimed(
  container: Container,
  place: Place,
  claims: readonly Claim[],
): string | undefined {
  const about = narrowest(claims.filter((claim) => isAbout(claim, place)));
  if (about.length === 0 || about.some(({ holder }) => isHolder(container, holder)))
    return undefined;
  return `--claim ${about.map(({ text }) => text).join(" and ")}`;
}

/** Whether a container has a place that others are kept from. */
export function holdsClaim(
  container: Container,
  places: readonly Place[],
  claims: readonly Claim[],
): boolean {
  return places.some(
    (place) =>
      claims.some((claim) => isAbout(claim, place)) &&
      whyClaimed(container, place, claims) === undefined,
  );
}

function isAbout(claim: Claim, { host, path, tcp }: Place): boolean {
  // A claim of a path without a host is one of HTTP.
  if (tcp !== undefined && claim.host === "") return false;
  const isHost = claim.host === "" ? host === "" : covers(claim.host, host);
  return isHost && isWithin(path, claim.path);
}

/** All claims about one place have hosts that contain each other, so the longest is the narrowest. */
function narrowest(claims: readonly Claim[]): readonly Claim[] {
  const rank = ({ host, path }: Claim): number =>
    // An exact host is narrower than any wildcard.
    (host.startsWith("*") ? host.length : 1_000) * 1_000 + path.length;
  const best = Math.max(...claims.map(rank));
  return claims.filter((claim) => rank(claim) === best);
}

function isHolder(container: Container, holder: Holder): boolean {
  if (holder.kind === "label") {
    const { key, value } = holder;
    if (!Object.hasOwn(container.labels, key)) return false;
    return value === undefined || container.labels[key] === value;
  }
  if (holder.kind === "network") {
    return container.attachments.some(({ network }) => network === holder.name);
  }
  const { image } = container;
  // A tag or a digest need not be in the pattern.
  const name = image.replace(/@.*$/, "").replace(/:[^/:]*$/, "");
  return [image, name].some((each) => matches(each, holder.pattern));
}

/** Whether a text is what a pattern stands for, in which `*` is any text. */
function matches(text: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
