// The data that a template sees: services, options, HAProxy's paths, and the fields of 2018.

import { ListCache } from "../lib/weak-cache.ts";
import { isForwarded, speaksFastCgi, type Model, type Server, type Service } from "../model.ts";
import { shared } from "../lib/lists.ts";
import { NOTING } from "../lib/times.ts";
import { compare, compareVersions } from "../lib/text.ts";
import { isWildcard, nameOf, wildcardKey } from "../lib/places.ts";
import { containerNames, routeNames, type AccessLogOptions } from "./access-log.ts";
import type { ErrorPage } from "./error-pages.ts";
import { traceLabels } from "./origin.ts";
import { pageFilesOf, type PageFile } from "./pages.ts";
import { profilesOf, retriesFor, type Profile } from "./profiles.ts";
import {
  markRoutes,
  toRulesContext,
  type Entry,
  type MarkedRoute,
  type RulesContext,
} from "./rules.ts";
import { indexOf, type IndexPiece } from "./route-index.ts";
import { toTlsContext, type TlsContext, type TlsMaterial, type TlsOptions } from "./tls.ts";
import { toTcpContext, type TcpContext } from "./tcp.ts";
import { inheritedRoutes } from "./wildcards.ts";

/** The part of the options that a template sees. */
export interface ContextOptions {
  readonly listen: readonly string[];
  readonly domain: string;
  readonly ports: readonly number[];
  /** Whether a link that forgets the prefix of its page is led below it. */
  readonly mendLinks: boolean;
  /** The networks of the proxies in front that are believed. */
  readonly trustedProxies: readonly string[];
  /** From the nearest to the farthest of such proxies that a request may have passed. */
  readonly hops: readonly number[];
  /** Whether connections begin with the PROXY protocol; those of these proxies only, if there are any. */
  readonly proxyProtocol: boolean;
  /** Whether a page at `/` lists the routes. */
  readonly index: boolean;
  /** Whether the gateway gets certificates. */
  readonly acme: boolean;
  /** What the authority asks for meanwhile, by its path, as entries of a map. */
  readonly challenges: readonly Entry[];
  /** What the access log has; false: there is none. */
  readonly accessLog: AccessLogOptions | false;
  /** What is answered for errors in place of the gateway's own words. */
  readonly errorPages: readonly ErrorPage[];
  /** The same by status. */
  readonly errorPageOf: Readonly<Record<string, ErrorPage>>;
  /** How long requests wait for a container of their service, in milliseconds; 0: not at all. */
  readonly hold: number;
  /** How HTTPS is served; false: it is not. */
  readonly tls: TlsOptions | false;
  /** How long HAProxy waits for a connection, and between two tries, in milliseconds. */
  readonly connectTimeout: number;
  /** How often HAProxy tries again. */
  readonly retries: number;
  /** When the kernel finds that a container is gone without a word. */
  readonly keepAlive: KeepAlive;
}

/** TCP keep-alive. Source: HAProxy's configuration manual, `srvtcpka-idle` and its kin. */
interface KeepAlive {
  /** After so long without a byte the container's kernel is asked, in seconds. */
  readonly idle: number;
  /** How often it is asked again, in seconds. */
  readonly interval: number;
  /** So many questions in a row without an answer, and the connection is closed. */
  readonly count: number;
}

/** A request passes no more proxies of one's own than that. */
const HOPS = [1, 2, 3, 4, 5];

/** What templates see of proxies in front. @param networks those of the proxies that are believed */
export function proxyOptions(
  networks: readonly string[],
  proxyProtocol: boolean,
): Pick<ContextOptions, "trustedProxies" | "hops" | "proxyProtocol"> {
  return { trustedProxies: networks, hops: networks.length === 0 ? [] : HOPS, proxyProtocol };
}

/** What templates see of the access log: nothing of where it goes. */
export function accessLogOptions(
  choice: AccessLogOptions | undefined,
): ContextOptions["accessLog"] {
  if (choice === undefined) return false;
  const { format, sample, sampled } = choice;
  return { format, sample, sampled };
}

/** What templates see of the pages for errors. */
export function errorOptions(
  pages: readonly ErrorPage[],
): Pick<ContextOptions, "errorPages" | "errorPageOf"> {
  return {
    errorPages: pages,
    errorPageOf: Object.fromEntries(pages.map((page) => [page.status, page])),
  };
}

/**
 * The limit of a connection, in milliseconds. A request that hangs at an address whose container has
 * just ended is taken away from there before Docker can have started another container with that
 * address, which takes some 200 ms.
 *
 * It is also the pause between two tries, and so the longest that a request waits after a container
 * has come. (In its first half second it is a few milliseconds, where HAProxy has Lua.) HAProxy takes
 * `timeout connect` for it, up to a second, while at most one server is in use (`back_handle_st_cer` in its src/backend.c). 1,000 waiting requests cost 28 % of a core, and 1 % of
 * the requests for other services take some 10 ms; with a pause of 50 ms it is 36 % and 50 ms, on
 * HAProxy 2.6 and 3.4. A connection to a container on this machine takes less than a millisecond. Where
 * several servers refuse and HAProxy does not know yet, there is no pause: a request that tries 143
 * times costs 2.7 ms of a core, and 0.6 ms if it tries 20 times.
 */
