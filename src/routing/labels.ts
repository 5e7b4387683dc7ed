// Reads and checks the container labels `gateway.*`.

import { distance } from "fastest-levenshtein";

export interface Labels {
  readonly enable: boolean;
  readonly port: number | undefined;
  readonly network: string | undefined;
  /** Whether the prefix is stripped from requests. */
  readonly strip: boolean | undefined;
  /** One for each label that looks like a misspelt `gateway.*` label. */
  readonly warnings: readonly string[];
}

/** Why the labels of a container are refused. */
export interface InvalidLabels {
  readonly reason: string;
}

const KNOWN = ["gateway.enable", "gateway.port", "gateway.network", "gateway.strip"];
const YES = new Set(["true", "1", "yes", "on"]);
const NO = new Set(["false", "0", "no", "off"]);

/** Reads the `gateway.*` labels of a container. An invalid one means that it is not routed. */
export function readLabels(labels: Readonly<Record<string, string>>): Labels | InvalidLabels {
  const enable = readSwitch("gateway.enable", labels);
  if (typeof enable === "object") return enable;
  const portText = labels["gateway.port"]?.trim();
  const port = portText === undefined ? undefined : parsePort(portText);
  if (portText !== undefined && port === undefined) {
    return { reason: `label gateway.port=${quote(portText)} is no port number (1 to 65535)` };
  }
  const network = labels["gateway.network"]?.trim();
  if (network === "") return { reason: `label gateway.network is empty` };
  const strip = readSwitch("gateway.strip", labels);
  if (typeof strip === "object") return strip;
  return {
    enable: enable ?? true,
    port,
    network,
    strip,
    warnings: Object.keys(labels).flatMap(spellingWarnings),
  };
}

function readSwitch(
  name: string,
  labels: Readonly<Record<string, string>>,
): boolean | undefined | InvalidLabels {
  const word = labels[name]?.trim().toLowerCase();
  if (word === undefined) return undefined;
  if (YES.has(word)) return true;
  if (NO.has(word)) return false;
  return { reason: `label ${name}=${quote(word)} is neither true nor false` };
}

/** A TCP port number from 1 to 65535; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}

function spellingWarnings(label: string): string[] {
  if (!label.startsWith("gateway") || KNOWN.includes(label)) return [];
  // At most two typing errors. With more differences it is a label of another program.
  const meant = KNOWN.find((known) => distance(known, label) <= 2);
  return meant === undefined ? [] : [`label ${label} is unknown, ${meant} was probably meant`];
}

function quote(text: string): string {
  return JSON.stringify(text);
}
