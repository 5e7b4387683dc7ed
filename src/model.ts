// The types that all folders share: the containers of Docker, the services that they make up, and the
// files of HAProxy. A few constants and one function go with them.

/** `starting`: it has its address already and does not run yet. No Engine says so. */
export type ContainerState =
  | "created"
  | "starting"
  | "running"
  | "paused"
  | "restarting"
  | "removing"
  | "exited"
  | "dead";

/** `none`: the container has no HEALTHCHECK. */
export type Health = "none" | "starting" | "healthy" | "unhealthy";

/** A container's addresses in one network. An address that it does not have is empty. */
export interface Attachment {
  readonly network: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/**
 * Stands for the time of the signal if a container has ended, in milliseconds since 1970. It is
 * earlier than any real signal.
 */
export const HAS_ENDED = 1;

/** Why a server of a container gets no requests that has an address and does not run yet. */
export const ABOUT_TO_START = "about to start";

/** One container, as Docker describes it. */
export interface Container {
  readonly id: string;
  /** The name without Docker's leading slash. Behind it `@` and the name of its Engine, where that has one. */
  readonly name: string;
  /** The image reference as it was given when the container was created. */
  readonly image: string;
  readonly imageId: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The few variables of its environment that say how it is served, and no others: they are secret. */
  readonly environment: Readonly<Record<string, string>>;
  readonly state: ContainerState;
  readonly health: Health;
  /**
   * When it was told to stop by a signal, in milliseconds since 1970; 0 if it was not, `HAS_ENDED` if
   * it has ended.
   */
  readonly stopping: number;
  /** The time from that signal until Docker kills it, in milliseconds. */
  readonly stopTimeout: number;
  /** `host`, `none`, `container:<id>`, or the name of a network. */
  readonly networkMode: string;
  readonly attachments: readonly Attachment[];
  /** The exposed TCP ports, ascending. */
  readonly exposed: readonly number[];
  /** Its first process as the Engine's machine numbers it; 0 if it has none or that is not known. */
  readonly pid: number;
  /** When that process started, in Docker's words; empty if that is not known. */
  readonly startedAt: string;
  /** Undefined: it is no task of a swarm. */
  readonly task?: Task;
  /** The name of its Engine; undefined: there is only one, which has none. */
  readonly engine?: string;
  /** Undefined: its addresses are in networks of this machine, as far as that has them. */
  readonly elsewhere?: Elsewhere;
}

/** Where a container is reached whose networks are not this machine's. Another one may have the same subnets. */
export interface Elsewhere {
  /** The address of its Engine's machine, without brackets. */
  readonly address: string;
  /** The ports of TCP that it publishes there. */
  readonly published: readonly Publication[];
}

/** A port that a container publishes on its machine. */
export interface Publication {
  /** Where it listens, without brackets: `0.0.0.0` and `::` are all addresses of their family. */
  readonly at: string;
  /** The port of the container. */
  readonly target: number;
  /** The port of its machine. */
  readonly port: number;
}

/** The name of a thing of an Engine, told apart from those of the others. @param engine see `Container` */
export function atEngine(name: string, engine: string | undefined): string {
  return engine === undefined ? name : `${name}@${engine}`;
}

/** The name of a container as its Engine has it. No such name has an `@`. */
export function ownName({ name }: Pick<Container, "name">): string {
  return name.replace(/@.*$/, "");
}

/** The name of the Engine in a name that `atEngine` made; undefined if there is none. */
export function engineIn(name: string): string | undefined {
  return /@(.*)$/.exec(name)?.[1];
}

/** A port of a task that is reached without its networks. */
export interface PublishedPort {
  /** `host`: on the node where it runs. `ingress`: by the routing mesh, which picks a task itself. */
  readonly mode: "host" | "ingress";
  /** The address of a node, without brackets. */
  readonly address: string;
  /** The port of the task. */
  readonly target: number;
  /** The port at that address. */
  readonly port: number;
}

/** What a swarm says of a container that is one of its tasks. */
export interface Task {
  /** The ID of its service. */
  readonly serviceId: string;
  /** The name of its service, with its stack's name before it. */
  readonly service: string;
  /** The ID of the swarm, where there are several Engines. */
  readonly swarm?: string;
  /** Whether it runs on the Engine that is asked. */
  readonly isLocal: boolean;
  readonly published: readonly PublishedPort[];
}

/** The facts about this machine that decide which addresses HAProxy can reach. */
export interface Reach {
  /** The addresses of the machine's own interfaces, such as `172.17.0.1/16`. */
  readonly interfaces: readonly string[];
  /** Whether the gateway itself runs in a container. */
  readonly inContainer: boolean;
  /** The address of containers in the host's network; undefined if they cannot be reached. */
  readonly hostAddress: string | undefined;
  /** Whether the Engine runs on this machine. */
  readonly local: boolean;
  /** The overlay networks that the gateway's own container is on. No host is on one. */
  readonly overlays: readonly string[];
}

/** The state of the Docker host at one moment. */
export interface Snapshot {
  readonly containers: readonly Container[];
  /** The driver of each network, by the name of the network. */
  readonly drivers: Readonly<Record<string, string>>;
  /** The addresses of the Engine's own machine in Docker's networks. */
  readonly gateways: readonly string[];
}

/** One of several Engines. */
export interface NamedEngine {
  readonly name: string;
  /** Such as `tcp://192.0.2.7:2376`. */
  readonly url: string;
}

/** A source of containers, such as a Docker Engine. */
export interface Source {
  /** Such as `unix:///var/run/docker.sock`. */
  readonly name: string;
  /** The Engines of which it consists, if it is not one. */
  readonly engines?: readonly NamedEngine[];
  /** Calls the listener for every event, until the signal is aborted. No failure ends it. */
  watch(listener: SourceListener, signal: AbortSignal): Promise<void>;
  /** Connects for a single reading, without watching. @throws GatewayError `docker` */
  connect(signal: AbortSignal): Promise<void>;
  /** Marks everything to be read again. */
  markAll(): void;
  /**
   * Reads what is marked. What cannot be read is told, and stays as it was.
   * @throws GatewayError `docker` if this is a single reading and nothing can be read
   */
  refresh(signal: AbortSignal): Promise<void>;
  /** Whether all containers are known. Until then, one that no snapshot has may run. */
  readonly isComplete: boolean;
  /**
   * Reads containers of which nothing has told, by the first digits of their IDs.
   * @returns whether all of them are known: how they are, or that they are gone
   */
  learn(ids: readonly string[]): boolean;
  /** The result of the last reading. A container that did not change is the same object. */
  snapshot(): Snapshot;
  /** Whether the container with this ID has ended or was told to stop. */
  isEnding(id: string): boolean;
  /** Whether Docker still has a container that ran before and does not run now, by its ID. */
  remains(id: string): boolean;
  /** When the source itself wants to read something again, in milliseconds since 1970. */
  readonly rereadAt: number | undefined;
  /** How long ago a change of the container with this ID was noticed, in milliseconds. */
  waited(id: string): number | undefined;
  /** Tells the source that HAProxy serves every change that was noticed. */
  settled(): void;
}

/** Receives the events of a source. */
export interface SourceListener {
  /** The source can be read from now on. @param engine the name of its Engine, if it has several */
  connected(engine?: string): void;
  /** There is something to read. */
  changed(): void;
  /** This container was known before it started, and runs now. */
  started(container: Container): void;
  /** The container with this ID was told to stop. */
  ending(id: string): void;
  /** The container with this ID has ended. */
  ended(id: string): void;
  /**
   * There are no events until the source is connected again.
   * @param engine the name of its Engine, if it has several
   */
  disconnected(engine?: string): void;
}

/** A container whose life keeps an address: as long as its process runs, nobody else gets it. */
export interface Holder {
  readonly id: string;
  /** 0 if it is not known. */
  readonly pid: number;
}

/** One `address:port` that HAProxy sends requests to. */
export interface Server {
  /** Unique in its backend. A container keeps it for life. */
  readonly name: string;
  readonly container: string;
  readonly id: string;
  /** IPv6 in brackets. */
  readonly address: string;
  readonly port: number;
  /** Whether it gets no requests now, because it is paused, stopping or not (yet) healthy. */
  readonly disabled: boolean;
  /** Why it is disabled; empty if it is not. */
  readonly why: string;
  /** Whether it serves only while no server does that is none. */
  readonly backup: boolean;
  /** Whether it is not at the first port of its container. */
  readonly second: boolean;
  /** Its share of the requests as HAProxy has it, such as `10`; empty: the usual one. */
  readonly weight: string;
  /** How many requests it gets at a time; empty: any number. */
  readonly maxconn: string;
  /** When the container's process started, in Docker's words; empty if that is not known. */
  readonly startedAt: string;
  /** The container itself, and the one whose network it uses, if any. */
  readonly holders: readonly Holder[];
  readonly labels: Readonly<Record<string, string>>;
  readonly image: string;
  /** The time from the signal to stop until Docker kills the container, in milliseconds. */
  readonly stopTimeout: number;
  /** Set if its address is that of a machine, whose other ports are other containers'. */
  readonly isPublished?: true;
}

/** What labels say of how the requests and answers of a route are treated. */
export interface Rules {
  /** Values by the names of the labels, as `allow`. Two values that mean the same are the same text. */
  readonly values: Readonly<Record<string, string>>;
  /** The label whose value is none, so that nobody may use the route; empty: each is right. */
  readonly closed: string;
  /** What stands before each label, such as `gateway.route.api.`. */
  readonly prefix: string;
  /** Whose certificates clients show; undefined: none are asked for, or the files are not read yet. */
  readonly authorities?: Authorities;
}

/** Who signs the certificates of clients, and which of these do not count any more. */
export interface Authorities {
  /** Their own certificates. */
  readonly ca: NamedText;
  /** The lists of what they have revoked; undefined: nobody looks. */
  readonly crl: NamedText | undefined;
}

/** What is in a file of this machine, in PEM. */
export interface NamedText {
  readonly path: string;
  readonly text: string;
}

/** No label says anything. */
export const NO_RULES: Rules = { values: {}, closed: "", prefix: "" };

/** Whether labels say anything. */
export function hasRules({ values, closed }: Rules): boolean {
  return closed !== "" || Object.keys(values).length > 0;
}

/** Leads requests for a host and a path prefix to a backend. */
export interface Route {
  /** A name, or a wildcard such as `*.example.com`; empty: any host. */
  readonly host: string;
  /** The prefix. */
  readonly path: string;
  /** Whether the prefix is stripped before a request goes to a server. Of `/` there is nothing. */
  readonly strip: boolean;
  /** The prefix that comes in place of the one that is stripped, such as `/app`; empty: none. */
  readonly rewrite: string;
  /** The key in the map file. It ends in a slash, so that only whole segments match. */
  readonly key: string;
  readonly backend: string;
  readonly rules: Rules;
  /**
   * The port of the gateway from which bytes are forwarded as they are, for the `host` that a client asks
   * for by TLS; undefined: it is HTTP. See `Place`.
   */
  readonly tcp?: number;
}

/** Whether the bytes of a service are forwarded as they are. All routes of one are so, or none is. */
export function isForwarded({ routes }: Pick<Service, "routes">): boolean {
  return routes[0]?.tcp !== undefined;
}

/**
 * What labels say of how HAProxy treats the servers of a service: values by the names of the labels, as
 * `timeout` or `timeout.connect`. Two values that mean the same are the same text.
 */
export type Settings = Readonly<Record<string, string>>;

/** Whether the servers of a service speak FastCGI, and not HTTP. */
export function speaksFastCgi({ scheme }: Settings): boolean {
  return scheme === "fcgi";
}

/** The value of `redirect` with which requests stay where they are, those without TLS too. */
export const NO_REDIRECT = "none";

/** Where the official image of PHP has an application. */
export const FCGI_ROOT = "/var/www/html";
/** The script of an application that gets all requests which name none. */
export const FCGI_INDEX = "index.php";

/** The text of a file that a label names, or why it is of no use. */
export type LabelFile = { readonly text: string } | { readonly problem: string };

/** A container of a service that has no server at the moment, and the reason. */
export interface WaitingContainer {
  readonly id: string;
  readonly container: string;
  readonly why: string;
}

/**
 * What happens to requests for a service that no server can take. `waiting`: they wait for a
 * container. `over`: they waited long enough, and there is none. Empty: a server can take them, or
 * one may be able to.
 */
export type Hold = "" | "waiting" | "over";

/** Which certificates of --acme a service has, where it is not one for each host: one for all, or none. */
export type CertificateWish = "together" | "off";

/** All containers that are served under one name. */
export interface Service {
  /** Such as `foo/bar`. It stays the same as long as the service exists. */
  readonly name: string;
  /** The name of its backend in HAProxy. */
  readonly backend: string;
  /** The `defaults` section of its backend, which has everything but the servers. */
  readonly profile: string;
  readonly settings: Settings;
  /** The files that its settings name, by path. */
  readonly files?: Readonly<Record<string, LabelFile>>;
  /** Undefined: a certificate for each host. */
  readonly certificates?: CertificateWish;
  /** What is said of files that its labels name and that are of no use. */
  readonly fileProblems?: readonly string[];
  readonly routes: readonly Route[];
  readonly servers: readonly Server[];
  readonly waiting: readonly WaitingContainer[];
  readonly hold: Hold;
}

/**
 * The kinds of reasons why a container is not routed. `left out`: its label or a flag says so. `state`: it does
 * not run, or is ending. `labels`: what it asks for is not understood, or its image has no path. `address`,
 * `port`: it has none that can be used. `route`: others have its places, or the gateway itself. `template`: a template fails with it.
 */
export const REJECTION_KINDS = [
  "left out",
  "state",
  "labels",
  "address",
  "port",
  "route",
  "template",
] as const;
export type RejectionKind = (typeof REJECTION_KINDS)[number];

/** A container that is not routed, and the reason. */
export interface Rejection {
  readonly id: string;
  readonly container: string;
  readonly image: string;
  readonly kind: RejectionKind;
  readonly reason: string;
  /** Whether nothing is wrong: its own label says so, or it is no web server. */
  readonly expected: boolean;
  /** Whether it is only about to end, which is nothing to complain of. */
  readonly ending: boolean;
}

/** A route that containers ask for and do not have, as it is another service's or claimed. */
export interface RouteRefusal {
  /** The IDs of the containers. */
  readonly ids: readonly string[];
  /** As a person reads it, such as `http://shop.example.com/`. */
  readonly route: string;
  readonly reason: string;
}

/** A certificate with its key, in a file that HAProxy can read. */
export interface Certificate {
  /** The path of that file. It has the key, too. */
  readonly path: string;
  /** The names that it is for, in lower case, wildcards such as `*.example.com` among them. */
  readonly names: readonly string[];
  /** The kind of its key, such as `rsa` or `ec`. */
  readonly kind: string;
  /** From when until when it is valid, in milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whether it is not valid now. */
  readonly expired: boolean;
  readonly issuer: string;
  /** Where it comes from, as a person knows it: the path of a file, perhaps with that of its key. */
  readonly source: string;
  /** Whether it is for clients that ask for no name, or for one that no certificate has. */
  readonly isDefault: boolean;
}

/** What serves HTTPS besides the routes. */
export interface TlsFiles {
  /** Those of the user, in the order of their folders. */
  readonly certificates: readonly Certificate[];
  /** The one for clients that ask for no name or an unknown one: its key and certificate in PEM. */
  readonly fallback: string;
  /** The keys of session tickets, a line each. */
  readonly ticketKeys: string;
}

/** The desired services, and the containers that are not routed. */
export interface Model {
  readonly services: readonly Service[];
  readonly rejections: readonly Rejection[];
  readonly refusals: readonly RouteRefusal[];
  /** Things that work, but are probably a mistake. */
  readonly warnings: readonly string[];
}

/** How the certificate of --acme for a name is. All times are in milliseconds since 1970. */
export interface CertificateState {
  /** A host name, or a wildcard such as `*.example.com`. */
  readonly name: string;
  /**
   * `waiting`: there is none yet, and it is asked for, or it is not time for that yet. `served`: there is one,
   * and it is valid. `failed`: there is none, or one that is too old, and the last try failed.
   */
  readonly state: "waiting" | "served" | "failed";
  /** Why there is none, or no newer one; empty: nothing is wrong. */
  readonly reason: string;
  /** When it is asked for next, or renewed; undefined: never, or just now. */
  readonly nextTry: number | undefined;
  /** Whether the authority is asked for it now. */
  readonly underway: boolean;
  /** Until when it is valid; undefined: there is none. */
  readonly notAfter: number | undefined;
  /** Who signed it, such as `R11`; empty: there is none. */
  readonly issuer: string;
}

/**
 * The kinds of files beside the configuration. It names the maps and scripts, and the copies of other
 * `file`s. A `crtlist` says which certificate is for which names, and names the `ca` and the `crl` of clients. `owners` and `containers`
 * are for the gateway alone: which container is behind each server, and what the Engines told of those.
 */
export type AssetKind =
  | "map"
  | "script"
  | "file"
  | "crtlist"
  | "certificate"
  | "ticketkeys"
  | "ca"
  | "crl"
  | "owners"
  | "containers";

/** The kinds of files that nobody but HAProxy may read. */
export const SECRET_KINDS: readonly AssetKind[] = ["certificate", "ticketkeys"];

/** The kinds of files that HAProxy does not read. */
export const OWN_KINDS: readonly AssetKind[] = ["owners", "containers"];

/** A file beside the configuration. */
export interface Asset {
  readonly kind: AssetKind;
  readonly text: string;
}

/** The configuration that HAProxy runs, and the files that belong to it. */
export interface Files {
  readonly config: string;
  /** The files beside the configuration, by path. */
  readonly assets: Readonly<Record<string, Asset>>;
}
