// Translates the middlewares that send requests to another scheme or host.

import type { Notes } from "./notes.ts";
import type { Draft, Step } from "./routes.ts";
import type { Options } from "./traefik-labels.ts";
import { toHost, toSwitch } from "./values.ts";

/** Traefik answers 301 or 302 to a GET, and what keeps the method to all else; these always do. */
const PERMANENT = "308";
const TEMPORARY = "307";

const NOTHING: Step = { apply: (drafts) => drafts };

function codeOf(options: Options): string {
  const permanent = toSwitch(options.get("permanent")?.value ?? "false") ?? false;
  return permanent ? PERMANENT : TEMPORARY;
}

/** `redirectscheme`: to https. */
export function readRedirectScheme(options: Options, notes: Notes): Step {
  const theirs = options.get("scheme");
  if (theirs === undefined) return NOTHING;
  if (theirs.value.trim().toLowerCase() !== "https") {
    notes.warn(theirs, "only https is known", "redirect");
    return NOTHING;
  }
  const port = options.get("port");
  if (port !== undefined && port.value.trim() !== "443") {
    notes.warn(port, "only the port 443 is known", "redirect");
  }
  const code = codeOf(options);
  return {
    redirects: true,
    apply: (drafts) =>
      drafts.map((draft) =>
        // One that leads to another host stays: there is only one redirect, and it goes further.
        draft.settings.redirect === undefined ? redirected(draft, "https", code) : draft,
      ),
  };
}

function redirected(draft: Draft, redirect: string, code: string): Draft {
  return { ...draft, settings: { ...draft.settings, redirect, "redirect.code": code } };
}

/** The host that requests for a host are sent to; undefined if they are not. */
type HostChange = (host: string) => string | undefined;

/** `redirectregex`, for the forms by which one host is sent to another with the same path. */
export function readRedirectRegex(options: Options, notes: Notes): Step {
  const regex = options.get("regex");
  const replacement = options.get("replacement");
  if (regex === undefined || replacement === undefined) return NOTHING;
  const change = hostChangeOf(regex.value, replacement.value);
  const code = codeOf(options);
  return {
    redirects: true,
    apply: (drafts) => {
      const isKnown = drafts.every(({ host }) => host !== "" && !host.startsWith("*"));
      if (change === undefined || !isKnown) {
        notes.warn(
          regex,
          "only one host sent to another, with the same path, is known",
          "redirect",
        );
        return drafts;
      }
      return drafts.map((draft) => {
        const host = change(draft.host);
        return host === undefined || host === draft.host ? draft : redirected(draft, host, code);
      });
    },
  };
}

/** What is longer is none of the forms. */
const LONGEST_REGEX = 500;
/** All that is after the host, as a group. */
const TAIL = /(?:\/?\(\.[*+]\)|\/\?\(\.\*\)|\(\/\.\*\)\??|\(\?:\/\(\.\*\)\)\?)$/;

function hostChangeOf(regex: string, replacement: string): HostChange | undefined {
  if (regex.length > LONGEST_REGEX || replacement.length > LONGEST_REGEX) return undefined;
  const plain = regex.replaceAll(/\\([./-])/g, "$1").replace(/\$$/, "");
  const body = /^\^?\(?https?\??\)?:\/\/(.+)$/.exec(plain)?.[1];
  // `$1x` would be a group of that name, so only a group at the end may stand without brackets.
  const goal = /^https?:\/\/(.*?)\/?\$(?:\{([12])\}|([12]))$/.exec(replacement);
  if (body === undefined || goal === null) return undefined;
  const [, before = "", braced, bare] = goal;
  const group = Number(braced ?? bare);
  if (/^www\.\(\.[+*]\)$/.test(body) && before === "" && group === 1) {
    return (host) => (host.startsWith("www.") ? host.slice("www.".length) : undefined);
  }
  const [, optional] = /^(\(\?:www\.\)\?|\(www\.\)\?|)\(\.[+*]\)$/.exec(body) ?? [];
  if (optional !== undefined && before === "www.") {
    // The group that holds the host: a group for `www.` comes before it.
    const own = optional.startsWith("(www") ? 2 : 1;
    // Without the optional part, a host with www. would get another one.
    if (group !== own || optional === "") return undefined;
    return (host) => (host.startsWith("www.") ? undefined : `www.${host}`);
  }
  const tail = TAIL.exec(body);
  const from = tail === null ? undefined : toHost(body.slice(0, tail.index));
  const to = toHost(before);
  const isExact = from !== undefined && to !== undefined && !`${from}${to}`.includes("*");
  return isExact && group === 1 ? (host) => (host === from ? to : undefined) : undefined;
}
