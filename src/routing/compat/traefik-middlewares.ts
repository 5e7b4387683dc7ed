// Translates Traefik's middlewares: what happens to a request on its way to the container.

import { readHeaders } from "./traefik-headers.ts";
import { readRedirectRegex, readRedirectScheme } from "./traefik-redirects.ts";
import type { Options } from "./traefik-labels.ts";
import { quoted, type Notes, type Theirs } from "./notes.ts";
import { CLOSE, withSettings, type Draft, type Step } from "./routes.ts";
import { toList, type NamedLabel, type Settings } from "./vocabulary.ts";
import {
  isWithin,
  joinPaths,
  splitList,
  toBytes,
  toCount,
  toDuration,
  toNetworkRange,
  toPath,
  toRate,
  toSwitch,
  toUser,
  withoutPrefix,
} from "./values.ts";

/** Reads the options of a middleware, without the name of its type before them. */
type Reader = (options: Options, notes: Notes) => Step;

const NOTHING: Step = { apply: (drafts) => drafts };

const READERS: Readonly<Record<string, Reader>> = {
  stripprefix: readStripPrefix,
  addprefix: readAddPrefix,
  replacepath: readReplacePath,
  redirectscheme: readRedirectScheme,
  redirectregex: readRedirectRegex,
  basicauth: readBasicAuth,
  ipallowlist: readAllowList,
  ipwhitelist: readAllowList,
  ratelimit: readRateLimit,
  headers: readHeaders,
  compress: readCompress,
  buffering: readBuffering,
};

/** Types that keep nobody out, and so may be left out; with our labels for them. */
const HARMLESS: Readonly<Record<string, readonly NamedLabel[]>> = {
  circuitbreaker: [],
  contenttype: [],
  errors: ["errors"],
  grpcweb: [],
  inflightreq: ["maxconn"],
  passtlsclientcert: [],
  replacepathregex: ["rewrite"],
  retry: [],
  stripprefixregex: ["rewrite"],
};

/** More than a router has any use for. */
const MOST_STEPS = 32;
/** Chains in chains. */
const DEEPEST = 8;
/** More than anybody strips. */
const MOST_PREFIXES = 16;

/** Reads the middlewares that a router names. Each of them is read once, with its warnings. */
export class Middlewares {
  readonly #defined: ReadonlyMap<string, Options>;
  readonly #notes: Notes;
  readonly #steps = new Map<string, readonly Step[]>();
  #depth = 0;

  constructor(defined: ReadonlyMap<string, Options>, notes: Notes) {
    this.#defined = defined;
    this.#notes = notes;
  }

  /** @param theirs the label that names the middlewares, in the order of their work */
  stepsOf(theirs: Theirs | undefined): readonly Step[] {
    if (theirs === undefined) return [];
    const names = splitList(theirs.value);
    if (names.length <= MOST_STEPS && this.#depth < DEEPEST) {
      this.#depth++;
      const steps = names.flatMap((name) => this.#named(name, theirs));
      this.#depth--;
      if (steps.length <= MOST_STEPS) return steps;
    }
    this.#notes.warn(theirs, `more than ${MOST_STEPS} are not read, so nobody gets in`, "auth");
    return [CLOSE];
  }

  #named(reference: string, theirs: Theirs): readonly Step[] {
    const name = reference.toLowerCase().replace(/@docker$/, "");
    const known = this.#steps.get(name);
    if (known !== undefined) return known;
    const options = this.#defined.get(name);
    if (options === undefined) {
      const what = `no label of this container says what ${quoted(reference)} is; as it may protect, nobody gets in`;
      this.#notes.warn(theirs, what, "auth", "allow");
      return [CLOSE];
    }
    // One that names itself ends here: until it is read, it does nothing.
    this.#steps.set(name, []);
    const steps = this.#read(options);
    this.#steps.set(name, steps);
    return steps;
  }

