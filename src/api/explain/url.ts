// Explains a URL: its route, its path there, and who answers.

import { covers, isWildcard, isWithin, reachedName } from "../../lib/places.ts";
import {
  isForwarded,
  NO_REDIRECT,
  type Model,
  type Route,
  type Server,
  type Service,
} from "../../model.ts";
import { climbs } from "../../routing/climbing.ts";
import { isSecured, NO_CHOICE } from "../../routing/certificates.ts";
import { findRoute } from "../../routing/lookup.ts";
import { inheritedRoutes } from "../../template/wildcards.ts";
import { describeSettings } from "../../routing/settings/profile.ts";
import { describeRules } from "../../routing/settings/rules.ts";
import type { Https } from "../certificates.ts";
import { explainHttps } from "./https.ts";
import { askedOf, describeStats, explainAnswers, type Line } from "./line.ts";
import type { Seen } from "./seen.ts";

/**
 * Tells where a request goes, and with which path.
 * @param url a path, with or without `http://` and a host
 * @param seen what HAProxy runs
 * @param index whether a page at `/` lists the routes, where nothing else is served
 * @param https what is known of HTTPS; undefined: it is not told of
 */
export function explainUrl(
  url: string,
  model: Model,
  seen: Seen,
  labelPrefix: string,
  index = false,
  https?: Https,
): Line[] {
  const { host, path, query, isHttps } = takeApart(url);
  const routed = model.services
    .filter((each) => !isForwarded(each))
    .flatMap((service) => service.routes);
  const keys = new Set([...routed, ...inheritedRoutes(routed)].map(({ key }) => key));
  const all = [...routed, ...seen.routes.filter(({ key }) => !keys.has(key))];
  const refused = model.refusals
    .filter(({ route }) => leadsTo(route, host.toLowerCase(), path))
    .map(({ reason }) => ({ about: "refused", text: reason }));
  const best = findRoute(all, host.toLowerCase(), path);
  const readName = (route: Route): string =>
    reachedName(route, isSecured(route.host, https?.shown ?? NO_CHOICE));
  const isPlain = best?.rules.values["redirect"] === NO_REDIRECT;
  const asked = { isHttps, host: host.toLowerCase(), path: `${path}${query}`, isPlain };
  const secured = https === undefined ? undefined : explainHttps(asked, https, Date.now());
  const head: Line[] = [
    { about: "url", text: `${host}${path}${query}` },
    ...(secured?.lines ?? []),
  ];
  if (secured?.isClosed === true) return head;
  if (best === undefined) {
    const routes = all.map(readName).join(", ") || "nothing";
    if (index && path === "/") {
      const text = "200: the page that lists the routes (--index)";
      return [...head, { about: "answer", text }, { about: "served", text: routes }, ...refused];
    }
    return [
      ...head,
      { about: "answer", text: "403: no route matches it" },
      { about: "served", text: routes },
      ...refused,
    ];
  }
  const found = { about: "route", text: `${readName(best)}, ${whyBest(best)}` };
  const below = path.slice(best.path === "/" ? 0 : best.path.length);
  if ((best.path !== "/" || best.rewrite !== "") && climbs(below)) {
    return [...head, found, { about: "answer", text: "400: by its dots it may leave that prefix" }];
  }
  const service = model.services.find(({ routes }) => routes.includes(best));
  const rest = best.strip ? below : path;
  const sent = `${best.rewrite}${rest.startsWith("/") ? rest : `/${rest}`}`;
  const settings =
    service === undefined
      ? []
      : [
          ...describeSettings(service.name, service.settings, labelPrefix),
          ...(service.fileProblems ?? []).map((text) => `label ${text}`),
        ];
  const lines = [
    ...head,
    found,
    ...refused,
    { about: "sent as", text: `${sent}${query}` },
    ...[...settings, ...describeRules(best.rules)].map((text) => ({ about: "setting", text })),
  ];
  if (best.rules.closed !== "") return [...lines, { about: "answer", text: whyClosed(best) }];
  const { redirect, "redirect.code": code = "307" } = best.rules.values;
  const isThere = redirect === NO_REDIRECT || (redirect === "https" && isHttps);
  if (redirect !== undefined && !isThere) {
    const text = `${code}, to ${redirect} (label ${best.rules.prefix}redirect); what is asked for there goes on:`;
    lines.push({ about: "answer", text });
  }
  const isWaiting = seen.routes.some(({ key, waiting }) => key === best.key && waiting);
  const waits = { about: "answer", text: "waits for a container; 503 if none comes" };
  const { servers, silent, usable } = whoAnswers(service, seen, labelPrefix);
  if (usable === 0) {
    const none = { about: "answer", text: "503: no container of it can be used now" };
    return [...lines, isWaiting ? waits : none, ...silent];
  }
  if (servers.length > 0) return [...lines, ...servers, ...silent];
  const unavailable = { about: "answer", text: "503: no container of it answers" };
  return [...lines, isWaiting ? waits : unavailable, ...silent];
}

