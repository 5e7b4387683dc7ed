// src/api tells others about the running gateway: what it is asked by HTTP, and who asks. It may import every
// room but cli, and nothing of the gateway waits for it. This file answers requests; where they come in is
// not its matter (socket.ts has the unix socket).

import { certificatesDocument, type Https } from "./certificates.ts";
import { changeEvents, changesDocument } from "./changes.ts";
import { asText, explain, explainAsLabels, isUrl, KINDS, type World } from "./explain/explain.ts";
import { failuresDocument } from "./failures.ts";
import { configDocument, type AppliedAndDesired } from "./files.ts";
import { readRoutes } from "./routes.ts";
import { renew } from "./renewal.ts";
import { whereItLeads } from "./self-check.ts";
import type { Running } from "./running.ts";
import { trafficDocument } from "./traffic/document.ts";
import type { Traffic } from "./traffic/traffic.ts";
import { stateDocument, type Counted, type Facts } from "./state.ts";
import type { Acme } from "../acme/acme.ts";
import type { FailedRequest } from "../gateway/access-log/failures.ts";
import type { History } from "../gateway/history.ts";
import type { State } from "../gateway/state.ts";
import { pause } from "../lib/async.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Model } from "../model.ts";

/** HAProxy answers within milliseconds, but it may hang. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;

/** A pass takes milliseconds, and seconds with a reload on a busy machine. In milliseconds. */
const RESYNC_PATIENCE = 8_000;

/** The gateway, as far as it is told of. */
export interface Subject {
  readonly facts: Facts;
  readonly history: History;
  state(): State;
  files(): AppliedAndDesired;
  /** What explanations need but the model, HAProxy and HTTPS. */
  world(): Omit<World, "model" | "running" | "https">;
  /** The HAProxy that it runs. @throws GatewayError `haproxy` if it cannot be asked */
  running(signal: AbortSignal): Running;
  /** The name that a backend has in the HAProxy that it runs. */
  runningName(backend: string): string;
  /** Whether all containers are known. */
  isComplete(): boolean;
  /** What is known of HTTPS. */
  https(): Https;
  /** Who asks an authority for certificates; undefined: nobody does. */
  acme(): Pick<Acme, "renew" | "whereItLeads"> | undefined;
  /** What went on in the last hour; undefined: nothing is kept of it. */
  traffic(): Traffic | undefined;
  /** The last requests that failed, the newest one last; undefined: nothing is known of requests. */
  failed(): readonly FailedRequest[] | undefined;
  /** Reads everything again. Resolves after the pass. */
  resync(): Promise<void>;
}

/** Answers a request. */
export type Handler = (request: Request) => Promise<Response>;

/** What a path is asked by, and what answers. */
interface Resource {
  readonly method: "GET" | "POST";
  /** @param name what stands in the path for `NAME` */
  answer(subject: Subject, url: URL, request: Request, name: string): Promise<Response> | Response;
}

const RESOURCES: Readonly<Record<string, Resource>> = {
  "/v1/state": {
    method: "GET",
    answer: async (subject) =>
      json(stateDocument(subject.facts, subject.state(), await countedBy(subject))),
  },
  "/v1/explain": {
    method: "GET",
    answer: (subject, { searchParams }) => answerExplain(subject, searchParams),
  },
  "/v1/changes": {
    method: "GET",
    answer({ history }, _, request) {
      const wantsEvents = request.headers.get("accept")?.includes("text/event-stream") === true;
      if (!wantsEvents) return json(changesDocument(history));
      return new Response(changeEvents(history, request.headers.get("last-event-id") ?? ""), {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
      });
    },
  },
  "/v1/traffic": {
    method: "GET",
    answer: (subject, { searchParams }) =>
      json(trafficDocument(subject.traffic(), servicesOf(subject), searchParams)),
  },
  "/v1/failures": {
    method: "GET",
    answer: (subject) => json(failuresDocument(subject.failed())),
  },
  "/v1/config": {
    method: "GET",
    answer: (subject) => json(configDocument(subject.facts.output, subject.files())),
  },
  "/v1/certificates": {
    method: "GET",
    answer: (subject) =>
      json(certificatesDocument(subject.https(), servicesOf(subject), Date.now())),
  },
  "/v1/certificates/NAME/renew": {
    method: "POST",
    answer: (subject, _url, _request, name) =>
      json(renew(name, subject.https(), servicesOf(subject), subject.acme())),
  },
  "/v1/certificates/NAME/check": {
    method: "POST",
    answer: async (subject, _url, _request, name) => json(await whereItLeads(name, subject.acme())),
  },
  "/v1/resync": {
    method: "POST",
    async answer(subject) {
      // While Docker is away a pass does not end.
      const end = new AbortController();
      const isDone = await Promise.race([
        subject.resync().then(() => true),
        pause(RESYNC_PATIENCE, end.signal).then(() => false),
      ]);
      end.abort();
      if (!isDone) {
        throw new GatewayError("docker", "Cannot read everything again: Docker does not answer", {
          hint: "it is done as soon as Docker does",
        });
      }
      const { problem = [] } = subject.state();
      return json({ problem });
    },
  },
};

