// The files that labels name: what is in them, and what is said if one is of no use.

import { isDeepStrictEqual } from "node:util";
import { parseAuthorities, parseCertificates } from "../../lib/certificates.ts";
import { LARGEST_PAGE } from "../../lib/pages.ts";
import { parseRevocations } from "../../lib/revocations.ts";
import { WeakCache } from "../../lib/weak-cache.ts";
import {
  hasRules,
  type LabelFile,
  type Model,
  type NamedText,
  type Route,
  type Rules,
  type Service,
} from "../../model.ts";
import { labelsOf, titleOf } from "../intent.ts";
import { parseUserFile } from "./auth.ts";
import { isErrorLabel } from "./errors.ts";
import { profileOf } from "./profile.ts";

/**
 * Reads a file of this machine. It gives the same object as long as the file is the same.
 * @param most how large it may be, in bytes
 */
export type ReadLabelFile = (path: string, most: number) => LabelFile;

/** A kind of files. */
interface Kind {
  /** How large it may be, in bytes. */
  readonly most: number;
  /** Reads it. */
  readonly parse: (text: string) => LabelFile;
  /** Whether nobody may use a route whose file is of no use, as it keeps somebody out. */
  readonly protects: boolean;
}

const PAGE: Kind = { most: LARGEST_PAGE, parse: (text) => ({ text }), protects: false };
const CERTIFICATES: Kind = { most: 1_000_000, parse: parseCertificates, protects: true };
/** HAProxy reads each user when it starts. */
const USERS: Kind = { most: 100_000, parse: parseUserFile, protects: true };

const AUTHORITIES: Kind = { most: 1_000_000, parse: parseAuthorities, protects: true };
const REVOCATIONS: Kind = { most: 1_000_000, parse: parseRevocations, protects: true };

/** The labels of a route's rules that name files. */
const OF_RULES = { "auth.file": USERS, "mtls.ca": AUTHORITIES, "mtls.crl": REVOCATIONS } as const;
type RuleLabel = keyof typeof OF_RULES;
const RULE_LABELS = Object.keys(OF_RULES) as RuleLabel[];

/** So many containers of a service are named. */
const MOST_NAMED = 3;

/** A label that names a file. */
interface Named {
  /** Without what stands before all labels of its route. */
  readonly key: string;
  /** As a person wrote it. */
  readonly label: string;
  readonly path: string;
  readonly kind: Kind;
  /** The rules that it belongs to; undefined: it is about servers. */
  readonly rules: Route["rules"] | undefined;
}

/** A service with its files. */
interface Filled {
  readonly service: Service;
  readonly warnings: readonly string[];
}

/** What was made of a service, with the files from which it was made. */
interface Made extends Filled {
  readonly files: readonly LabelFile[];
}

/** A file is not looked at while it is the same object, so this is the same one, too. */
const EMPTY: LabelFile = { problem: "it is empty" };

const made = new WeakCache<Service, { last: Made | undefined }>();
const parsed = new WeakCache<LabelFile, Map<Kind, LabelFile>>();

/**
 * Adds to services what is in the files that their labels name. One without files is the same object, and
 * one whose files are the same is the same object as before.
 */
export function withFiles(model: Model, read: ReadLabelFile, labelPrefix: string): Model {
  if (!model.services.some(namesFiles)) return model;
  const filled = model.services.map((service) => fill(service, read, labelPrefix));
  const warnings = filled.flatMap((each) => each.warnings);
  return {
    ...model,
    services: filled.map(({ service }) => service),
    warnings: warnings.length === 0 ? model.warnings : [...model.warnings, ...warnings],
  };
}

/** Whether a label of a service names a file. Of thousands hardly any does. */
function namesFiles({ settings, routes }: Service): boolean {
  for (const key in settings) if (kindOf(key) !== undefined) return true;
  return routes.some(({ rules }) => ruleLabels(rules).length > 0);
}

/** The labels of rules that name files. */
function ruleLabels({ values }: Rules): RuleLabel[] {
  // Most routes have no rules.
  for (const _ in values) return RULE_LABELS.filter((key) => values[key] !== undefined);
  return [];
}

/** The kind of the file that a setting names; undefined if it names none. */
function kindOf(key: string): Kind | undefined {
  return isErrorLabel(key) ? PAGE : key === "https.ca" ? CERTIFICATES : undefined;
}

