// Translates Traefik's `headers`: headers of requests and answers, and what browsers may do.

import { toHsts } from "./hsts.ts";
import type { Notes, Theirs } from "./notes.ts";
import { CLOSE, withSettings, type Step } from "./routes.ts";
import type { Options } from "./traefik-labels.ts";
import { splitList, toCount, toHeaderName, toSwitch, toText } from "./values.ts";
import { toList, type NamedLabel, type Settings } from "./vocabulary.ts";

/** Options whose value is the value of a header of the answer. */
const AS_THEY_ARE: Readonly<Record<string, string>> = {
  contentsecuritypolicy: "Content-Security-Policy",
  contentsecuritypolicyreportonly: "Content-Security-Policy-Report-Only",
  custombrowserxssvalue: "X-XSS-Protection",
  customframeoptionsvalue: "X-Frame-Options",
  featurepolicy: "Feature-Policy",
  permissionspolicy: "Permissions-Policy",
  referrerpolicy: "Referrer-Policy",
};

/** Options that stand for a header of the answer with one value. */
const SWITCHES: Readonly<Record<string, readonly [name: string, value: string]>> = {
  browserxssfilter: ["X-XSS-Protection", "1; mode=block"],
  contenttypenosniff: ["X-Content-Type-Options", "nosniff"],
  framedeny: ["X-Frame-Options", "DENY"],
};

const CORS: Readonly<Record<string, "cors" | "cors.methods" | "cors.headers">> = {
  accesscontrolalloworiginlist: "cors",
  accesscontrolallowmethods: "cors.methods",
  accesscontrolallowheaders: "cors.headers",
};

/** Options that have no meaning of their own here: they are read with another one, or always so. */
const SILENT = new Set([
  "addvaryheader",
  "forcestsheader",
  "ssltemporaryredirect",
  "stsincludesubdomains",
  "stspreload",
]);

/** Reads all options of the middleware. */
export function readHeaders(options: Options, notes: Notes): Step {
  let settings: Settings = {};
  for (const [name, theirs] of options) {
    settings = { ...settings, ...readOption(name, theirs, options, notes) };
  }
  if (settings.cors === undefined) settings = withoutCors(settings);
  // It refuses all other hosts, which is not known here.
  return options.has("allowedhosts")
    ? CLOSE
    : { apply: (drafts) => withSettings(drafts, settings) };
}

/** What belongs to CORS means nothing without its origins. */
function withoutCors(settings: Settings): Settings {
  const rest = Object.entries(settings).filter(([name]) => !name.startsWith("cors."));
  return Object.fromEntries(rest);
}

function readOption(name: string, theirs: Theirs, options: Options, notes: Notes): Settings {
  const own = /^custom(request|response)headers\.(.+)$/.exec(name);
  if (own !== null) {
    const [, side, header = ""] = own;
    // The name of the option is in lower case, and the label has it as it was written.
    const written = theirs.label.slice(-header.length);
    return readCustom(side as "request" | "response", written, theirs, notes);
  }
  if (Object.hasOwn(AS_THEY_ARE, name)) {
    return response(AS_THEY_ARE[name] ?? "", toText(theirs.value), theirs, notes);
  }
  if (Object.hasOwn(SWITCHES, name)) {
    const [header, value] = SWITCHES[name] ?? ["", ""];
    return isOn(theirs, notes, "headers.response") ? response(header, value, theirs, notes) : {};
  }
  if (Object.hasOwn(CORS, name)) {
    const list = splitList(theirs.value).map(toText);
    const setting = CORS[name];
    if (setting !== undefined && !list.includes(undefined) && list.length > 0) {
      return { [setting]: toList(list.filter((each) => each !== undefined)) };
    }
    notes.warn(theirs, "it is no list of words", "cors");
    return {};
  }
  switch (name) {
    case "stsseconds":
      return readSts(theirs, options, notes);
    case "sslredirect":
      return isOn(theirs, notes, "redirect") ? redirect(options) : {};
    case "accesscontrolallowcredentials":
      return isOn(theirs, notes, "cors") ? { "cors.credentials": "true" } : {};
    case "accesscontrolmaxage": {
      const seconds = toCount(theirs.value);
      if (seconds !== undefined) return { "cors.maxage": `${seconds}s` };
      notes.warn(theirs, "it is no number of seconds", "cors");
      return {};
    }
    default:
      if (SILENT.has(name)) return {};
      if (name === "allowedhosts") {
        notes.warn(theirs, "it is not known, so nobody gets in", "host");
        return {};
      }
      if (name.startsWith("accesscontrol")) notes.warn(theirs, "it is not known", "cors");
      else notes.warn(theirs, "it is not known", "headers.request", "headers.response");
      return {};
  }
}

function redirect(options: Options): Settings {
  const temporary = toSwitch(options.get("ssltemporaryredirect")?.value ?? "") ?? false;
  return { redirect: "https", "redirect.code": temporary ? "307" : "308" };
}

/** A header that the user names. */
function readCustom(
  side: "request" | "response",
  written: string,
  theirs: Theirs,
  notes: Notes,
): Settings {
  const header = toHeaderName(written);
  const value = toText(theirs.value);
  if (header !== undefined && value !== undefined) return { [`headers.${side}.${header}`]: value };
  // It may well be a password for the application.
  notes.warnSecret(theirs, "it is no header with a value of one line", `headers.${side}`);
  return {};
}

function response(
  header: string,
  value: string | undefined,
  theirs: Theirs,
  notes: Notes,
): Settings {
  if (value !== undefined) return { [`headers.response.${header}`]: value };
  notes.warn(theirs, "it is no value of one line", "headers.response");
  return {};
}

function isOn(theirs: Theirs, notes: Notes, ours: NamedLabel): boolean {
  const wanted = toSwitch(theirs.value);
  if (wanted === undefined) notes.warn(theirs, "it is neither true nor false", ours);
  return wanted ?? false;
}

function readSts(theirs: Theirs, options: Options, notes: Notes): Settings {
  if (theirs.value.trim() === "0") return {};
  const seconds = toCount(theirs.value);
  const has = (name: string): boolean => toSwitch(options.get(name)?.value ?? "") ?? false;
  const parts = [
    `max-age=${seconds}`,
    ...(has("stsincludesubdomains") ? ["includeSubDomains"] : []),
    ...(has("stspreload") ? ["preload"] : []),
  ];
  const settings = toHsts(parts.join("; "));
  if (settings === undefined) notes.warn(theirs, "it is no number of seconds", "hsts");
  return settings ?? {};
}
