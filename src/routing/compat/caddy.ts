// Translates the labels of caddy-docker-proxy.

import { quoted, type Notes } from "./notes.ts";
import { isOfCaddy, readCaddyBlocks, type Directive } from "./caddy-tree.ts";
import { readSite } from "./caddy-site.ts";
import { mainFirst, type Draft } from "./routes.ts";
import type { Subject, Translated } from "./subject.ts";
import { splitList, toHost, toNetwork } from "./values.ts";
import { toServiceName } from "./vocabulary.ts";

/** More than a container has any use for. */
const MOST_HOSTS = 64;
/** The labels that only say which of several Caddys is meant. */
const CONTROL = "caddy_controlled_server";

/** Translates the labels of a container that has some of caddy-docker-proxy's. */
export function translateCaddy({ name, labels }: Subject, notes: Notes): Translated {
  const blocks = readCaddyBlocks(labels);
  const network = readNetwork(labels, notes);
  const drafts = mainFirst(blocks.flatMap((block) => readBlock(block, notes)));
  const [first] = drafts;
  if (first === undefined) {
    const hasSite = blocks.some(({ args }) => args.length > 0);
    if (!hasSite) return { container: network, drafts };
    notes.warnOfAll("what Caddy would serve of it is not understood, so it is left out");
    return { container: { ...network, enable: "false" }, drafts };
  }
  const service = first.host === "" ? toServiceName(name) : toServiceName(first.host, first.path);
  return { container: { ...network, enable: "true", service }, drafts };
}

/** Whether a label is one that this file reads. */
export function isReadAsCaddy(label: string): boolean {
  return label !== CONTROL && isOfCaddy(label);
}

function readNetwork(labels: Subject["labels"], notes: Notes): { network?: string } {
  const label = "caddy_ingress_network";
  const value = labels[label];
  if (value === undefined) return {};
  const network = toNetwork(value);
  if (network !== undefined) return { network };
  notes.warn({ label, value }, "it is no name of a network", "network");
  return {};
}

function readBlock(site: Directive, notes: Notes): readonly Draft[] {
  const { args, theirs, block, isTemplate } = site;
  const [first = ""] = args;
  if (args.length === 0 && !isTemplate) {
    for (const option of block) notes.warn(option.theirs, "it is an option of Caddy itself");
    return [];
  }
  if (first.startsWith("(")) {
    notes.warn(theirs, "snippets are not known");
    return [];
  }
  const hosts = isTemplate ? [] : readAddresses(site, notes);
  if (isTemplate) notes.warn(theirs, "its template is not known", "host");
  return hosts.length === 0 ? [] : readSite(site, hosts, notes);
}

/** The hosts of a site; an empty one: any host. */
function readAddresses({ args, theirs }: Directive, notes: Notes): readonly string[] {
  const addresses = args.slice(0, MOST_HOSTS + 1).flatMap(splitList);
  if (addresses.length > MOST_HOSTS)
    notes.warn(theirs, `only ${MOST_HOSTS} hosts are read`, "host");
  const hosts = addresses.slice(0, MOST_HOSTS).flatMap((address) => {
    const [, written, port] = /^(?:https?:\/\/)?([^:/]*)(?::(\d{1,5}))?\/?$/i.exec(address) ?? [];
    const isAny = written === "" && port !== undefined;
    const host = written === undefined || isAny ? undefined : toHost(written);
    if (host === undefined && !isAny) {
      notes.warn(theirs, `${quoted(address)} is no host name`, "host");
      return [];
    }
    if (port !== undefined && port !== "80" && port !== "443") {
      notes.warn(theirs, "it is served on all that the gateway listens on");
    }
    return [host ?? ""];
  });
  return [...new Set(hosts)];
}
