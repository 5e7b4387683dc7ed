// Translates the labels of Traefik 2 and 3.

import type { Notes, Theirs } from "./notes.ts";
import { sortTraefikLabels } from "./traefik-labels.ts";
import { defaultServiceOf, HttpReader } from "./traefik-routers.ts";
import { readTcpRouters } from "./traefik-tcp.ts";
import type { Subject, Translated } from "./subject.ts";
import { toServiceName } from "./vocabulary.ts";
import { toNetwork, toSwitch } from "./values.ts";

/** Translates the labels of a container that has some of Traefik's. */
export function translateTraefik(subject: Subject, notes: Notes): Translated {
  const labels = sortTraefikLabels(subject.labels, notes);
  const { enable } = labels;
  const wanted = enable === undefined ? undefined : toSwitch(enable.value);
  if (enable !== undefined && wanted === undefined) {
    notes.warn(enable, "it is neither true nor false, so the container is left out", "enable");
  }
  if (enable !== undefined && wanted !== true)
    return { container: { enable: "false" }, drafts: [] };
  const network = readNetwork(labels.network, notes);
  const container = {
    ...(wanted === undefined ? {} : { enable: "true" }),
    ...(network === undefined ? {} : { network }),
  };
  const http = new HttpReader(subject, labels, notes).read(container);
  const tcp = readTcpRouters(labels.tcp, notes);
  if (!tcp.isAsked) return http;
  const isAlone = labels.http.routers.size === 0;
  if (!isAlone && http.drafts.length === 0) {
    notes.warnOfAll("its TCP routers are left out, as no rule of its HTTP routers is known");
    return http;
  }
  // With only TCP in its labels, Traefik serves nothing else of the container.
  const service = isAlone
    ? { service: toServiceName(tcp.service ?? defaultServiceOf(subject)) }
    : {};
  // A port of TCP is the container's own, and routes of HTTP are further ones beside it.
  const all = isAlone ? tcp.drafts : [...tcp.drafts, ...http.drafts];
  return all.length > 0
    ? { container: { ...http.container, ...service }, drafts: all }
    : { container: { ...container, enable: "false" }, drafts: [] };
}

function readNetwork(theirs: Theirs | undefined, notes: Notes): string | undefined {
  if (theirs === undefined) return undefined;
  const network = toNetwork(theirs.value);
  if (network === undefined) notes.warn(theirs, "it is no name of a network", "network");
  return network;
}