  #read(options: Options): readonly Step[] {
    const [first] = options;
    if (first === undefined) return [];
    const [firstName, theirs] = first;
    const type = firstName.split(".")[0] ?? "";
    if ([...options.keys()].some((name) => name.split(".")[0] !== type)) {
      this.#notes.warn(theirs, "it has several types, so nobody gets in", "auth", "allow");
      return [CLOSE];
    }
    const own = new Map(
      [...options].map(([name, each]) => [name.slice(type.length).replace(/^\./, ""), each]),
    );
    if (type === "chain") return this.stepsOf(own.get("middlewares"));
    const read = Object.hasOwn(READERS, type) ? READERS[type] : undefined;
    if (read !== undefined) return [read(own, this.#notes)];
    return [this.#unknown(type, theirs)];
  }

  #unknown(type: string, theirs: Theirs): Step {
    const harmless = Object.hasOwn(HARMLESS, type) ? HARMLESS[type] : undefined;
    if (harmless !== undefined) {
      this.#notes.warn(theirs, `${type} is not known`, ...harmless);
      return NOTHING;
    }
    // Its value may be a secret of a plugin.
    this.#notes.warnSecret(
      theirs,
      "it is not known and may protect, so nobody gets in",
      "auth",
      "allow",
    );
    return CLOSE;
  }
}

/** Warns of the options that are not among the known ones. */
function warnOfOthers(
  options: Options,
  notes: Notes,
  known: readonly string[],
  ...ours: readonly NamedLabel[]
): void {
  for (const [name, theirs] of options) {
    if (!known.includes(name)) notes.warn(theirs, "it is not known", ...ours);
  }
}

/** A step that only adds settings. */
function adding(settings: Settings): Step {
  return { apply: (drafts) => withSettings(drafts, settings) };
}

function readStripPrefix(options: Options, notes: Notes): Step {
  // What `forceslash` says is always so here.
  warnOfOthers(options, notes, ["prefixes", "forceslash"], "strip");
  const theirs = options.get("prefixes");
  const prefixes = splitList(theirs?.value ?? "").map(toPath);
  const known = prefixes.filter((prefix) => prefix !== undefined);
  const valid = known.slice(0, MOST_PREFIXES);
  if (theirs !== undefined && known.length < prefixes.length) {
    notes.warn(theirs, "one of them is no path prefix", "strip", "rewrite");
  } else if (theirs !== undefined && valid.length < known.length) {
    notes.warn(theirs, `only the first ${MOST_PREFIXES} are read`, "strip", "rewrite");
  }
  return { apply: (drafts) => drafts.flatMap((draft) => strippedOf(draft, valid)) };
}

/** A draft without the first of the prefixes that its path begins with. */
function strippedOf(draft: Draft, prefixes: readonly string[]): readonly Draft[] {
  const { path, target, exact = false } = draft;
  const own = prefixes.find((prefix) => isWithin(target, prefix));
  if (own !== undefined) return [{ ...draft, target: withoutPrefix(target, own) }];
  // A prefix below the path: only the requests below it lose it.
  if (target !== path || exact) return [draft];
  const deeper = prefixes.filter((prefix) => isWithin(prefix, path));
  const parts = deeper.map((prefix) => ({ ...draft, path: prefix, target: "/", derived: true }));
  return [draft, ...parts];
}

function readAddPrefix(options: Options, notes: Notes): Step {
  warnOfOthers(options, notes, ["prefix"], "rewrite");
  const theirs = options.get("prefix");
  if (theirs === undefined) return NOTHING;
  const prefix = toPath(theirs.value.trim().replace(/^(?!\/)/, "/"));
  if (prefix === undefined) {
    notes.warn(theirs, "it is no path", "rewrite");
    return NOTHING;
  }
  return {
    apply: (drafts) => drafts.map((each) => ({ ...each, target: joinPaths(prefix, each.target) })),
  };
}

function readReplacePath(options: Options, notes: Notes): Step {
  warnOfOthers(options, notes, ["path"], "rewrite");
  const theirs = options.get("path");
  if (theirs === undefined) return NOTHING;
  const path = toPath(theirs.value);
  return {
    apply: (drafts) => {
      if (path !== undefined && drafts.every(({ exact = false }) => exact)) {
        return drafts.map((draft) => ({ ...draft, target: path }));
      }
      notes.warn(theirs, "one path for all requests is only known for a rule with Path", "rewrite");
      return drafts;
    },
  };
}

