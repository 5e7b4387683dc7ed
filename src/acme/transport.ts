// Carries the requests of the ACME library, with limits, and tells an authority's errors apart.

import type { axios } from "acme-client";
import { withTimeout } from "../lib/async.ts";
import { parseProblem, Refused } from "./failure.ts";

/** What carries a request of the library, and its answer. */
type Transport = Extract<(typeof axios)["defaults"]["adapter"], (...words: never[]) => unknown>;
type Carried = Awaited<ReturnType<Transport>>;

/** An authority answers within a second or two. In milliseconds. */
const LIMIT = 30_000;
/** A chain of certificates has some kilobytes. */
const LARGEST = 1_000_000;

/**
 * Makes the function that carries the requests of the library.
 * @param ca the certificates of a private authority's own CA, in PEM; undefined: those of the system
 * @param ending aborted when the gateway ends
 */
export function createTransport(ca: string | undefined, ending: AbortSignal): Transport {
  return (config) =>
    withTimeout(LIMIT, ending, async (signal): Promise<Carried> => {
      const response = await fetch(config.url ?? "", {
        method: (config.method ?? "get").toUpperCase(),
        headers: Object.entries(config.headers.toJSON()).map(([name, value]) => [
          name,
          String(value),
        ]),
        ...(typeof config.data === "string" ? { body: config.data } : {}),
        // The address is signed together with the request.
        redirect: "error",
        signal,
        ...(ca === undefined ? {} : { tls: { ca } }),
      });
      const data = await readText(response, LARGEST);
      const headers = Object.fromEntries(response.headers);
      const { status, statusText } = response;
      if (status >= 400) {
        const problem = parseProblem(parseJson(data));
        // The library tries these again with the new nonce (RFC 8555, section 6.5).
        if (problem.type !== "badNonce") {
          throw new Refused(status, problem, retryTime(headers["retry-after"], Date.now()));
        }
      }
      return { data, status, statusText, headers, config };
    });
}

/** Reads an answer's text up to a size. @throws RangeError if it is larger */
export async function readText({ body }: Response, largest: number): Promise<string> {
  if (body === null) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > largest) throw new RangeError(`the answer is larger than ${largest} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A proxy in front, perhaps, which answers in HTML.
    return undefined;
  }
}

/** No authority makes one wait longer. In milliseconds. */
const LONGEST_WAIT = 7 * 86_400_000;

/**
 * When a server takes the next request, in milliseconds since 1970; 0: it does not say.
 * @param value of `Retry-After`: seconds or a date (RFC 9110, section 10.2.3)
 */
export function retryTime(value: string | undefined, now: number): number {
  if (value === undefined) return 0;
  const at = /^\d+$/.test(value) ? now + Number(value) * 1_000 : Date.parse(value);
  return Number.isNaN(at) || at <= now ? 0 : Math.min(at, now + LONGEST_WAIT);
}
