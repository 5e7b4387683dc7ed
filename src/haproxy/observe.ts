// What HAProxy says it runs, compared with what its files say.

import { isIP } from "node:net";
import { parseConfig, serverLines } from "../haproxy-config.ts";
import { mapEntries, runningValue } from "../map-plan.ts";
import type { Files } from "../model.ts";
import type { Aliases, Capabilities } from "../operations.ts";
import { readServerStates } from "./states.ts";
import type { Runtime } from "./runtime.ts";

/** So many differences are named; a reload mends them all. */
const NAMED = 3;

/**
 * How the running HAProxy differs from what the files say: empty where it does not.
 * @throws GatewayError `haproxy` where it cannot be asked
 */
export async function observeDifferences(
  runtime: Runtime,
  files: Files,
  aliases: Aliases,
  { backends }: Capabilities,
): Promise<string[]> {
  const differences = [
    ...(await serverDifferences(runtime, files, aliases)),
    ...(await mapDifferences(runtime, files, aliases)),
    ...(backends ? await backendDifferences(runtime, files) : []),
  ];
  return differences.slice(0, NAMED);
}

async function serverDifferences(
  runtime: Runtime,
  files: Files,
  aliases: Aliases,
): Promise<string[]> {
  const running = readServerStates(await runtime.ask("show servers state"));
  const sections = new Set(parseConfig(files.config).map(({ name }) => name));
  const expected = new Set<string>();
  const differences: string[] = [];
  for (const { backend, words } of serverLines(files.config)) {
    const [, name = "", target = ""] = words;
    const key = `${aliases[backend] ?? backend}/${name}`;
    expected.add(key);
    const state = running.get(key);
    if (state === undefined) differences.push(`HAProxy has no server ${key}`);
    else {
      const colon = target.lastIndexOf(":");
      const address = target.slice(0, colon).replaceAll(/[[\]]/g, "");
      const moved = address !== state.address || target.slice(colon + 1) !== state.port;
      if (isIP(address) > 0 && moved) {
        differences.push(`HAProxy has server ${key} at ${state.address}:${state.port}`);
      }
      if (words.includes("disabled") !== state.withoutRequests) {
        differences.push(`HAProxy ${state.withoutRequests ? "disabled" : "enabled"} server ${key}`);
      }
    }
  }
  for (const key of running.keys()) {
    const slash = key.indexOf("/");
    const [backend, server] = [key.slice(0, slash), key.slice(slash + 1)];
    const leaving = runtime.departures.hasServer(backend, server);
    if (sections.has(backend) && !expected.has(key) && !leaving) {
      differences.push(`HAProxy has a server ${key} that should be gone`);
    }
  }
  return differences;
}

async function mapDifferences(runtime: Runtime, files: Files, aliases: Aliases): Promise<string[]> {
  const differences: string[] = [];
  for (const [path, text] of Object.entries(files.maps)) {
    const answer = await runtime.ask(`show map ${path}`);
    const running = new Map<string, string>();
    for (const line of answer.split("\n")) {
      const [, key, value] = /^0x[0-9a-f]+ (\S+) (.*)$/.exec(line) ?? [];
      if (key !== undefined && value !== undefined && !running.has(key)) running.set(key, value);
    }
    const expected = mapEntries(text);
    const isSame =
      running.size === expected.size &&
      [...expected].every(([key, value]) => running.get(key) === runningValue(value, aliases));
    if (!isSame) differences.push(`HAProxy has other entries in map ${path}`);
  }
  return differences;
}

async function backendDifferences(runtime: Runtime, files: Files): Promise<string[]> {
  const lines = (await runtime.ask("show backend")).split("\n");
  const running = new Set(lines.map((line) => line.trim()).filter((line) => !/^(#|$)/.test(line)));
  const expected = parseConfig(files.config)
    .filter(({ kind }) => kind === "backend" || kind === "listen")
    .map(({ name }) => name);
  const missing = expected.filter((name) => !running.has(name));
  return missing.map((name) => `HAProxy has no backend ${name}`);
}
