// The `defaults` sections for the backends of services: one for each set of settings that is in use.

import { millisecondsOf } from "../lib/durations.ts";
import { compare } from "../lib/text.ts";
import { nameOf, pagesOf, textOf, type Page } from "./pages.ts";
import {
  FCGI_INDEX,
  FCGI_ROOT,
  hasRules,
  isForwarded,
  speaksFastCgi,
  type Service,
  type Settings,
} from "../model.ts";

/** How long requests may wait for a container, and how HAProxy tries again. */
export interface Retrying {
  /** In milliseconds. */
  readonly hold: number;
  /** In milliseconds. */
  readonly connectTimeout: number;
  readonly retries: number;
}

/** A `defaults` section as templates see it. */
export interface Profile {
  readonly name: string;
  /** Names of backends without servers, for services to come. */
  readonly spares: readonly string[];
  /** The labels that it has been made from, such as `timeout=5m`. */
  readonly settings: readonly string[];
  /** As HAProxy has it, such as `leastconn` or `hdr(x-user)`. */
  readonly balance: string;
  /** Whether that is a hash, so that servers can only come and go if it is consistent. */
  readonly hashes: boolean;
  /** How long a connection may take, also the pause between two tries; with its unit. */
  readonly connectTimeout: string;
  readonly retries: number;
  /** How long a server may be silent. */
  readonly timeout: string;
  /** How long both sides may be silent once it is no HTTP any more. */
  readonly tunnelTimeout: string;
  /** How long a request waits for its turn. */
  readonly queueTimeout: string;
  /** How many requests wait for their turn; empty: any number. */
  readonly queueLength: string;
  /** How long a server that comes up takes to its full share of the requests; empty: no time. */
  readonly slowstart: string;
  /** Whether answers are compressed. */
  readonly compress: boolean;
  /** Whether it speaks TLS to servers. */
  readonly tls: boolean;
  /** The protocols that it offers by TLS; empty: none by name. */
  readonly alpn: string;
  /** The protocol that it speaks without asking; empty: HTTP/1.1, or what `alpn` says. */
  readonly proto: string;
  /** The name that it asks for by TLS; empty: none. */
  readonly serverName: string;
  /** Whether its certificate is verified, for that name. */
  readonly verified: boolean;
  /** The name of the file beside the configuration with the CAs that are trusted; empty: the system's. */
  readonly caFile: string;
  /** The folder of the scripts that FastCGI runs; empty: it is not spoken. */
  readonly fcgiRoot: string;
  /** The script for all paths that name none, with a slash before it. */
  readonly fcgiIndex: string;
  /** The name of the cookie that binds a client to a server; empty: none does. */
  readonly cookie: string;
  /** Whether browsers send it over https only. */
  readonly cookieSecure: boolean;
  /** Its `SameSite`; empty: as the browser likes. */
  readonly cookieSameSite: string;
  /** What a health check asks for; empty: it only connects. */
  readonly checkTarget: string;
  /** Whether that is a script of PHP. */
  readonly checksScript: boolean;
  readonly checkHost: string;
  /** The statuses that it is content with. */
  readonly checkStatus: string;
  /** How often a server is checked that is up. */
  readonly checkInterval: string;
  /** The same for one that is down, or of which it is not known yet. */
  readonly checkDown: string;
  /** What is answered for statuses in place of a container's answer. */
  readonly pages: readonly Page[];
  /** Whether routes of its services have rules. */
  readonly rules: boolean;
  /** Whether bytes are forwarded as they are. */
  readonly tcp: boolean;
}

/** So many servers may have died at once without a request being lost. */
const FEWEST_RETRIES = 20;

/** How often HAProxy tries again, so that requests wait so long. Both are in milliseconds. */
export function retriesFor(hold: number, pause: number): number {
  return Math.max(FEWEST_RETRIES, Math.ceil(hold / pause));
}

/** So many new services with the same settings need no reload. */
const SPARES = 16;
/** HAProxy pauses no longer between two tries, in milliseconds. Source: its src/backend.c. */
const LONGEST_PAUSE = 1_000;

/** What HAProxy calls the protocols that are spoken without asking. */
const PROTOCOLS: Readonly<Record<string, string>> = { h2c: "h2", fcgi: "fcgi" };
/** As browsers know them. */
const SAME_SITE: Readonly<Record<string, string>> = { lax: "Lax", strict: "Strict", none: "None" };

