// Asks a running gateway at its socket.

import { groupNameOf } from "../lib/groups.ts";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { CertificatesDocument } from "./certificates.ts";
import type { ChangeDocument, ChangesDocument } from "./changes.ts";
import type { Explanation } from "./explain/explain.ts";
import type { ConfigDocument } from "./files.ts";
import type { RenewalDocument } from "./renewal.ts";
import type { CheckDocument } from "./self-check.ts";
import type { StateDocument } from "./state.ts";
import { errorMessage, GatewayError, isErrorCode, systemCode } from "../lib/errors.ts";

/** It answers within milliseconds; HAProxy, which it may ask, has two seconds. In milliseconds. */
const PATIENCE = 10_000;

/** A running gateway. Each question throws a GatewayError if it cannot be asked, or refuses. */
export class GatewayClient {
  /** @param path of its socket */
  constructor(readonly path: string) {}

  async state(signal?: AbortSignal): Promise<StateDocument> {
    return (await this.#ask("/v1/state", {}, signal)) as StateDocument;
  }

  /** @param word a container, an image or a URL */
  async explain(word: string): Promise<{ explanations: readonly Explanation[]; text: string }> {
    const answer = await this.#ask(`/v1/explain?any=${encodeURIComponent(word)}`);
    return answer as { explanations: readonly Explanation[]; text: string };
  }

  /** Its labels for a compose file. */
  async asLabels(word: string): Promise<string> {
    const answer = await this.#ask(`/v1/explain?as=labels&any=${encodeURIComponent(word)}`);
    return (answer as { text: string }).text;
  }

  async config(): Promise<ConfigDocument> {
    return (await this.#ask("/v1/config")) as ConfigDocument;
  }

  /** Which certificate each name has. */
  async certificates(): Promise<CertificatesDocument> {
    return (await this.#ask("/v1/certificates")) as CertificatesDocument;
  }

  /** Has the certificate of a name made anew. It is under way then. */
  async renew(name: string): Promise<RenewalDocument> {
    return (await this.#ask(`/v1/certificates/${encodeURIComponent(name)}/renew`, {
      method: "POST",
    })) as RenewalDocument;
  }

  /** Finds out whether the addresses of a name lead to it. */
  async check(name: string): Promise<CheckDocument> {
    return (await this.#ask(`/v1/certificates/${encodeURIComponent(name)}/check`, {
      method: "POST",
    })) as CheckDocument;
  }

  /** The last changes, the oldest first. */
  async changes(): Promise<readonly ChangeDocument[]> {
    return ((await this.#ask("/v1/changes")) as ChangesDocument).changes;
  }

  /**
   * The changes that come, until the gateway or the signal ends.
   * @param lastId the last one that is known; empty: only those from now on
   */
  async *follow(lastId: string, signal: AbortSignal): AsyncGenerator<ChangeDocument> {
    const headers = {
      accept: "text/event-stream",
      ...(lastId === "" ? {} : { "last-event-id": lastId }),
    };
    const { body } = await this.#fetch("/v1/changes", signal, { headers });
    if (body === null) return;
    const events = body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream());
    try {
      for await (const { event, data } of events) {
        if (event === "change") yield JSON.parse(data) as ChangeDocument;
      }
    } catch (error) {
      if (!signal.aborted) throw this.#failure(error);
    }
  }

  async #ask(target: string, init: RequestInit = {}, signal?: AbortSignal): Promise<unknown> {
    const limit = AbortSignal.timeout(PATIENCE);
    const either = signal === undefined ? limit : AbortSignal.any([signal, limit]);
    const response = await this.#fetch(target, either, init);
    try {
      return await response.json();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #fetch(target: string, signal: AbortSignal, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`http://gateway${target}`, {
        ...init,
        unix: this.path,
        signal,
        // A stream may be silent for long.
        timeout: false,
      } as RequestInit);
    } catch (error) {
      throw this.#failure(error);
    }
    if (response.ok) return response;
    const { error } = (await response.json().catch(() => ({}))) as { error?: Refusal };
    const { code = "", message = `it answers ${response.status}`, hint = "" } = error ?? {};
    throw new GatewayError(isErrorCode(code) ? code : "gateway", message, {
      hint: hint || undefined,
    });
  }

  #failure(cause: unknown): GatewayError {
    const { state, hint } = this.#whatFailed(cause);
    return new GatewayError("gateway", `Cannot ask the gateway at "${this.path}": ${state}`, {
      hint,
      cause,
    });
  }

  #whatFailed(cause: unknown): { readonly state: string; readonly hint?: string } {
    const code = systemCode(cause);
    if (code === "EACCES" || code === "EPERM") {
      const group = groupNameOf(this.path);
      const member = group === undefined ? "" : `, or as a member of group ${group}`;
      return { state: "this user may not", hint: `run it as root${member}` };
    }
    if (["ENOENT", "ECONNREFUSED", "FailedToOpenSocket"].includes(code)) {
      return { state: "nobody answers there", hint: "is the gateway running?" };
    }
    if (["ECONNRESET", "ConnectionClosed"].includes(code)) {
      return { state: "it hung up", hint: "it may have been started anew" };
    }
    if (cause instanceof DOMException) return { state: "it does not answer in time" };
    return { state: errorMessage(cause) };
  }
}

interface Refusal {
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}
