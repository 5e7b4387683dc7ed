// Makes configurations for the tests of plans, and puts plans into short words.

import type { Files } from "../../src/model.ts";
import type { Aliases, Capabilities, Operation } from "../../src/config/operations.ts";
import { planChange, type Plan } from "../../src/plan/plan.ts";
import { files } from "./make.ts";

export const V26: Capabilities = {
  version: "2.6.12",
  dynamicBackends: false,
  refusedSettings: new Set(),
};
export const V34: Capabilities = {
  version: "3.4.7",
  dynamicBackends: true,
  refusedSettings: new Set(),
};

export const BASE = `global
  stats socket /x.sock level admin
defaults d
  default-server inter 2s
frontend f from d
  bind :80
`;

export function plan(
  before: Files,
  after: Files,
  capabilities: Capabilities | undefined,
  aliases: Aliases = {},
): Plan {
  return planChange({ files: before, aliases }, after, capabilities);
}

/** The operations of a runtime plan in short words. */
export function tell(done: Plan): string[] {
  if (done.kind !== "runtime") return [JSON.stringify(done)];
  return done.operations.map(toText);
}

function toText(operation: Operation): string {
  if (operation.do === "replace map") return `replace map with ${operation.entries.length}`;
  if ("key" in operation) {
    const value = "value" in operation ? ` ${operation.value}` : "";
    return `${operation.do} ${operation.key}${value}`;
  }
  if ("list" in operation) return `${operation.do} ${operation.line}`;
  if ("file" in operation) return `${operation.do} ${operation.file}`;
  if (!("server" in operation)) return `${operation.do} ${operation.backend}`;
  const { server } = operation;
  return `${operation.do} ${operation.backend}/${typeof server === "string" ? server : server.name}`;
}

/** A configuration with one backend that has these servers. */
export function withServers(...servers: string[]): Files {
  return files(
    `${BASE}backend b from d\n${servers.map((server) => `  server ${server}\n`).join("")}`,
  );
}

export function routes(text: string): Files {
  return files(BASE, { "/m": text });
}