/** The profiles of these services, beginning with that of services without settings. */
export function profilesOf(services: readonly Service[], retrying: Retrying): readonly Profile[] {
  const usual = toProfile("_backend", { settings: {}, routes: [] }, false, [], retrying);
  const used = new Map<string, Service>();
  for (const service of services) {
    if (service.profile !== usual.name) used.set(service.profile, service);
  }
  const others = [...used].toSorted(([a], [b]) => compare(a, b));
  return [
    usual,
    ...others.map(([name, service]) => {
      const isHttp = !isForwarded(service);
      const rules = isHttp && service.routes.some((route) => hasRules(route.rules));
      return toProfile(name, service, rules, sparesOf(name), retrying);
    }),
  ];
}

/** The names of its spare backends. A profile's name begins with a `_`. */
function sparesOf(profile: string): string[] {
  return Array.from({ length: SPARES }, (_, index) => `_spare${profile}_${index + 1}`);
}

function toProfile(
  name: string,
  service: Pick<Service, "settings" | "files" | "routes">,
  rules: boolean,
  spares: readonly string[],
  retrying: Retrying,
): Profile {
  const { settings } = service;
  const { queue = "" } = settings;
  const tcp = isForwarded(service);
  const isCount = /^\d+$/.test(queue);
  return {
    name,
    spares,
    settings: Object.entries(settings)
      .toSorted(([a], [b]) => compare(a, b))
      .map(([key, value]) => `${key}=${value}`),
    ...balancing(settings["balance"] ?? "roundrobin"),
    ...connecting(settings["timeout.connect"], retrying),
    timeout: settings["timeout"] ?? "1h",
    // A pool of connections to a database may be idle overnight.
    tunnelTimeout: settings["timeout.tunnel"] ?? (tcp ? "1d" : "1h"),
    queueTimeout: isCount || queue === "" ? "5s" : queue,
    queueLength: isCount ? queue : "",
    slowstart: settings["slowstart"] ?? "",
    compress: settings["compress"] === "true",
    pages: pagesOf(service),
    rules,
    tcp,
    ...checking(settings),
    ...speaking(service),
    cookie: settings["sticky"] ?? "",
    cookieSecure: settings["sticky.secure"] === "true",
    cookieSameSite: SAME_SITE[settings["sticky.samesite"] ?? ""] ?? "",
  };
}

/** @param balance the value of the label */
function balancing(balance: string): Pick<Profile, "balance" | "hashes"> {
  const [, cookie, header] = /^hash:(?:cookie:(.+)|(.+))$/.exec(balance) ?? [];
  if (cookie !== undefined) return { balance: `hash req.cook(${cookie})`, hashes: true };
  if (header !== undefined) return { balance: `hdr(${header})`, hashes: true };
  return { balance, hashes: balance === "source" };
}

function checking(settings: Settings) {
  const interval = settings["check.interval"] ?? "5s";
  const isShort = (millisecondsOf(interval) ?? 0) < 200;
  return {
    checkTarget: settings["check"] ?? "",
    checksScript: /^[^?]*\.php(?:[/?]|$)/.test(settings["check"] ?? ""),
    checkHost: settings["check.host"] ?? "localhost",
    checkStatus: settings["check.status"] ?? "200-399",
    checkInterval: interval,
    checkDown: isShort ? interval : "200ms",
  };
}

function speaking({ settings, files = {} }: Pick<Service, "settings" | "files">) {
  const { scheme, "https.ca": ca = "" } = settings;
  return {
    tls: scheme === "https" || scheme === "h2",
    alpn: scheme === "h2" ? "h2" : "",
    proto: PROTOCOLS[scheme ?? ""] ?? "",
    serverName: settings["https.sni"] ?? "",
    verified: settings["https.verify"] === "true",
    caFile: textOf(files[ca]) === "" ? "" : nameOf(ca),
    fcgiRoot: speaksFastCgi(settings) ? (settings["fcgi.root"] ?? FCGI_ROOT) : "",
    fcgiIndex: `/${settings["fcgi.index"] ?? FCGI_INDEX}`,
  };
}
/** How HAProxy tries again, so that requests wait as long for a container as they always do. */
function connecting(
  timeout: string | undefined,
  { hold, connectTimeout, retries }: Retrying,
): Pick<Profile, "connectTimeout" | "retries"> {
  if (timeout === undefined) return { connectTimeout: `${connectTimeout}ms`, retries };
  const pause = Math.min(millisecondsOf(timeout) ?? connectTimeout, LONGEST_PAUSE);
  return { connectTimeout: timeout, retries: retriesFor(hold, pause) };
}
