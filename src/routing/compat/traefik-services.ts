// Translates Traefik's services: the port, the health check, the cookie.

import { parsePort } from "../values.ts";
import type { Notes, Theirs } from "./notes.ts";
import type { Options } from "./traefik-labels.ts";
import type { NamedLabel, Settings } from "./vocabulary.ts";
import { toCount, toDuration, toHost, toPath, toSwitch, toWord } from "./values.ts";

/** The cookie of a service that only says that it wants one. Traefik makes up a name too. */
const DEFAULT_COOKIE = "_route";
const STRATEGIES = new Map([
  ["wrr", "roundrobin"],
  ["p2c", "random"],
  ["hrw", "source"],
]);

/** What one option means. Nothing: it only says what is so anyway. */
type Reading = Settings | "invalid";

interface Option {
  readonly ours: readonly NamedLabel[];
  /** What is expected, for the warning. */
  readonly wants: string;
  readonly read: (value: string) => Reading;
}

/** A setting with the checked value; `invalid` if there is none. */
function set(name: keyof Settings, value: string | undefined): Reading {
  return value === undefined ? "invalid" : { [name]: value };
}

const OPTIONS: Readonly<Record<string, Option>> = {
  "server.port": {
    ours: ["port"],
    wants: "it is no port number",
    read: (value) => set("port", parsePort(value.trim())?.toString()),
  },
  "server.scheme": {
    ours: ["scheme"],
    wants: "only http, https and h2c are known",
    read: (value) => {
      const scheme = value.trim().toLowerCase();
      return ["http", "https", "h2c"].includes(scheme) ? { scheme } : "invalid";
    },
  },
  "sticky.cookie": {
    ours: ["sticky"],
    wants: "it is neither true nor false",
    read: (value) => {
      const wanted = toSwitch(value);
      if (wanted === undefined) return "invalid";
      return wanted ? { sticky: DEFAULT_COOKIE } : {};
    },
  },
  "sticky.cookie.name": {
    ours: ["sticky"],
    wants: "it is no name of a cookie",
    read: (value) => set("sticky", toWord(value)),
  },
  "sticky.cookie.secure": {
    ours: ["sticky.secure"],
    wants: "it is neither true nor false",
    read: (value) => set("sticky.secure", toSwitch(value)?.toString()),
  },
  "sticky.cookie.samesite": {
    ours: ["sticky.samesite"],
    wants: "it is none of none, lax, strict",
    read: (value) => {
      const word = value.trim().toLowerCase();
      return ["none", "lax", "strict"].includes(word) ? { "sticky.samesite": word } : "invalid";
    },
  },
  "healthcheck.path": {
    ours: ["check"],
    wants: "it is no path",
    read: (value) => set("check", toPath(value)),
  },
  "healthcheck.interval": {
    ours: ["check.interval"],
    wants: "it is no duration",
    read: (value) => set("check.interval", toDuration(value)),
  },
  "healthcheck.hostname": {
    ours: ["check.host"],
    wants: "it is no host name",
    read: (value) => set("check.host", toHost(value)),
  },
  "healthcheck.status": {
    ours: ["check.status"],
    wants: "it is no status",
    read: (value) => set("check.status", /^\s*([1-5]\d\d)\s*$/.exec(value)?.[1]),
  },
  strategy: {
    ours: ["balance"],
    wants: "only wrr, p2c and hrw are known",
    read: (value) => set("balance", STRATEGIES.get(value.trim().toLowerCase())),
  },
  passhostheader: {
    ours: [],
    wants: "the container always gets the host of the request",
    read: (value) => (toSwitch(value) === true ? {} : "invalid"),
  },
};

/** Our labels for options that are not translated. */
const RELATED: readonly (readonly [RegExp, ...NamedLabel[]])[] = [
  [/^healthcheck/, "check"],
  [/^sticky/, "sticky"],
  [/^serverstransport/, "https.verify"],
  [/^server\.url/, "port", "scheme"],
];

/** The settings of an HTTP service. Each service is read once, so that each warning comes once. */
export function readHttpService(options: Options, notes: Notes): Settings {
  let settings: Settings = {};
  // In the order of their names, `sticky.cookie.name` is after `sticky.cookie` and so counts.
  for (const [name, theirs] of options) {
    // They are read with those of the routers.
    if (name === "middlewares") continue;
    const option = /^loadbalancer\.(.+)$/.exec(name)?.[1] ?? "";
    if (option === "server.weight" && toCount(theirs.value) !== undefined) continue;
    settings = { ...settings, ...readOption(option, theirs, notes) };
  }
  const { check, sticky } = settings;
  // What belongs to a check or a cookie means nothing without it.
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([name]) =>
        (check !== undefined || !name.startsWith("check.")) &&
        (sticky !== undefined || !name.startsWith("sticky.")),
    ),
  );
}

function readOption(name: string, theirs: Theirs, notes: Notes): Settings {
  const option = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
  if (option === undefined) {
    const [, ...ours] = RELATED.find(([pattern]) => pattern.test(name)) ?? [];
    if (name.startsWith("healthcheck.headers."))
      notes.warnSecret(theirs, "it is not known", ...ours);
    else notes.warn(theirs, "it is not known", ...ours);
    return {};
  }
  const reading = option.read(theirs.value);
  if (reading !== "invalid") return reading;
  notes.warn(theirs, option.wants, ...option.ours);
  return {};
}

/** The share of the container's server, which Traefik has in its service. */
export function weightOf(options: Options): string | undefined {
  const weight = options.get("loadbalancer.server.weight");
  return weight === undefined ? undefined : toCount(weight.value);
}
