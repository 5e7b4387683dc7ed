// The HAProxy program: what it is, and its check of a configuration.

import { readFile } from "node:fs/promises";
import { GatewayError } from "../../lib/errors.ts";
import { runProgram } from "../../lib/process.ts";

/** The check of 10,000 backends takes 0.4 s. One that takes longer than this hangs. In ms. */
const CHECK_TIMEOUT = 30_000;
const INSTALL_HINT =
  "install HAProxy 2.6 or later (apt install haproxy), or name the program with --haproxy";

/** What is known of a HAProxy program. */
export interface Build {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Whether it runs Lua scripts. */
  readonly lua: boolean;
  /** Whether it speaks HTTP/3 with all clients. */
  readonly quic: boolean;
  /** Whether it speaks TLS. */
  readonly openssl: boolean;
}

/**
 * Asks a HAProxy program what it is.
 * @throws GatewayError `haproxy` if there is no such program
 */
export async function haproxyBuild(program: string): Promise<Build> {
  const { lines } = await runProgram([program, "-vv"], CHECK_TIMEOUT).catch((error: unknown) => {
    throw new GatewayError("haproxy", `Cannot find HAProxy "${program}"`, {
      hint: INSTALL_HINT,
      cause: error,
    });
  });
  // Up to 2.3 the name is written HA-Proxy.
  const version = /HA-?Proxy version (\d+\.\d+[.\d]*)/i.exec(lines.join("\n"))?.[1];
  if (version !== undefined) {
    const features = lines.find((line) => line.startsWith("Feature list")) ?? "";
    return {
      version: version.replace(/\.$/, ""),
      lua: / \+LUA\b/.test(features),
      // With an OpenSSL that has no QUIC, HAProxy does without a hello of more than one packet, which
      // the browsers of today send.
      quic: / \+QUIC\b/.test(features) && !/ \+QUIC_OPENSSL_COMPAT\b/.test(features),
      openssl: / \+OPENSSL\b/.test(features),
    };
  }
  throw new GatewayError("haproxy", `Cannot read the version of "${program}"`, {
    lines,
    hint: INSTALL_HINT,
  });
}

/** The exit status for a configuration without a listener. */
const NO_LISTENER = 2;

/** A configuration that cannot be used. A retry with the same text is of no use. */
export class RefusedConfig extends GatewayError {}

/** So many refused lines are shown, with so many lines before and after each. */
const PLACES = 3;
const AROUND = 2;

/**
 * Has HAProxy check a configuration file.
 * @param shownAs the path to show in HAProxy's lines in place of the file's own
 * @param shownText the text to show lines of, if it is not the file's own
 * @throws RefusedConfig with HAProxy's own lines if it refuses, and the lines that they name
 */
export async function checkConfig(
  program: string,
  path: string,
  shownAs: string,
  shownText?: string,
): Promise<void> {
  const result = await runProgram([program, "-c", "-f", path], CHECK_TIMEOUT);
  if (result.timedOut) {
    throw new GatewayError(
      "config",
      `Cannot check configuration "${shownAs}": HAProxy gave no answer in ${CHECK_TIMEOUT / 1000} s`,
    );
  }
  if (result.exitCode === 0) return;
  // HAProxy itself prints nothing about this.
  const why = result.exitCode === NO_LISTENER ? ": it listens nowhere" : "";
  const said = result.lines
    .filter((line) => /ALERT|WARNING/.test(line))
    .map((line) => line.replaceAll(path, shownAs));
  // If there is no such file, HAProxy says so.
  const text = shownText ?? (await readFile(path, "utf8").catch(() => ""));
  throw new RefusedConfig(
    "config",
    `Cannot use configuration "${shownAs}": HAProxy refuses it${why}`,
    {
      lines: withPlaces(said, shownAs, text.split("\n")),
      hint: "docker-api-gateway render prints it",
    },
  );
}

/** HAProxy's lines. Behind the first one about a place stands that part of the configuration. */
function withPlaces(said: readonly string[], path: string, config: readonly string[]): string[] {
  const shown = new Set<number>();
  return said.flatMap((line) => {
    const [, place] = line.split(`[${path}:`);
    const at = Number.parseInt(place ?? "", 10);
    const isNew = line.includes("ALERT") && at <= config.length && !shown.has(at);
    if (!isNew || shown.size === PLACES) return [line];
    shown.add(at);
    return [line, ...around(config, at)];
  });
}

/** A line and its neighbours with their numbers, counted from 1. */
function around(config: readonly string[], at: number): string[] {
  const first = Math.max(1, at - AROUND);
  const width = String(at + AROUND).length;
  return config.slice(first - 1, at + AROUND).map((text, index) => {
    const number = first + index;
    return `${number === at ? ">" : " "} ${String(number).padStart(width)} | ${text}`;
  });
}
