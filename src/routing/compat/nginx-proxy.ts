// Translates the environment of containers that nginx-proxy serves.

import type Yaml from "yaml";
import { NO_REDIRECT } from "../../model.ts";
import { parseFolder } from "../settings/servers.ts";
import { parsePort } from "../values.ts";
import { toHsts } from "./hsts.ts";
import { quoted, type Notes, type Theirs } from "./notes.ts";
import { CLOSED, mainFirst, withSettings, type Draft } from "./routes.ts";
import type { Subject, Translated } from "./subject.ts";
import { toHost, toPath } from "./values.ts";
import { toList, toServiceName, type Settings } from "./vocabulary.ts";

/** What nginx-proxy takes for its own networks, in its file `network_internal.conf`. */
const INTERNAL = ["127.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12"];
/** What nginx-proxy gives to FastCGI where nobody sets another one. */
const FASTCGI_ROOT = "/var/www/public";
const LABEL_PREFIX = "com.github.nginx-proxy.nginx-proxy.";
/** nginx does not verify the certificate of a container unless it is told to. */
const UNVERIFIED = { "https.verify": "false" };
const PROTOCOLS: Readonly<Record<string, Settings>> = {
  http: {},
  https: { scheme: "https", ...UNVERIFIED },
  grpc: { scheme: "h2c" },
  grpcs: { scheme: "h2", ...UNVERIFIED },
};
const BALANCES: Readonly<Record<string, string>> = {
  least_conn: "leastconn",
  ip_hash: "source",
  "hash $remote_addr": "source",
  "hash $remote_addr consistent": "source",
  random: "random",
};
/** More than a container has any use for. */
const MOST_ROUTES = 64;
/** Nobody writes as much by hand. */
const LONGEST_YAML = 4_096;