function fill(service: Service, read: ReadLabelFile, labelPrefix: string): Filled {
  const named = namedBy(service, labelPrefix);
  if (named.length === 0) return { service, warnings: [] };
  const files = named.map(({ path, kind }) => parse(read(path, kind.most), kind));
  const memory = made.get(service, () => ({ last: undefined }));
  const { last } = memory;
  if (last !== undefined && isDeepStrictEqual(last.files, files)) return last;
  const found = named.map((each, index) => ({ ...each, file: files[index] ?? EMPTY }));
  const told = found.flatMap((each) =>
    "problem" in each.file ? [problemOf(each, each.file.problem)] : [],
  );
  const fileProblems = [...new Set(told)];
  memory.last = {
    files,
    service: { ...completed(service, found), fileProblems },
    warnings: fileProblems.map((text) => `${describeMembers(service)}: label ${text}`),
  };
  return memory.last;
}

/** A service with its containers, such as `service shop (container web)`. Of many, three are named. */
export function describeMembers({ name, servers, waiting }: Service): string {
  const all = [...new Set([...servers, ...waiting].map(({ container }) => container))];
  const named =
    all.slice(0, MOST_NAMED).join(", ") + (all.length > MOST_NAMED ? " and others" : "");
  return `service ${titleOf(name)} (container${all.length === 1 ? "" : "s"} ${named})`;
}

function parse(file: LabelFile, kind: Kind): LabelFile {
  if ("problem" in file) return file;
  if (file.text === "") return EMPTY;
  const known = parsed.get(file, () => new Map());
  const result = known.get(kind) ?? kind.parse(file.text);
  known.set(kind, result);
  return result;
}

/** A label with its file. */
interface Found extends Named {
  readonly file: LabelFile;
}

function completed(service: Service, found: readonly Found[]): Service {
  const ofServers = found.filter(({ rules }) => rules === undefined);
  const isMissing = ({ kind, file }: Found): boolean => kind.protects && "problem" in file;
  const closed = ofServers.find(isMissing)?.key;
  const routes = service.routes.map((route): Route => {
    const { rules } = route;
    const own = found.filter((each) => each.rules === rules);
    const closing = closed ?? own.find(isMissing)?.key;
    // What is wrong with a label itself is told before.
    if (closing !== undefined) {
      return { ...route, rules: { ...rules, closed: rules.closed || closing } };
    }
    return own.length === 0 ? route : { ...route, rules: withTexts(rules, own) };
  });
  return {
    ...service,
    profile: profileOf(
      service.settings,
      routes.some(({ rules }) => hasRules(rules)),
    ),
    routes,
    files: Object.fromEntries(ofServers.map(({ path, file }) => [path, file])),
  };
}

/** Rules with what is in their files. */
function withTexts(rules: Rules, own: readonly Found[]): Rules {
  const textOf = (label: RuleLabel): NamedText | undefined => {
    const found = own.find(({ key }) => key === label);
    return found !== undefined && "text" in found.file
      ? { path: found.path, text: found.file.text }
      : undefined;
  };
  const [users, ca, crl] = [textOf("auth.file"), textOf("mtls.ca"), textOf("mtls.crl")];
  const auth = [rules.values["auth"], users?.text].filter(Boolean).join(",");
  return {
    ...rules,
    values: users === undefined ? rules.values : { ...rules.values, auth },
    ...(ca === undefined ? {} : { authorities: { ca, crl } }),
  };
}

function problemOf({ label, path, kind }: Named, problem: string): string {
  const name = `${label}=${JSON.stringify(path)}`;
  return kind.protects
    ? `${name}: ${problem}: the route answers 503 until it is right`
    : `${name} counts for nothing: ${problem}`;
}

/** The labels of a service that name files. */
function namedBy({ name, settings, routes }: Service, labelPrefix: string): Named[] {
  const prefix = labelsOf(name, labelPrefix);
  const ofServers = Object.entries(settings).flatMap(([key, path]): Named[] => {
    const kind = kindOf(key);
    return kind === undefined ? [] : [{ key, label: prefix + key, path, kind, rules: undefined }];
  });
  const ofRules = [...new Set(routes.map(({ rules }) => rules))].flatMap((rules) =>
    ruleLabels(rules).map((key): Named => {
      const path = rules.values[key] ?? "";
      return { key, label: rules.prefix + key, path, kind: OF_RULES[key], rules };
    }),
  );
  return [...ofServers, ...ofRules];
}
