// The releases: where they are, what is in one, and how its program is fetched and checked.

import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";

/** Where the releases are. The layout is GitHub's. */
export const RELEASES = "https://github.com/docker-api-gateway/docker-api-gateway/releases";

/** A download ends if the server sends nothing for this long, in milliseconds. */
const STALL_MS = 60_000;
const NOTHING_CHANGED = "nothing was changed; try again";

export interface Release {
  readonly version: string;
  /** The SHA-256 of each file, by the name of the file. */
  readonly sums: ReadonlyMap<string, string>;
}

/** The options of a download. */
export interface Download {
  readonly signal: AbortSignal;
  /** Called when bytes arrive. `total` is undefined if the server does not tell it. */
  readonly progress?: (received: number, total: number | undefined) => void;
  /** Replaces `STALL_MS`. */
  readonly stallMs?: number;
}

/** Reads `v2.1.0` or `2.1.0` as `2.1.0`. @throws GatewayError `usage` if it is not a version */
export function parseVersion(text: string): string {
  const version = text.replace(/^v/, "");
  if (/^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$/.test(version)) return version;
  throw new GatewayError("usage", `Cannot read version "${text}": it is no version`, {
    hint: "such as 2.1.0",
  });
}

/** Checks the user's `--releases`. @throws GatewayError `usage` if it is not a URL */
export function parseReleases(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return text.replace(/\/+$/, "");
  throw new GatewayError("usage", `Cannot read flag "--releases": "${text}" is no URL`, {
    hint: `such as --releases=${RELEASES}`,
  });
}

/**
 * Reads what a release contains.
 * @param kind the kind of machine for which it must have a program
 * @param version undefined: the newest
 * @throws GatewayError `release`
 */
export async function readRelease(
  releases: string,
  kind: string,
  version: string | undefined,
  download: Download,
): Promise<Release> {
  const folder = version === undefined ? "latest/download" : `download/v${version}`;
  const url = `${releases}/${folder}/SHA256SUMS`;
  const text = new TextDecoder().decode(await fetchBytes(url, download));
  const sums = new Map(
    [...text.matchAll(/^([0-9a-f]{64}) [ *](\S+)$/gm)].map(([, sum = "", name = ""]) => [
      name,
      sum,
    ]),
  );
  const pattern = new RegExp(`^docker-api-gateway-(\\d.*)-${kind}\\.tar\\.gz$`);
  const [found] = [...sums.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? []);
  if (found === undefined || (version !== undefined && found !== version)) {
    const what = version === undefined ? "a program" : `version ${version}`;
    throw new GatewayError("release", `Cannot use "${url}": it names no file with ${what}`, {
      hint: `for this kind of machine, ${kind}; see ${releases}`,
    });
  }
  return { version: found, sums };
}

/** The name of the archive with a release's program, without `.tar.gz`. */
export function programName(version: string, kind: string): string {
  return `docker-api-gateway-${version}-${kind}`;
}

/**
 * Fetches the archive with a release's program and checks its SHA-256.
 * @throws GatewayError `release` if it cannot be fetched or has another SHA-256
 */
export async function fetchArchive(
  releases: string,
  { version, sums }: Release,
  kind: string,
  download: Download,
): Promise<Uint8Array<ArrayBuffer>> {
  const name = `${programName(version, kind)}.tar.gz`;
  const url = `${releases}/download/v${version}/${name}`;
  const bytes = await fetchBytes(url, download);
  const sum = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
  if (sum === sums.get(name)) return bytes;
  throw new GatewayError("release", `Cannot use "${url}": it is not what SHA256SUMS says`, {
    lines: [`its SHA-256 is ${sum}`, `and should be  ${sums.get(name) ?? "there"}`],
    hint: `${NOTHING_CHANGED}; where it stays so, do not trust that server`,
  });
}

/** Fetches all bytes of a URL. @throws GatewayError `release` */
async function fetchBytes(url: string, download: Download): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, progress, stallMs = STALL_MS } = download;
  const stalled = new AbortController();
  const watchdog = setTimeout(() => stalled.abort(), stallMs);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, stalled.signal]),
      // The checksum is that of the packed file: the server must not pack or unpack it.
      headers: { "accept-encoding": "identity" },
      decompress: false,
    });
    if (!response.ok) throw refused(url, response.status);
    if (url.startsWith("https:") && !response.url.startsWith("https:")) {
      throw new GatewayError("release", `Cannot use "${url}": it leads to ${response.url}`, {
        hint: "which is not encrypted; nothing was changed",
      });
    }
    const length = response.headers.get("content-length");
    const total = length === null ? undefined : Number(length);
    const chunks: Uint8Array[] = [];
    let received = 0;
    for await (const chunk of response.body ?? []) {
      watchdog.refresh();
      chunks.push(chunk);
      received += chunk.length;
      progress?.(received, total);
    }
    return new Uint8Array(Buffer.concat(chunks));
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("release", `Cannot fetch "${url}": ${reason(error, signal, stalled)}`, {
      hint: NOTHING_CHANGED,
      cause: error,
    });
  } finally {
    clearTimeout(watchdog);
  }
}

function refused(url: string, status: number): GatewayError {
  const state = status === 404 ? "there is no such file" : `the server answered ${status}`;
  return new GatewayError("release", `Cannot fetch "${url}": ${state}`, {
    hint:
      status === 404
        ? "is there such a release, for this kind of machine? nothing was changed"
        : NOTHING_CHANGED,
  });
}

/** Says what Bun's errors mean. Their own messages are misleading. */
function reason(error: unknown, signal: AbortSignal, stalled: AbortController): string {
  if (signal.aborted) return "it was interrupted";
  if (stalled.signal.aborted) return "the server sends nothing any more";
  switch (systemCode(error)) {
    case "ConnectionRefused":
    case "ECONNREFUSED":
      return "nothing answers there";
    case "ConnectionClosed":
    case "ECONNRESET":
      return "the connection was cut";
    case "FailedToOpenSocket":
    case "ENOTFOUND":
      return "there is no such server, or no network";
    default:
      return errorMessage(error);
  }
}
