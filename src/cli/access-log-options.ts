// Reads --access-log and --access-log-sample: in which form lines are written, where to, and how many.

import { GatewayError } from "../lib/errors.ts";
import type { LogTarget } from "../gateway/access-log/target.ts";
import type { AccessLogFormat, AccessLogOptions } from "../template/access-log.ts";
import { parsePort } from "../routing/values.ts";

export interface AccessLogChoice extends AccessLogOptions {
  readonly target: LogTarget;
}

const FORMATS: readonly AccessLogFormat[] = ["json", "common"];
const EXAMPLES =
  "such as --access-log json:/var/log/gateway/access.log, json:journal, common:unix:/run/x.sock or json:tcp:127.0.0.1:5170";
/** Of so many requests HAProxy takes its share. */
const ALL = 10_000;

/**
 * Reads what requests are logged. Undefined: none.
 * @throws GatewayError `usage`
 */
export function parseAccessLog(
  value: string | undefined,
  sample: string | undefined,
): AccessLogChoice | undefined {
  if (value === undefined) {
    if (sample === undefined) return undefined;
    throw usage("--access-log-sample goes with --access-log", EXAMPLES);
  }
  const format = FORMATS.find((each) => value.startsWith(`${each}:`));
  if (format === undefined) {
    throw usage(`Cannot use --access-log "${value}": it begins with neither json: nor common:`);
  }
  const share = parseSample(sample ?? "100%");
  const target = parseTarget(value.slice(format.length + 1));
  if (target !== undefined) return { format, target, sample: share, sampled: share < ALL };
  throw usage(
    `Cannot use --access-log "${value}": after ${format}: there is no path from the root, journal, unix:PATH or tcp:HOST:PORT`,
  );
}

function parseTarget(text: string): LogTarget | undefined {
  if (text === "journal") return { kind: "journal" };
  if (text.startsWith("/") && !text.endsWith("/")) return { kind: "file", path: text };
  const [, path] = /^unix:(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { kind: "unix", path };
  const [, name = "", portText = ""] =
    /^tcp:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d+)$/.exec(text) ?? [];
  const port = parsePort(portText);
  if (port === undefined) return undefined;
  return { kind: "tcp", host: name.replace(/^\[(.*)\]$/, "$1"), port };
}

/** How many of 10,000 requests have a line. */
function parseSample(text: string): number {
  const [, percent] = /^(\d{1,3}(?:\.\d{1,2})?)%$/.exec(text) ?? [];
  const share = Math.round(Number(percent) * (ALL / 100));
  if (share >= 1 && share <= ALL) return share;
  throw new GatewayError(
    "usage",
    `Cannot use --access-log-sample "${text}": it is no share from 0.01% to 100%`,
    { hint: "such as --access-log-sample 10%; errors have a line in any case" },
  );
}

function usage(message: string, hint = EXAMPLES): GatewayError {
  return new GatewayError("usage", message, { hint });
}
