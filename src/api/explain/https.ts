// Explains which certificate clients see for a host, and why; and whether they are sent to HTTPS.

import { formatDay, formatDuration } from "../../lib/text.ts";
import { isForwarded, type Certificate, type Service } from "../../model.ts";
import { isSecured } from "../../routing/certificates.ts";
import { hostsOf, shownFor, type Https, type Match } from "../certificates.ts";
import type { Line } from "./line.ts";

/** A URL, as far as HTTPS is concerned. */
interface Asked {
  readonly isHttps: boolean;
  /** In lower case, without a port; empty: any. */
  readonly host: string;
  /** With the query. */
  readonly path: string;
  /** Whether a label of its route says that it is served without TLS, too. */
  readonly isPlain: boolean;
}

/** What HTTPS does with a request. */
export interface HttpsExplanation {
  readonly lines: readonly Line[];
  /** Whether there is no connection, so that nothing is answered. */
  readonly isClosed: boolean;
}

/** What authorities ask for is never sent to HTTPS: see `templates/to-https.hbs`. */
const CHALLENGES = "/.well-known/acme-challenge/";

/** Tells which certificate is shown, or where the request is sent. @param now in milliseconds since 1970 */
export function explainHttps(asked: Asked, https: Https, now: number): HttpsExplanation {
  const { isHttps, host, path, isPlain } = asked;
  const { options, shown } = https;
  if (options === undefined) {
    const text =
      "not served (--certs or --acme begins it); what a proxy in front takes TLS off goes on:";
    return { lines: isHttps ? [{ about: "https", text }] : [], isClosed: false };
  }
  if (host === "") return { lines: [], isClosed: false };
  const isSent = options.redirect && !isPlain && isSecured(host, shown);
  if (!isHttps) {
    if (!isSent || path.startsWith(CHALLENGES)) return { lines: [], isClosed: false };
    const to = `https://${host}${portOf(options.listen)}${path}`;
    const text = `308, to ${to}; what is asked for there goes on:`;
    return {
      lines: [...explainHost(host, https, now), { about: "answer", text }],
      isClosed: false,
    };
  }
  if (shownFor(host, https).match === "none") {
    const { lines } = closed("no certificate is for that name, and --strict-sni refuses such");
    return { lines: [...lines, ...explainAuthority(host, https, now)], isClosed: true };
  }
  const how = isSent
    ? "is sent here with 308"
    : !options.redirect
      ? "is served, too (--no-redirect)"
      : isPlain
        ? "is served, too, as its label redirect=none says"
        : "is served, too: only a host with a valid certificate is sent here";
  return {
    lines: [...explainHost(host, https, now), { about: "http", text: how }],
    isClosed: false,
  };
}

function closed(why: string): HttpsExplanation {
  return { lines: [{ about: "answer", text: `no connection: ${why}` }], isClosed: true };
}

/** Tells for each host of a container's services which certificate is shown. */
export function explainHosts(services: readonly Service[], https: Https, now: number): Line[] {
  if (https.options === undefined) return [];
  return hostsOf(services.filter((service) => !isForwarded(service))).flatMap((host) =>
    explainHost(host, https, now, `${host}: `),
  );
}

/** The certificates of a host, and what the authority does. @param before stands before each */
function explainHost(host: string, https: Https, now: number, before = ""): Line[] {
  const { match, certificates } = shownFor(host, https);
  return [
    ...certificates.map((certificate) => {
      return { about: "certificate", text: before + describe(host, certificate, match) };
    }),
    ...explainAuthority(host, https, now, before),
  ];
}

function explainAuthority(host: string, https: Https, now: number, before = ""): Line[] {
  const state = https.states.find(({ name }) => name === host);
  if (state === undefined || https.authority === undefined) return [];
  const { underway, nextTry, reason, state: how } = state;
  const by = https.authority.host;
  const tell = (text: string): Line[] => [{ about: "acme", text: before + text }];
  if (underway) return tell(`${by} is asked for one now`);
  if (nextTry === undefined) return tell(`${by} is not asked for one: ${reason}`);
  const when = `in ${formatDuration(Math.max(1, (nextTry - now) / 1_000))}`;
  if (reason !== "") return tell(`${by} is asked again ${when}: ${reason}`);
  return tell(
    how === "served" ? `${by} is asked for the next one ${when}` : `${by} is asked ${when}`,
  );
}

const WHY: Readonly<Record<Match, (name: string) => string>> = {
  exact: () => "it is for that very name",
  wildcard: (name) => `its ${name.replace(/^[^.]*/, "*")} is for that name`,
  default: () => "the default one, as none is for that name: clients refuse it",
  none: () => "",
};

function describe(host: string, certificate: Certificate | undefined, match: Match): string {
  if (certificate === undefined) {
    return "none is for that name, so one that the gateway signs itself is shown: clients refuse it";
  }
  const { source, kind, issuer, names, notAfter, expired } = certificate;
  const until = formatDay(notAfter);
  const own = expired ? "not valid now: clients refuse it" : WHY[match](host);
  return `${source} (${kind}), for ${names.join(", ")}, by ${issuer}, until ${until}: ${own}`;
}

/** What stands behind the host in a URL: see `template/tls.ts`. */
function portOf([first = ""]: readonly string[]): string {
  const port = first.slice(first.lastIndexOf(":"));
  return port === ":443" ? "" : port;
}
