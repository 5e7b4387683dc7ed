// src/api/admin is what people and monitoring see of the gateway at the address of --admin. This file answers
// requests there, and only those that read; access.ts says who may ask, listener.ts is where they come in.

import { refusal, type Handler, type Subject } from "../api.ts";
import { createMetrics } from "../metrics/metrics.ts";
import { Latency } from "../metrics/latency.ts";
import { whyRefused, type AccessRules } from "./access.ts";
import { Health } from "./health.ts";
import { pageAnswer } from "./page.ts";
import type { StateListener } from "../../gateway/gateway.ts";
import { CONTENT_TYPE } from "../../lib/prometheus.ts";

/** What needs no token: it tells nothing of containers. */
const OPEN = ["/healthz", "/readyz"];

/** What of the API is there, too. HAProxy's files have hashes of passwords, and are told at the unix socket alone. */
const OF_API = [
  "/v1/state",
  "/v1/explain",
  "/v1/changes",
  "/v1/traffic",
  "/v1/failures",
  "/v1/certificates",
];

/** With it a browser asks a person for the token. Source: RFC 7617, section 2. */
const CHALLENGE = 'Basic realm="docker-api-gateway", charset="UTF-8"';

const PATHS = ["/", ...OPEN, "/metrics", ...OF_API];

export interface Admin {
  readonly handler: Handler;
  /** Is to hear of each state. */
  readonly listener: StateListener;
}

/**
 * Makes the function that answers requests.
 * @param api answers those of the API
 */
export function createAdmin(subject: Subject, api: Handler, rules: AccessRules): Admin {
  const health = new Health(subject);
  const latency = new Latency();
  const metrics = createMetrics(subject, latency);
  const answers: Readonly<Record<string, () => Promise<Response>>> = {
    "/healthz": async () => verdict(await health.problems()),
    "/readyz": async () => verdict(await health.unready()),
    "/metrics": async () => text(200, await metrics(), CONTENT_TYPE),
  };
  return {
    listener(state, before) {
      health.note(state);
      latency.note(state, before);
    },
    async handler(request) {
      const answer = await answerTo(request);
      // A browser that knows the token sends it whoever asks: pages of others get nothing to read.
      answer.headers.set("x-content-type-options", "nosniff");
      answer.headers.set("cross-origin-resource-policy", "same-origin");
      return answer;
    },
  };

  async function answerTo(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const refused = whyRefused(request, rules, OPEN.includes(pathname));
    if (refused !== undefined) {
      const { status, code, message, hint } = refused;
      const headers = status === 401 ? { "www-authenticate": CHALLENGE } : {};
      return refusal(status, code, message, hint, headers);
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      const message = "nothing can be changed here: there is only GET";
      return refusal(405, "method-not-allowed", message, "", { allow: "GET, HEAD" });
    }
    if (OF_API.includes(pathname)) return api(request);
    const answer = Object.hasOwn(answers, pathname) ? answers[pathname] : undefined;
    if (answer !== undefined) return answer();
    const page = pageAnswer(pathname, request);
    if (page !== undefined) return page;
    return refusal(404, "not-found", `there is no ${pathname}; there are ${PATHS.join(", ")}`);
  }
}

/** @param problems a sentence each; empty: all is well */
function verdict(problems: readonly string[]): Response {
  return problems.length === 0
    ? text(200, "ok\n")
    : text(503, problems.map((each) => `${each}\n`).join(""));
}

function text(status: number, body: string, type = "text/plain; charset=utf-8"): Response {
  return new Response(body, {
    status,
    headers: { "content-type": type, "cache-control": "no-store" },
  });
}
