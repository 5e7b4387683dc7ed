// Drift: what HAProxy says it runs, compared with what its files say.

import { sectionsOf } from "../../config/sections.ts";
import {
  backendOf,
  mapEntries,
  valuesByKey,
  mapsOf,
  runningValue,
  shownEntries,
} from "../../config/map-file.ts";
import { breathe } from "../../lib/async.ts";
import { crtListsOf, listLines, shownLines } from "../../config/crt-list.ts";
import type { Files } from "../../model.ts";
import {
  isSpare,
  type Aliases,
  type Capabilities,
  type ServerLine,
} from "../../config/operations.ts";
import { bareAddress, hasIpAndPort, serversByBackend, weightOf } from "../../config/servers.ts";
import { readServerStates, type ServerState } from "../process/server-states.ts";
import type { Runtime } from "./runtime.ts";

/** What is asked of a running HAProxy, and what is known of its servers. */
type Compared = Pick<Runtime, "ask" | "overridden" | "removals">;

/** So many servers are compared at a time: a container that ends meanwhile is to be drained within milliseconds. */
const AT_ONCE = 500;

/** So many differences are named. The reload that follows mends them all. */
const NAMED = 3;

/**
 * How the running HAProxy differs from what the files say. Empty if it does not.
 * @throws GatewayError `haproxy` if it cannot be asked
 */
export async function findDrift(
  runtime: Compared,
  files: Files,
  aliases: Aliases,
  { dynamicBackends }: Capabilities,
): Promise<string[]> {
  const differences = [
    ...(await serverDifferences(runtime, files, aliases)),
    ...(await mapDifferences(runtime, files, aliases)),
    ...(await certificateDifferences(runtime, files)),
    ...(dynamicBackends ? await backendDifferences(runtime, files, aliases) : []),
  ];
  return differences.slice(0, NAMED);
}

/**
 * The backends that HAProxy has under another name than the files: an earlier gateway used spare
 * backends for them. The running map tells which.
 * @throws GatewayError `haproxy` if it cannot be asked
 */
export async function findAliases(runtime: Compared, files: Files): Promise<Aliases> {
  const aliases: Record<string, string> = {};
  for (const [path, text] of Object.entries(mapsOf(files))) {
    const running = await runningEntries(runtime, path);
    for (const [key, value] of valuesByKey(mapEntries(text.split("\n")))) {
      const [name, other] = [backendOf(value), backendOf(running.get(key) ?? value)];
      if (name !== other && isSpare(other)) aliases[name] = other;
    }
  }
  return aliases;
}

/** The value of each key of a running map. */
async function runningEntries(
  runtime: Compared,
  path: string,
): Promise<ReadonlyMap<string, string>> {
  return valuesByKey(shownEntries(await runtime.ask(`show map ${path}`)));
}

async function serverDifferences(
  runtime: Compared,
  files: Files,
  aliases: Aliases,
): Promise<string[]> {
  // While HAProxy answers, the removal of one may come to its end.
  const leaving = runtime.removals.names;
  const running = readServerStates(await runtime.ask("show servers state"));
  const names = new Set(sectionsOf(files).map(({ name }) => name));
  const expected = new Set<string>();
  const differences: string[] = [];
  let count = 0;
  for (const { backend, servers } of serversByBackend(sectionsOf(files))) {
    for (const server of servers) {
      const key = `${aliases[backend] ?? backend}/${server.name}`;
      expected.add(key);
      differences.push(...serverDifference(runtime, key, server, running.get(key)));
    }
    count += servers.length;
    if (count < AT_ONCE) continue;
    count = 0;
    await breathe();
  }
  for (const key of running.keys()) {
    const isOurs = names.has(key.slice(0, key.indexOf("/")));
    const isLeaving = leaving.has(key) || runtime.removals.hasServer(key);
    if (isOurs && !expected.has(key) && !isLeaving) {
      differences.push(`HAProxy has a server ${key} that should be gone`);
    }
  }
  return differences;
}

function serverDifference(
  runtime: Pick<Compared, "overridden">,
  key: string,
  server: ServerLine,
  state: ServerState | undefined,
): string[] {
  if (state === undefined) return [`HAProxy has no server ${key}`];
  const differences: string[] = [];
  const moved = bareAddress(server) !== state.address || server.port !== state.port;
  if (moved && hasIpAndPort(server)) {
    differences.push(`HAProxy has server ${key} at ${state.address}:${state.port}`);
  }
  if (state.weight !== weightOf(server)) {
    differences.push(`HAProxy has server ${key} with weight ${state.weight}`);
  }
  if (server.disabled !== state.withoutRequests && !runtime.overridden.has(key)) {
    differences.push(`HAProxy ${state.withoutRequests ? "disabled" : "enabled"} server ${key}`);
  }
  return differences;
}

async function mapDifferences(
  runtime: Compared,
  files: Files,
  aliases: Aliases,
): Promise<string[]> {
  const differences: string[] = [];
  for (const [path, text] of Object.entries(mapsOf(files))) {
    const running = await runningEntries(runtime, path);
    const expected = valuesByKey(mapEntries(text.split("\n")));
    const isSame =
      running.size === expected.size &&
      [...expected].every(([key, value]) => running.get(key) === runningValue(value, aliases));
    if (!isSame) differences.push(`HAProxy has other entries in map ${path}`);
  }
  return differences;
}

async function certificateDifferences(runtime: Compared, files: Files): Promise<string[]> {
  const differences: string[] = [];
  for (const [path, text] of Object.entries(crtListsOf(files))) {
    const shown = shownLines(await runtime.ask(`show ssl crt-list -n ${path}`));
    const running = new Set(shown.map(({ line }) => line));
    const expected = listLines(text);
    const isSame = running.size === expected.length && expected.every((line) => running.has(line));
    if (!isSame) differences.push(`HAProxy has other certificates in ${path}`);
  }
  return differences;
}

async function backendDifferences(
  runtime: Compared,
  files: Files,
  aliases: Aliases,
): Promise<string[]> {
  const leaving = runtime.removals.names;
  const lines = (await runtime.ask("show backend")).split("\n");
  const running = new Set(lines.map((line) => line.trim()).filter((line) => !/^(#|$)/.test(line)));
  const sections = sectionsOf(files);
  const expected = sections.filter(({ kind }) => kind === "backend" || kind === "listen");
  const names = new Set(expected.map(({ name }) => aliases[name] ?? name));
  return [
    ...[...names]
      .filter((name) => !running.has(name))
      .map((name) => `HAProxy has no backend ${name}`),
    ...[...running]
      .filter((name) => !names.has(name))
      .filter((name) => !leaving.has(name) && !runtime.removals.hasBackend(name))
      .map((name) => `HAProxy has a backend ${name} that should be gone`),
  ];
}
