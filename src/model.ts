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

/** One Engine, or whatever else containers come from. */
export interface Source {
  /** Such as `unix:///var/run/docker.sock`. */
  readonly name: string;
  /** Tells what happens, until the signal is aborted. Nothing else ends it. */
  watch(listener: SourceListener, signal: AbortSignal): Promise<void>;
  /** Makes it ready to be read once. @throws GatewayError `docker` */
  connect(signal: AbortSignal): Promise<void>;
  /** Marks everything to be read again. */
  markAll(): void;
  /** Reads what is marked. @throws GatewayError `docker` where nothing can be read */
  refresh(signal: AbortSignal): Promise<void>;
  /** What was last read. A container that did not change is the same object. */
  snapshot(): Snapshot;
  /** Whether a container has ended or was told to, by its ID. */
  isEnding(id: string): boolean;
  /** When something is to be read again by itself, in milliseconds since 1970. */
  readonly rereadAt: number | undefined;
  /** How long ago a container's change was noticed, in milliseconds, by its ID. */
  waited(id: string): number | undefined;
  /** Everything that was noticed is live. */
  settled(): void;
}

/** Who is told by a source. */
export interface SourceListener {
  /** It can be read from now on. */
  connected(): void;
  /** There is something to read. */
  changed(): void;
  /** A container has ended or was told to, by its ID. */
  ending(id: string): void;
  /** Nothing is told any more until it is connected again. */
  disconnected(): void;
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

/** Host pattern and path prefix -> backend. */
export interface Route {
  /** Empty: any host. */
  readonly host: string;
  /** Stripped before the request goes to a server; `/` is nothing to strip. */
  readonly path: string;
  /** What the map file is asked for: it ends in a slash, so that whole segments match. */
  readonly key: string;
  readonly backend: string;
}

/** What containers say of how their service is served, by name. There are no settings yet. */
export type Settings = Readonly<Record<string, never>>;

/** A container of a service that has no server now, and why. */
export interface WaitingContainer {
  readonly id: string;
  readonly container: string;
  readonly why: string;
}

/** What is served under one name. */
export interface Service {
  /** The same for as long as it is served, such as `foo/bar`. */
  readonly name: string;
  /** The name of its backend in HAProxy. */
  readonly backend: string;
  /** The section `defaults` that its backend takes everything from but its servers. */
  readonly profile: string;
  readonly settings: Settings;
  readonly routes: readonly Route[];
  readonly servers: readonly Server[];
  readonly waiting: readonly WaitingContainer[];
}

/** A container that is not routed, and why. */
export interface Rejection {
  readonly id: string;
  readonly container: string;
  readonly image: string;
  readonly reason: string;
  /** Whether the container's own label says that it is not to be routed. */
  readonly optedOut: boolean;
}

/** What should be served. */
export interface Model {
  readonly services: readonly Service[];
  readonly rejections: readonly Rejection[];
  /** Things that work but are probably not meant so. */
  readonly warnings: readonly string[];
}

/** The kinds of files that a configuration names. */
export type AssetKind = "map";

/** A file that the configuration names. */
export interface Asset {
  readonly kind: AssetKind;
  readonly text: string;
}

/** The files that HAProxy reads. */
export interface Files {
  readonly config: string;
  /** What the configuration names, by path. */
  readonly assets: Readonly<Record<string, Asset>>;
}