const PAUSE = 70;
/** The same where containers are on another machine: there a connection takes its time. */
const PAUSE_REMOTE = 1_000;

/**
 * How HAProxy tries again, so that requests wait as long as they should.
 * @param hold in milliseconds; 0: requests do not wait
 * @param isRemote whether the containers are on another machine
 */
export function holdOptions(
  hold: number,
  isRemote: boolean,
): Pick<ContextOptions, "hold" | "connectTimeout" | "retries"> {
  const connectTimeout = isRemote ? PAUSE_REMOTE : PAUSE;
  return { hold, connectTimeout, retries: retriesFor(hold, connectTimeout) };
}

/**
 * A container that loses its network ends no connection: a request to it would hang. After 8 s it is found to be
 * gone, and a GET is tried elsewhere. Later would be too late, as a server that is removed has its requests closed
 * after 10 s. The kernel answers for a container that is paused or busy.
 */
const KEEP_ALIVE: KeepAlive = { idle: 5, interval: 1, count: 3 };
/** The same for another machine, whose network may be away for a while. */
const KEEP_ALIVE_REMOTE: KeepAlive = { idle: 60, interval: 20, count: 3 };

/** How HAProxy notices what is gone. @param isRemote whether the containers are on another machine */
export function keepAliveOptions(isRemote: boolean): Pick<ContextOptions, "keepAlive"> {
  return { keepAlive: isRemote ? KEEP_ALIVE_REMOTE : KEEP_ALIVE };
}

/** What the configuration needs to know of its HAProxy. */
export interface HaproxyContext {
  /** Such as `2.6.12`. */
  readonly version: string;
  /** Whether it runs Lua scripts. */
  readonly lua: boolean;
  /** Whether it speaks HTTP/3. */
  readonly quic: boolean;
  /** Empty if HAProxy does not start as root or the system has no user for it. */
  readonly user: string;
  readonly group: string;
  readonly chroot: string;
  readonly statsSocket: string;
  readonly stateFile: string;
  /** The `log` lines of the section `global`, without the word `log`. */
  readonly log: readonly string[];
}

/** A container as templates saw it in the program of 2018. */
interface Guest {
  /** The image reference as it was given. */
  readonly Name: string;
  /** The same, with one `_` in place of every run of characters that are not letters or digits. */
  readonly FriendlyName: string;
  readonly ID: string;
  readonly IP: string;
}

/** A service as templates see it. */
interface Backend {
  readonly name: string;
  readonly service: string;
  /** The same as `service`. Older templates use it: a service was always an image's repository. */
  readonly repository: string;
  readonly profile: string;
  readonly settings: Service["settings"];
  readonly path: string;
  readonly hosts: readonly string[];
  readonly servers: readonly Server[];
  /** `on` while requests wait for a container, else `off`; empty if they never do. */
  readonly hold: "on" | "off" | "";
  /** Whether bytes are forwarded to its servers as they are. */
  readonly tcp: boolean;
  /** Whether its servers speak FastCGI. */
  readonly fcgi: boolean;
}

export interface Context {
  readonly routes: readonly MarkedRoute[];
  /** The wildcards of the routes, with their keys in a map of their own. */
  readonly wildcards: readonly { readonly host: string; readonly key: string }[];
  /** What only some installations use: the others do without its rules. */
  readonly uses: {
    /** Whether there are routes of hosts. */
    readonly hosts: boolean;
    /** Whether another prefix comes in place of one. */
    readonly rewrites: boolean;
    /** Whether routes have rules, and which ones: `uses.allow` and so on. */
    readonly rules: boolean;
  } & RulesContext["used"];
  /** The networks that routes name, with those that may use them and those that may not. */
  readonly networks: RulesContext["networks"];
  /** Who may use which route with a password. */
  readonly users: RulesContext["users"];
  /** The headers that are set, or taken off, in each direction. */
  readonly headers: RulesContext["headers"];
  /** What the rules of a route look up by its ID. */
  readonly ruleOptions: RulesContext["options"];
  readonly backends: readonly Backend[];
  /** The ports from which bytes are forwarded as they are; empty: none, and so are all of its rules. */
  readonly tcp: TcpContext;
  /** What an access log says of each route by its ID; empty without one. */
  readonly names: readonly Entry[];
  /** The names of containers by those of their servers, for an access log. */
  readonly containers: readonly Entry[];
  /** The routes in pieces, for the page that lists them. */
  readonly index: readonly IndexPiece[];
  /** What is served by HTTPS; false: nothing is. */
  readonly tls: TlsContext | false;
  /** The `defaults` sections of the backends, beginning with that of services without settings. */
  readonly profiles: readonly Profile[];
  /** The files that settings name. */
  readonly files: readonly PageFile[];
  readonly options: ContextOptions;
  readonly haproxy: HaproxyContext;
  /** Names of backends without servers, for services to come. */
  readonly spares: readonly string[];
  /** How it is noted how long answers take. */
  readonly times: typeof NOTING;
  /** Counts the cookies of an answer that are put back one by one: HAProxy before 3.0 needs that. */
  readonly cookies: readonly number[];
  readonly Time: string;
  readonly Guests: readonly Guest[];
}