function readBasicAuth(options: Options, notes: Notes): Step {
  warnOfOthers(options, notes, ["users", "usersfile", "removeheader"], "auth");
  const file = options.get("usersfile");
  if (file !== undefined) notes.warn(file, "a file of Traefik's cannot be read here", "auth.file");
  const theirs = options.get("users");
  const users = splitList(theirs?.value ?? "").map((user) => {
    const colon = user.indexOf(":");
    return colon < 0 ? undefined : toUser(user.slice(0, colon), user.slice(colon + 1));
  });
  const valid = users.filter((user) => user !== undefined);
  if (theirs !== undefined && valid.length < users.length) {
    const left = `${users.length - valid.length} of its ${users.length} users cannot get in`;
    notes.warnSecret(
      theirs,
      `${left}: only bcrypt (with a cost of up to 12), SHA-512 and SHA-256 are known`,
      "auth",
    );
  }
  if (valid.length === 0) return CLOSE;
  const removes = toSwitch(options.get("removeheader")?.value ?? "false") ?? false;
  return {
    ...adding({ auth: toList(valid), ...(removes ? {} : { "auth.forward": "true" }) }),
    protects: true,
  };
}

function readAllowList(options: Options, notes: Notes): Step {
  const theirs = options.get("sourcerange");
  const ranges = splitList(theirs?.value ?? "").map(toNetworkRange);
  const valid = ranges.filter((range) => range !== undefined);
  if (theirs !== undefined && valid.length < ranges.length) {
    notes.warn(theirs, "it has what is no network, which stays out", "allow");
  }
  let isKnown = true;
  for (const [name, other] of options) {
    if (name === "sourcerange") continue;
    // It takes the client's address from elsewhere, so the same networks may be others.
    if (name.startsWith("ipstrategy")) {
      isKnown = false;
      const what = "where the address comes from is --trusted-proxies here, so nobody gets in";
      notes.warn(other, what, "allow", "deny");
    } else notes.warn(other, "it is not known", "allow");
  }
  if (valid.length === 0 || !isKnown) return CLOSE;
  return { ...adding({ allow: toList(valid) }), protects: true };
}

function readRateLimit(options: Options, notes: Notes): Step {
  warnOfOthers(options, notes, ["average", "period", "burst"], "rate");
  const average = options.get("average");
  if (average === undefined || /^\s*0+\s*$/.test(average.value)) return NOTHING;
  const count = toCount(average.value);
  const period = options.get("period");
  const duration = toDuration(period?.value ?? "1s");
  const rate = count === undefined || duration === undefined ? undefined : toRate(count, duration);
  if (rate === undefined) {
    const wrong = count === undefined ? average : (period ?? average);
    notes.warn(wrong, "it is no rate that can be had here (up to 1000000 in up to 1h)", "rate");
    return NOTHING;
  }
  const burst = options.get("burst");
  const most = burst === undefined ? undefined : toCount(burst.value);
  if (burst !== undefined && most === undefined) notes.warn(burst, "it is no number", "rate.burst");
  return adding({
    rate,
    ...(most === undefined ? {} : { "rate.burst": most }),
  });
}

function readCompress(options: Options, notes: Notes): Step {
  warnOfOthers(options, notes, [""], "compress");
  const theirs = options.get("");
  const wanted = theirs === undefined ? true : toSwitch(theirs.value);
  if (wanted === undefined && theirs !== undefined) {
    notes.warn(theirs, "it is neither true nor false", "compress");
  }
  return wanted === true ? adding({ compress: "true" }) : NOTHING;
}

function readBuffering(options: Options, notes: Notes): Step {
  // How much of a body is kept in memory is nothing that a client notices.
  const known = ["maxrequestbodybytes", "memrequestbodybytes", "memresponsebodybytes"];
  warnOfOthers(options, notes, known);
  const theirs = options.get("maxrequestbodybytes");
  if (theirs === undefined || theirs.value.trim() === "0") return NOTHING;
  const bytes = toBytes(theirs.value);
  if (bytes !== undefined) return adding({ body: bytes });
  notes.warn(theirs, "it is no number of bytes", "body");
  return NOTHING;
}