/** What everybody is answered at a route that a label keeps somebody out of, and that is not right. */
export function whyClosed({ rules }: Pick<Route, "rules">): string {
  return `503: label ${rules.prefix}${rules.closed} keeps somebody out and is not right, so nobody comes in`;
}

/**
 * Tells to which servers of a service requests go, and to which not.
 * @returns those that answer and those that do not, as lines, and how many of both may be used
 */
export function whoAnswers(
  service: Pick<Service, "name" | "settings" | "servers"> | undefined,
  seen: Seen,
  labelPrefix: string,
): {
  readonly servers: readonly Line[];
  readonly silent: readonly Line[];
  readonly usable: number;
} {
  const usable = (service?.servers ?? []).filter(({ disabled }) => !disabled);
  const down = new Map(
    seen.servers.filter(({ state }) => state === "down").map((each) => [each.name, each]),
  );
  const silent = usable.flatMap((server) => {
    const stats = down.get(server.name);
    if (stats === undefined) return [];
    const how = describeStats(stats, askedOf(service, labelPrefix));
    return [{ about: "not to", text: `${describeServer(server)}, ${how}` }];
  });
  const unused = (service?.servers ?? [])
    .filter(({ disabled }) => disabled)
    .map((server) => ({ about: "not to", text: `${describeServer(server)}, ${server.why}` }));
  const answering = usable.filter(({ name }) => !down.has(name));
  if (answering.length === 0) {
    return { servers: [], silent: [...silent, ...unused], usable: usable.length };
  }
  const to = answering.map(describeServer).join(", or ");
  const odd = answering.flatMap((server) =>
    explainAnswers(server.name, `container ${server.container}`, seen.oddities, labelPrefix),
  );
  return { servers: [{ about: "to", text: to }, ...odd], silent, usable: usable.length };
}

/** Why a route is the one of a request. */
function whyBest({ host }: Route): string {
  if (host === "") return "the longest that matches whole segments";
  return isWildcard(host)
    ? "of the longest wildcard that has one, the longest that matches whole segments"
    : "of that host the longest that matches whole segments";
}

function describeServer({ container, address, port, backup, second }: Server): string {
  const when = second
    ? " (where its first port does not answer)"
    : backup
      ? " (a backup, while no other answers)"
      : "";
  return `${container} at ${address}:${port}${when}`;
}

/** Whether a route leads to a URL. @param route as a person reads it, such as `http://a.org/` */
function leadsTo(route: string, host: string, path: string): boolean {
  const [, itsHost = "", itsPath = ""] = /^(?:http:\/\/([^/]*))?(\/.*)$/.exec(route) ?? [];
  // One of TCP has none.
  if (itsPath === "") return false;
  return (itsHost === "" || covers(itsHost, host)) && isWithin(path, itsPath);
}

/** The parts of a URL as HAProxy sees them: nothing is decoded, and no `..` is resolved. */
function takeApart(url: string): { host: string; path: string; query: string; isHttps: boolean } {
  const [, authority = "", target = "/"] = /^(?:https?:\/\/([^/?#]*))?([^#]*)/i.exec(url) ?? [];
  const [, path = "", query = ""] = /^([^?]*)(\?.*)?$/.exec(target) ?? [];
  const host = authority.replace(/^.*@/, "").replace(/:\d+$/, "").replace(/\.$/, "");
  return { host, path: path === "" ? "/" : path, query, isHttps: /^https:/i.test(url) };
}