/** What opens a block in the line of another one, so often that only an attack does it. */
const TOO_DEEP = /^(?:[^[{]*[[{]){300}|(?:[-?]\s+){30}/;

/** Whether a container asks nginx-proxy to serve it. */
export function isForNginxProxy(environment: Subject["environment"]): boolean {
  return Boolean(environment["VIRTUAL_HOST"]) || Boolean(environment["VIRTUAL_HOST_MULTIPORTS"]);
}

/** Whether a label is one of nginx-proxy's, which only say more of what its variables say. */
export function isOfNginxProxy(label: string): boolean {
  return label.startsWith(LABEL_PREFIX);
}

/** Translates the environment of a container that has a host of nginx-proxy's. */
export function translateNginxProxy({ environment, labels }: Subject, notes: Notes): Translated {
  const common = {
    ...readAccess(variable("NETWORK_ACCESS", environment), notes),
    ...readHttpsMethod(variable("HTTPS_METHOD", environment), notes),
    ...readHsts(variable("HSTS", environment), notes),
    ...readOwnLabels(labels, notes),
  };
  const multiple = variable("VIRTUAL_HOST_MULTIPORTS", environment);
  const places =
    multiple === undefined ? readSingle(environment, notes) : readMultiple(multiple, notes);
  if (places.length > MOST_ROUTES) {
    const theirs = multiple ?? variable("VIRTUAL_HOST", environment);
    if (theirs !== undefined) notes.warn(theirs, `only ${MOST_ROUTES} routes are read`, "host");
  }
  const read = places.slice(0, MOST_ROUTES).map((place) => toDraft(place, environment, notes));
  const known = read.filter((draft) => draft !== undefined);
  const drafts = mainFirst(withSettings(known, common));
  const [first] = drafts;
  if (first === undefined) {
    notes.warnOfAll("what nginx-proxy would serve of it is not understood, so it is left out");
    return { container: { enable: "false" }, drafts };
  }
  // There, all containers of one host and path share its requests, whatever their images.
  return { container: { enable: "true", service: toServiceName(first.host, first.path) }, drafts };
}

/** A host with a path, as it is written. */
interface Place {
  readonly host: string;
  readonly path: Theirs;
  readonly port: Theirs | undefined;
  readonly protocol: Theirs | undefined;
  readonly destination: Theirs | undefined;
}

function variable(label: string, environment: Subject["environment"]): Theirs | undefined {
  const value = environment[label];
  return value === undefined || value === "" ? undefined : { label, value };
}

function readSingle(environment: Subject["environment"], notes: Notes): readonly Place[] {
  const hosts = variable("VIRTUAL_HOST", environment);
  if (hosts === undefined) return [];
  const path = variable("VIRTUAL_PATH", environment) ?? { label: "VIRTUAL_PATH", value: "/" };
  const port = variable("VIRTUAL_PORT", environment);
  const protocol = variable("VIRTUAL_PROTO", environment);
  const destination = variable("VIRTUAL_DEST", environment);
  return readHosts(hosts, hosts.value, notes).map((host) => ({
    host,
    path,
    port,
    protocol,
    destination,
  }));
}

/** The hosts of a list. One that begins with a dot stands for itself and all below it. */
function readHosts(theirs: Theirs, text: string, notes: Notes): readonly string[] {
  if (text.trim().startsWith("~")) {
    notes.warn(theirs, "a regular expression is not known", "host");
    return [];
  }
  const words = text.split(",", MOST_ROUTES + 1).map((word) => word.trim());
  return words.filter(Boolean).flatMap((word) => {
    const host = toHost(word.replace(/^\./, ""));
    if (host !== undefined) return word.startsWith(".") ? [host, `*.${host}`] : [host];
    const shown = quoted(word);
    const what = word.startsWith("~")
      ? `the regular expression ${shown} is not known`
      : word.endsWith(".*")
        ? `a wildcard at the end, as in ${shown}, is not known`
        : `${shown} is no host name`;
    notes.warn(theirs, what, "host");
    return [];
  });
}

/** Hosts with paths with ports, in YAML. JSON is YAML too. */
function readMultiple(theirs: Theirs, notes: Notes): readonly Place[] {
  const hosts = parseYaml(theirs, notes);
  if (hosts === undefined) return [];
  return [...hosts].flatMap(([name, paths]) => {
    const named = readHosts(theirs, String(name), notes);
    const entries: readonly (readonly [unknown, unknown])[] =
      paths instanceof Map && paths.size > 0 ? [...paths] : [["/", undefined]];
    return named.flatMap((host) =>
      entries.flatMap(([path, options]) => readPath(theirs, host, path, options, notes)),
    );
  });
}

function parseYaml(theirs: Theirs, notes: Notes): ReadonlyMap<unknown, unknown> | undefined {
  const result = loadYaml(theirs.value);
  if (result instanceof Map) return result;
  notes.warn(theirs, typeof result === "string" ? result : "it has no hosts", "host", "port");
  return undefined;
}

/** The value of a YAML text, or why it has none. */
function loadYaml(text: string): unknown {
  if (text.length > LONGEST_YAML) return `it is longer than ${LONGEST_YAML} characters`;
  if (TOO_DEEP.test(text)) return "it is nested too deep";
  // Read when it is needed, which is seldom: it would cost each start of the program 5 ms.
  const { parseDocument } = require("yaml") as typeof Yaml;
  const document = parseDocument(text, { logLevel: "silent" });
  const [problem] = document.errors;
  if (problem !== undefined) return `it is no YAML (${problem.code})`;
  try {
    const value: unknown = document.toJS({ mapAsMap: true, maxAliasCount: 0 });
    return typeof value === "string" ? undefined : value;
  } catch (error) {
    // Aliases make much of little, and nobody needs them here.
    if (error instanceof ReferenceError) return "an alias is not known";
    throw error;
  }
}

function readPath(
  theirs: Theirs,
  host: string,
  path: unknown,
  options: unknown,
  notes: Notes,
): readonly Place[] {
  const name = String(path);
  if (!name.startsWith("/")) {
    // Which ports the proxy itself listens on is for all hosts here.
    notes.warn(theirs, `${quoted(name)} is not known`, "path");
    return [];
  }
  const at = `${theirs.label} of ${host}${name}`;
  const option = (key: string): Theirs | undefined => {
    const value: unknown = options instanceof Map ? options.get(key) : undefined;
    const isPlain = typeof value === "string" || typeof value === "number";
    return isPlain && value !== "" ? { label: `${key} in ${at}`, value: String(value) } : undefined;
  };
  return [
    {
      host,
      path: { label: at, value: name },
      port: option("port"),
      protocol: option("proto"),
      destination: option("dest"),
    },
  ];
}

function toDraft(
  place: Place,
  environment: Subject["environment"],
  notes: Notes,
): Draft | undefined {
  const path = readLocation(place.path, notes);
  const settings = readServer(place, environment, notes);
  if (path === undefined || settings === undefined) return undefined;
  return {
    name: path === "/" ? place.host : `${place.host}${path}`,
    host: place.host,
    path,
    target: readDestination(place.destination, path, notes),
    settings,
  };
}

/** The prefix of a location of nginx. */
function readLocation(theirs: Theirs, notes: Notes): string | undefined {
  const path = toPath(theirs.value.trim().replace(/^\^~\s*/, ""));
  if (path !== undefined) return path;
  const what = theirs.value.startsWith("~")
    ? "a regular expression is not known"
    : theirs.value.startsWith("=")
      ? "a path without what is below it is not known"
      : "it is no path prefix";
  notes.warn(theirs, what, "path");
  return undefined;
}

/** Port and protocol; undefined if the container could not be spoken to. */
function readServer(
  { port, protocol }: Place,
  environment: Subject["environment"],
  notes: Notes,
): Settings | undefined {
  const word = protocol?.value.trim().toLowerCase() ?? "http";
  const scheme = word === "fastcgi" ? readFastCgi(environment, notes) : PROTOCOLS[word];
  if (scheme === undefined || (word !== "fastcgi" && !Object.hasOwn(PROTOCOLS, word))) {
    if (protocol !== undefined) {
      notes.warn(protocol, "it is not known, so the container is not served there", "scheme");
    }
    return undefined;
  }
  if (port === undefined) return scheme;
  const number = parsePort(port.value.trim());
  if (number !== undefined) return { ...scheme, port: String(number) };
  notes.warn(port, "it is no port number", "port");
  return scheme;
}

function readFastCgi(environment: Subject["environment"], notes: Notes): Settings {
  const theirs = variable("VIRTUAL_ROOT", environment);
  const root = theirs === undefined ? FASTCGI_ROOT : parseFolder(theirs.value.trim());
  if (root === undefined && theirs !== undefined) notes.warn(theirs, "it is no path", "fcgi.root");
  return { scheme: "fcgi", "fcgi.root": root ?? FASTCGI_ROOT };
}

/** What the container gets instead of the path. */
function readDestination(theirs: Theirs | undefined, path: string, notes: Notes): string {
  if (theirs === undefined) return path;
  const target = toPath(theirs.value);
  if (target !== undefined) return target;
  notes.warn(theirs, "it is no path", "rewrite");
  return path;
}

function readAccess(theirs: Theirs | undefined, notes: Notes): Settings {
  if (theirs === undefined || theirs.value === "external") return {};
  if (theirs.value === "internal") return { allow: toList(INTERNAL) };
  notes.warn(theirs, "it is neither internal nor external, so nobody gets in", "allow", "deny");
  return CLOSED;
}

function readHttpsMethod(theirs: Theirs | undefined, notes: Notes): Settings {
  if (theirs === undefined) return {};
  if (theirs.value === "noredirect") return { redirect: NO_REDIRECT };
  if (theirs.value === "redirect") return { redirect: "https", "redirect.code": "301" };
  if (theirs.value === "nohttp") {
    notes.warn(theirs, "what comes without TLS is sent to https instead of refused", "redirect");
    return { redirect: "https", "redirect.code": "301" };
  }
  notes.warn(theirs, "what the gateway listens on is said for all hosts");
  return {};
}

/** A header, or `off`. There, each host with a certificate has one without the variable, too. */
function readHsts(theirs: Theirs | undefined, notes: Notes): Settings {
  if (theirs === undefined || theirs.value === "off") return {};
  const settings = toHsts(theirs.value);
  if (settings === undefined) {
    notes.warn(theirs, "it is neither off nor such as max-age=31536000", "hsts");
  }
  return settings ?? {};
}

/** The labels that nginx-proxy has beside the environment. */
function readOwnLabels(labels: Subject["labels"], notes: Notes): Settings {
  let settings: Settings = {};
  for (const label of Object.keys(labels).toSorted()) {
    if (!isOfNginxProxy(label)) continue;
    const theirs = { label, value: labels[label] ?? "" };
    const word = theirs.value.trim().replace(/;$/, "").replaceAll(/\s+/g, " ");
    const balance = Object.hasOwn(BALANCES, word) ? BALANCES[word] : undefined;
    if (label === `${LABEL_PREFIX}loadbalance`) {
      if (balance === undefined) notes.warn(theirs, "it is not known", "balance");
      else settings = { balance };
    } else if (label !== `${LABEL_PREFIX}keepalive`) notes.warn(theirs, "it is not known");
  }
  return settings;
}
