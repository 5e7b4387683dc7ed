// The types everyone speaks: what Docker has, what should be served, and the files that say so.

export type ContainerState =
  | "created"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

/** `none`: the container has no HEALTHCHECK. */
export type Health = "none" | "starting" | "healthy" | "unhealthy";

/** A container's place in one network; an address it lacks is empty. */
export interface Attachment {
  readonly network: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** What is known of one container. */
export interface Container {
  readonly id: string;
  /** The name without Docker's leading slash. */
  readonly name: string;
  /** The image reference as it was given when the container was made. */
  readonly image: string;
  readonly imageId: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  readonly health: Health;
  /** When a signal that ends it was sent, in milliseconds since 1970; 0 where none was. */
  readonly stopping: number;
  /** How long it has from that signal until it is killed, in milliseconds. */
  readonly stopTimeout: number;
  /** `host`, `none`, `container:<id>`, or the name of a network. */
  readonly networkMode: string;
  readonly attachments: readonly Attachment[];
  /** The exposed TCP ports, ascending. */
  readonly exposed: readonly number[];
}

/** What of this machine decides which addresses HAProxy can reach. */
export interface Reach {
  /** The machine's own interfaces, such as `172.17.0.1/16`. */
  readonly interfaces: readonly string[];
  /** Whether the gateway itself runs in a container. */
  readonly inContainer: boolean;
  /** Where containers in the host's network are reached; undefined where they cannot be. */
  readonly hostAddress: string | undefined;
  /** Whether the Engine runs on this machine. */
  readonly local: boolean;
}

/** One moment of the Docker host. */
export interface Snapshot {
  readonly containers: readonly Container[];
  /** The driver of each network by the network's name. */
  readonly drivers: Readonly<Record<string, string>>;
  /** The addresses that the Engine's own machine has in its networks. */
  readonly gateways: readonly string[];
}

/** One `address:port` that HAProxy sends requests to. */
export interface Server {
  /** Unique in its backend, and the container's for life. */
  readonly name: string;
  readonly container: string;
  readonly id: string;
  /** IPv6 in brackets. */
  readonly address: string;
  readonly port: number;
  /** Whether it gets no requests now: paused, stopping, or not (yet) healthy. */
  readonly disabled: boolean;
  /** Why it is disabled; empty where it is not. */
  readonly why: string;
  /** Whether it only serves where the first port of its container does not. */
  readonly backup: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  /** How long the container has to end once it is told to, in milliseconds. */
  readonly stopTimeout: number;
}

/** The servers of one service. */
export interface Backend {
  readonly name: string;
  /** The repository, such as `foo/bar`. */
  readonly repository: string;
  readonly path: string;
  readonly hosts: readonly string[];
  readonly servers: readonly Server[];
}

/** Host and path prefix -> backend. An empty host is any host. */
export interface Route {
  readonly host: string;
  /** Stripped before the request goes to a server; `/` is nothing to strip. */
  readonly path: string;
  /** What the map file is asked for: it ends in a slash, so that whole segments match. */
  readonly key: string;
  readonly backend: string;
}

/** A container that is not routed, and why. */
export interface Rejection {
  readonly id: string;
  readonly container: string;
  readonly image: string;
  readonly reason: string;
}

/** What should be served. */
export interface Model {
  readonly routes: readonly Route[];
  readonly backends: readonly Backend[];
  readonly rejections: readonly Rejection[];
  /** Things that work but are probably not meant so. */
  readonly warnings: readonly string[];
}

/** The configuration and its map files, as text. */
export interface Files {
  readonly config: string;
  /** The text of each map file by its path. */
  readonly maps: Readonly<Record<string, string>>;
}