/** So many new services need no reload. No repository's name starts with `_`. */
const SPARE_NAMES = Array.from({ length: 64 }, (_, index) => `_spare_${index + 1}`);

/** HAProxy takes about so many headers (`tune.http.maxhdr`). */
const COOKIE_COUNT = Array.from({ length: 100 }, (_, index) => index + 1);

/** Of services whose requests may wait, and of those whose requests never do. */
const [holding, notHolding] = [
  new ListCache<Service, Backend>(),
  new ListCache<Service, Backend>(),
];

/**
 * Makes the data that a template sees.
 * @param time returns the value of `Time`
 * @param titleOf returns the name of a service as a person knows it
 * @param material the certificates that are served
 */
export function toContext(
  model: Model,
  options: ContextOptions,
  haproxy: HaproxyContext,
  time: () => string,
  titleOf: (service: string) => string,
  material: TlsMaterial,
): Context {
  const memory = options.hold > 0 ? holding : notHolding;
  const backends = memory.getAll(model.services, (service) => toBackend(service, options.hold));
  const forwarded = model.services.filter(isForwarded);
  const served =
    forwarded.length === 0 ? model.services : model.services.filter((each) => !isForwarded(each));
  const own = served.flatMap((service) => service.routes);
  const hosts = new Set(own.map(({ host }) => host).filter(isWildcard));
  const all = [...own, ...inheritedRoutes(own)];
  const rules = toRulesContext(all);
  return {
    routes: markRoutes(all, options.accessLog !== false),
    wildcards: [...hosts].toSorted(compare).map((host) => ({ host, key: wildcardKey(host) })),
    uses: {
      hosts: options.domain !== "" || own.some(({ host }) => host !== ""),
      rewrites: own.some(({ rewrite }) => rewrite !== ""),
      rules: rules.any,
      ...rules.used,
    },
    networks: rules.networks,
    users: rules.users,
    headers: rules.headers,
    ruleOptions: rules.options,
    backends,
    tcp: toTcpContext(forwarded, options.listen),
    tls: options.tls === false ? false : toTlsContext(options.tls, material, own),
    profiles: profilesOf(model.services, options),
    files: pageFilesOf(model.services),
    options,
    haproxy,
    spares: SPARE_NAMES,
    times: NOTING,
    cookies: compareVersions(haproxy.version, "3.0") < 0 ? COOKIE_COUNT : [],
    names:
      options.accessLog === false
        ? []
        : routeNames(all, model.services, options.accessLog, titleOf),
    containers: options.accessLog === false ? [] : containerNames(model.services),
    // Getters, so that only templates that use these fields cause the work.
    get index() {
      return indexOf(served, titleOf);
    },
    get Time() {
      return time();
    },
    get Guests() {
      return backends.flatMap(({ servers }) => servers.filter(isFirstOfContainer).map(toGuest));
    },
  };
}

function toBackend(service: Service, holdLength: number): Backend {
  const { name, backend, profile, settings, routes, servers, hold } = service;
  const tcp = isForwarded(service);
  return {
    name: backend,
    service: name,
    repository: name,
    profile,
    settings,
    path: tcp
      ? routes.map(nameOf).join(", ")
      : (routes.find(({ host }) => host === "")?.path ?? `/${name}`),
    hosts: shared(tcp ? [] : routes.map(({ host }) => host).filter((host) => host !== "")),
    servers: servers.map(traceLabels),
    // Only HTTP tells that a client is content to wait.
    hold: holdLength === 0 || tcp ? "" : hold === "waiting" ? "on" : "off",
    tcp,
    fcgi: speaksFastCgi(settings),
  };
}

/** A container with several candidate ports has several servers, but it is one guest. */
function isFirstOfContainer(server: Server): boolean {
  return !server.second;
}

function toGuest({ image, id, address }: Server): Guest {
  return {
    Name: image,
    FriendlyName: image.replaceAll(/[^a-zA-Z0-9]+/g, "_"),
    ID: id.slice(0, 12),
    IP: address,
  };
}