/** The paths that there are, with their methods. */
const PATHS: readonly string[] = Object.entries(RESOURCES).map(
  ([path, { method }]) => `${method} ${path}`,
);

/** Makes the function that answers requests about a gateway. It never throws. */
export function createApi(subject: Subject, log: Pick<Logger, "failure">): Handler {
  return async (request) => {
    const url = new URL(request.url);
    const { resource, name } = findResource(url.pathname);
    if (resource === undefined) {
      return refusal(
        404,
        "not-found",
        `there is no ${url.pathname}; there are ${PATHS.join(", ")}`,
      );
    }
    const { method } = resource;
    const isRead = method === "GET" && request.method === "HEAD";
    if (request.method !== method && !isRead) {
      const allow = method === "GET" ? "GET, HEAD" : method;
      const message = `${url.pathname} takes ${method}, not ${request.method}`;
      return refusal(405, "method-not-allowed", message, "", { allow });
    }
    try {
      return await resource.answer(subject, url, request, name);
    } catch (error) {
      if (!(error instanceof GatewayError)) {
        log.failure(error, `an answer to ${request.method} ${url.pathname}`);
        return refusal(500, "bug", "something went wrong: the gateway's log says what");
      }
      const status = error.code === "usage" ? 400 : 503;
      return refusal(status, error.code, error.message, error.hint);
    }
  };
}

/** Finds what answers at a path, and what stands there for `NAME`. */
function findResource(path: string): {
  readonly resource: Resource | undefined;
  readonly name: string;
} {
  if (Object.hasOwn(RESOURCES, path)) return { resource: RESOURCES[path], name: "" };
  const [, before = "", word = "", after = ""] =
    /^(\/v1\/[a-z]+\/)([^/]+)(\/[a-z]+)$/.exec(path) ?? [];
  return { resource: RESOURCES[`${before}NAME${after}`], name: decode(word).toLowerCase() };
}

/** What cannot be decoded is no name that anything has. */
function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch (error) {
    if (error instanceof URIError) return word;
    throw error;
  }
}

/** What is served; nothing before the first pass. */
function servicesOf(subject: Subject): Model["services"] {
  return subject.state().applied?.services ?? [];
}

/** What HAProxy counts now. That it cannot be asked is a part of the answer. */
async function countedBy(subject: Subject): Promise<Counted> {
  try {
    const running = subject.running(AbortSignal.timeout(HAPROXY_PATIENCE));
    return { routes: await readRoutes(running), problem: "" };
  } catch (error) {
    if (error instanceof GatewayError) return { routes: [], problem: error.message };
    throw error;
  }
}

async function answerExplain(subject: Subject, asked: URLSearchParams): Promise<Response> {
  const given = [...asked].filter(([name]) => name !== "as");
  const [[name, word] = ["", ""]] = given;
  const kind = KINDS.find((each) => each === name);
  if (kind === undefined || word === "" || given.length > 1) {
    throw new GatewayError("usage", "Cannot explain: it is not said what", {
      hint: `one of ${KINDS.map((each) => `?${each}=...`).join(", ")}`,
    });
  }
  const { applied, desired } = subject.state();
  const world = (model: Model | undefined): World => {
    if (model !== undefined) {
      const running = () => subject.running(AbortSignal.timeout(HAPROXY_PATIENCE));
      return { ...subject.world(), model, running, https: subject.https() };
    }
    throw new GatewayError(
      "docker",
      "Cannot explain: the gateway has not read Docker's containers yet",
    );
  };
  if (asked.get("as") === "labels") {
    return json({ kind, text: await explainAsLabels(word, kind, world(desired)) });
  }
  // A URL goes where HAProxy sends it now; a container is where it should be.
  const isOfUrl = kind === "url" || (kind === "any" && isUrl(word));
  const explanations = await explain(word, kind, world(isOfUrl ? applied : desired));
  return json({ kind, explanations, text: asText(explanations) });
}

function json(document: object): Response {
  return Response.json(document, { headers: { "cache-control": "no-store" } });
}

/** An answer that says what is wrong with the request. */
export function refusal(
  status: number,
  code: string,
  message: string,
  hint = "",
  headers: Readonly<Record<string, string>> = {},
): Response {
  return Response.json({ error: { code, message, hint } }, { status, headers });
}
