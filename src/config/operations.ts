// What can be done to a running HAProxy, as values: deciding gives them, the runtime carries them out.

/** A server with everything a command needs to know of it. */
export interface ServerLine {
  readonly name: string;
  /** IPv6 in brackets. */
  readonly address: string;
  readonly port: string;
  /** The words behind the address, those of `default-server` first, without `disabled`. */
  readonly settings: readonly string[];
  readonly disabled: boolean;
  /** Whether its check asks for no more than that its port accepts connections. */
  readonly connecting: boolean;
}

export type Operation =
  | { readonly do: "drain server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "enable server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "move server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "add server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "remove server"; readonly backend: string; readonly server: ServerLine }
  | { readonly do: "add backend"; readonly backend: string; readonly defaults: string }
  | { readonly do: "publish backend"; readonly backend: string }
  | { readonly do: "remove backend"; readonly backend: string; readonly defaults: string }
  | { readonly do: "set entry"; readonly map: string; readonly key: string; readonly value: string }
  | { readonly do: "add entry"; readonly map: string; readonly key: string; readonly value: string }
  | { readonly do: "delete entry"; readonly map: string; readonly key: string }
  | {
      readonly do: "replace map";
      readonly map: string;
      readonly entries: readonly (readonly [key: string, value: string])[];
    };

/** What brings something up: it is done first, so that nothing goes before its successor is there. */
export const COMING: readonly Operation["do"][] = [
  "add backend",
  "add server",
  "move server",
  "enable server",
];

/** What the running HAProxy can do. */
export interface Capabilities {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Whether backends can be added and removed (HAProxy 3.4 and later); else there are spares. */
  readonly backends: boolean;
}

/**
 * Backends that HAProxy has under another name than the files: before 3.4 no backend can be added,
 * so that a new one is served by one of the empty ones that the configuration provides.
 */
export type Aliases = Readonly<Record<string, string>>;

/** How the names of the spare ones begin: no repository's name does. */
const SPARE = "_spare";

/** Whether a backend is one of those that are provided for what comes. */
export function isSpare(backend: string): boolean {
  return backend.startsWith(SPARE);
}
