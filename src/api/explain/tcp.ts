// Explains a connection to a port from which bytes are forwarded: its route, and who answers.

import { ANY_NAME, isWildcard, nameOf } from "../../lib/places.ts";
import { isForwarded, type Model, type Route } from "../../model.ts";
import { findTcpRoute } from "../../routing/lookup.ts";
import { describeSettings } from "../../routing/settings/profile.ts";
import { describeRules } from "../../routing/settings/rules.ts";
import type { Line } from "./line.ts";
import type { Seen } from "./seen.ts";
import { whoAnswers } from "./url.ts";

/** `tcp://HOST:PORT`, where the host is also the name that is asked for by TLS. */
const TCP_URL = /^tcp:\/\/([^/:]*|\[[^\]]*\]):(\d{1,5})\/?$/i;

/** Whether a text is such an address. */
export function isTcpUrl(text: string): boolean {
  return TCP_URL.test(text);
}

/**
 * Tells where a connection goes.
 * @param url see `isTcpUrl`
 * @param seen what HAProxy runs
 */
export function explainTcp(url: string, model: Model, seen: Seen, labelPrefix: string): Line[] {
  const [, host = "", text = ""] = TCP_URL.exec(url) ?? [];
  const [name, port] = [host.toLowerCase().replace(/\.$/, ""), Number(text)];
  const services = model.services.filter(isForwarded);
  const routes = services.flatMap((service) => service.routes);
  const title = { about: "url", text: `${host}:${port}` };
  const refused = model.refusals
    .filter(({ route }) => new RegExp(`^tcp port ${port}\\b`).test(route))
    .map(({ reason }) => ({ about: "refused", text: reason }));
  const best = findTcpRoute(routes, port, name);
  const service = services.find((each) => best !== undefined && each.routes.includes(best));
  if (best === undefined || service === undefined) {
    const isOpen = routes.some(({ tcp }) => tcp === port);
    const what = isOpen ? "no service there has that name" : "nothing is forwarded from that port";
    return [
      title,
      { about: "answer", text: `closed: ${what}` },
      { about: "served", text: routes.map(nameOf).join(", ") || "nothing" },
      ...refused,
    ];
  }
  const { servers, silent } = whoAnswers(service, seen, labelPrefix);
  const settings = [
    ...describeSettings(service.name, service.settings, labelPrefix),
    ...describeRules(best.rules),
  ];
  return [
    title,
    { about: "route", text: `${nameOf(best)}, ${whyBest(best)}` },
    ...refused,
    ...settings.map((each) => ({ about: "setting", text: each })),
    ...(servers.length > 0
      ? servers
      : [{ about: "answer", text: "closed: no container of it can be used now" }]),
    ...silent,
  ];
}

/** Why a route is the one of a connection. */
function whyBest({ host }: Route): string {
  if (host === "") return "whatever name is asked for";
  if (host === ANY_NAME) return "as no service there has that name";
  return isWildcard(host)
    ? "the longest wildcard of that name"
    : "that very name, asked for by TLS";
}
