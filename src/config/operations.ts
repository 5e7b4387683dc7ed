// The operations that change a running HAProxy, as values. src/plan chooses them, and
// src/haproxy/runtime carries them out.

import { shortVersion } from "../lib/text.ts";

/** One `server` line, with what it takes over from `default-server` and `defaults`. */
export interface ServerLine {
  readonly name: string;
  /** IPv6 in brackets. */
  readonly address: string;
  readonly port: string;
  /** The words after the address, without `disabled`. Those of `default-server` come first. */
  readonly settings: readonly string[];
  readonly disabled: boolean;
  /** Whether a health check of it would only open a TCP connection (layer 4). */
  readonly connectCheckOnly: boolean;
  /** The key of the cookies that bind clients to it; empty if none do. */
  readonly cookieKey: string;
}

/** What a file of authorities has: their certificates, or the lists of what they have revoked. */
type AuthorityKind = "ca" | "crl";

export type Operation =
  | { readonly do: "disable server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "drain server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "enable server"; readonly backend: string; readonly server: ServerLine }
  | {
      readonly do: "move server";
      readonly backend: string;
      readonly server: ServerLine;
      /** The server as HAProxy has it now. */
      readonly from: ServerLine;
    }
  | { readonly do: "add server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "remove server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "weigh server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "add backend"; readonly backend: string; readonly defaults: string }
  | { readonly do: "publish backend"; readonly backend: string }
  | { readonly do: "remove backend"; readonly backend: string; readonly defaults: string }
  | { readonly do: "set entry"; readonly map: string; readonly key: string; readonly value: string }
  | { readonly do: "add entry"; readonly map: string; readonly key: string; readonly value: string }
  | { readonly do: "delete entry"; readonly map: string; readonly key: string }
  /** A line of a list of certificates: the file of one, and the names that it is shown for. */
  | { readonly do: "add certificate"; readonly list: string; readonly line: string }
  | { readonly do: "remove certificate"; readonly list: string; readonly line: string }
  /**
   * A line with which clients were asked for a certificate. It goes before maps change: nobody whom it let in
   * passes for one whom others trust.
   */
  | { readonly do: "withdraw certificate"; readonly list: string; readonly line: string }
  /** Who signs the certificates of clients, or what they have revoked, in a file that lines name. */
  | {
      readonly do: "add authorities" | "set authorities";
      readonly file: string;
      readonly kind: AuthorityKind;
      readonly text: string;
    }
  | { readonly do: "remove authorities"; readonly file: string; readonly kind: AuthorityKind }
  /** Another certificate, with its key, in place of the one in a file. */
  | { readonly do: "set certificate"; readonly file: string; readonly text: string }
  /** The next key of session tickets. The first one of the file goes. */
  | { readonly do: "turn ticket keys"; readonly file: string; readonly key: string }
  | {
      readonly do: "replace map";
      readonly map: string;
      readonly entries: readonly (readonly [key: string, value: string])[];
    };

/**
 * The operations that bring something up. They run before anything is taken away. Only a server whose
 * address another one gets is disabled earlier still.
 */
export const BRING_UP: readonly Operation["do"][] = [
  "add backend",
  "add server",
  "move server",
  "enable server",
];

/** A server and its backend. */
export interface BackendServer {
  readonly backend: string;
  readonly server: ServerLine;
}

/** The servers that operations bring up, also those that get no requests yet. */
export function broughtUp(operations: readonly Operation[]): readonly BackendServer[] {
  return operations
    .filter((operation) => BRING_UP.includes(operation.do))
    .filter((operation) => "server" in operation)
    .filter(({ server }) => server.name !== WAITING_ROOM);
}

/** What the running HAProxy can do without a reload. */
export interface Capabilities {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Whether backends can be added and removed: HAProxy 3.4 and later. */
  readonly dynamicBackends: boolean;
  /** The settings that it has refused on servers added while it runs. It takes them from its files. */
  readonly refusedSettings: ReadonlySet<string>;
}

/** Why a server with such a setting cannot be added, as text for a person. */
export function whySettingRefused(version: string, setting: string): string {
  return (
    `HAProxy ${shortVersion(version)} takes no ${JSON.stringify(setting)} on a server that is added ` +
    "while it runs"
  );
}

/**
 * The running name of each backend that HAProxy knows under another name than the files do. A new one
 * is served by a spare one: the configuration provides backends without servers for this. HAProxy
 * before 3.4 cannot add a backend, and later it adds none with lines of its own.
 */
export type Aliases = Readonly<Record<string, string>>;

/**
 * The server of a backend at which requests wait while no container answers. Nothing listens at its
 * address: a request is refused, and tried again after a pause. No container's server is called so.
 */
export const WAITING_ROOM = "_wait";

/**
 * The server that a backend of FastCGI always has, disabled: HAProxy takes no such backend without a server.
 * It is none of a container's, and no server as far as the gateway is concerned.
 */
export const PLACEHOLDER = "_fcgi";

/**
 * The server that spare backends have before HAProxy 3.0, disabled. In a former worker it becomes the one
 * that gets what waits there. Until then it is no server as far as the gateway is concerned.
 */
export const RESERVE = "_reserve";

/** Whether a server is there for other reasons than to get requests, by its name. */
export function isNoServer(name: string): boolean {
  return name === PLACEHOLDER || name === RESERVE;
}

/** The names of spare backends begin with this. The name of a repository never does. */
const SPARE_PREFIX = "_spare";

/** Whether a backend is one of those that are provided for new services. */
export function isSpare(backend: string): boolean {
  return backend.startsWith(SPARE_PREFIX);
}
