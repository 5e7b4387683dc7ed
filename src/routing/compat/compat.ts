// The labels of other proxies as our own: from nginx-proxy, Traefik and caddy-docker-proxy. Everything
// here is pure, and whatever is in a label, it never throws.

import { ownName, type Container } from "../../model.ts";
import { isReadAsCaddy, translateCaddy } from "./caddy.ts";
import { isForNginxProxy, isOfNginxProxy, translateNginxProxy } from "./nginx-proxy.ts";
import { Notes } from "./notes.ts";
import { toLabels } from "./routes.ts";
import type { Subject, Translated } from "./subject.ts";
import { translateTraefik } from "./traefik.ts";
import { isOfTraefik } from "./traefik-labels.ts";
import { EVERYBODY, PROTECTING, type Labels } from "./vocabulary.ts";

/** The other proxies. */
export const PEERS = ["nginx-proxy", "traefik", "caddy"] as const;
type PeerName = (typeof PEERS)[number];

/** Whose labels are read: those of one proxy, of several, of none or of all. */
export type Compat = "none" | "all" | PeerName | readonly PeerName[];

/** What is read of a container. */
export type Translatable = Pick<Container, "name" | "labels" | "environment">;

/** What another proxy's labels mean. */
export interface Translation {
  /** Whose labels they were. */
  readonly from: PeerName;
  /** Ours, without the prefix `gateway.`. */
  readonly labels: Labels;
  /** What was not understood, one text for each label, without the container's name. */
  readonly warnings: readonly string[];
}

/** One of the proxies whose labels are read. */
interface Peer {
  readonly name: PeerName;
  readonly translate: (subject: Subject, notes: Notes) => Translated;
}

const TRAEFIK: Peer = { name: "traefik", translate: translateTraefik };
const CADDY: Peer = { name: "caddy", translate: translateCaddy };
const NGINX_PROXY: Peer = { name: "nginx-proxy", translate: translateNginxProxy };

/**
 * Translates a container's labels and variables. A container that has some of several proxies is
 * served as one of them says: as Traefik, else as Caddy, else as nginx-proxy.
 * @returns undefined if it has none of them, which is found by its labels' names alone
 */
export function translate(container: Translatable, compat: Compat): Translation | undefined {
  const [peer, ...others] = peersOf(container, compat);
  if (peer === undefined) return undefined;
  const { labels, environment } = container;
  const notes = new Notes();
  const subject = {
    name: ownName(container),
    labels,
    environment,
    service: labels["com.docker.compose.service"],
    project: labels["com.docker.compose.project"],
  };
  const { container: settings, drafts } = peer.translate(subject, notes);
  for (const other of others) {
    const both = `it has labels or variables for ${peer.name} and for ${other.name}`;
    notes.warnOfAll(`${both}, and those for ${other.name} are not read; --compat says which are`);
  }
  return { from: peer.name, labels: toLabels(settings, drafts), warnings: notes.texts };
}

/** The proxies of which a container has anything, the strongest first. */
function peersOf({ labels, environment }: Translatable, compat: Compat): readonly Peer[] {
  if (compat === "none") return [];
  let traefik = false;
  let caddy = false;
  for (const label in labels) {
    if (isOfTraefik(label)) traefik = true;
    else if (isReadAsCaddy(label)) caddy = true;
  }
  const found = [
    ...(traefik ? [TRAEFIK] : []),
    ...(caddy ? [CADDY] : []),
    ...(isForNginxProxy(environment) ? [NGINX_PROXY] : []),
  ];
  return compat === "all" ? found : found.filter(({ name }) => [compat].flat().includes(name));
}

/** Whether a label is one that any of the other proxies reads. */
export function isOfPeer(label: string): boolean {
  return isOfTraefik(label) || isReadAsCaddy(label) || isOfNginxProxy(label);
}

/** The container's own labels of the gateway, without their prefix. */
export function ownLabels(labels: Container["labels"], prefix = "gateway."): Labels {
  const own = Object.entries(labels).filter(([label]) => label.startsWith(prefix));
  return Object.fromEntries(own.map(([label, value]) => [label.slice(prefix.length), value]));
}

/**
 * Puts our own labels over translated ones, label by label.
 * @param own the container's own labels of the gateway, without the prefix
 */
export function withOwnLabels(translated: Labels, own: Labels): Labels {
  const labels: Record<string, string> = { ...translated, ...own };
  for (const [name, value] of Object.entries(translated)) {
    if (Object.hasOwn(own, name)) continue;
    const prefix = /^route\.[^.]+\./.exec(name)?.[0] ?? "";
    const has = (suffix: string): boolean => Object.hasOwn(own, prefix + suffix);
    // Who says what protects a route has mended what was not understood.
    if (name === `${prefix}deny` && value === EVERYBODY && PROTECTING.some(has))
      delete labels[name];
    // Who says a route of ours wants it, also while another proxy is told to leave it alone.
    if (name === "enable" && value === "false" && Object.keys(own).some(isRoute))
      delete labels[name];
  }
  return labels;
}

/** The labels of a container with the translated ones where it has none of its own. */
export function mergeLabels(
  labels: Container["labels"],
  translated: Labels,
  prefix = "gateway.",
): Container["labels"] {
  const all = Object.entries(withOwnLabels(translated, ownLabels(labels, prefix)));
  return { ...labels, ...Object.fromEntries(all.map(([name, value]) => [prefix + name, value])) };
}

function isRoute(label: string): boolean {
  return /^(?:host|path|tcp)$|^route\./.test(label);
}
