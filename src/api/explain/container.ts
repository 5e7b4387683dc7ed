// Explains a container: every decision about it, its routes, and how HAProxy has it.

import { ANY_NAME, keyOf, reachedName } from "../../lib/places.ts";
import type { Container, Model, Reach, Route, Service, Snapshot } from "../../model.ts";
import { isSecured, NO_CHOICE, type CertificateChoice } from "../../routing/certificates.ts";
import { createContainerRouter } from "../../routing/container.ts";
import type { Intent } from "../../routing/intent.ts";
import type { RoutingOptions } from "../../routing/routing.ts";
import { byAge } from "../../routing/standing.ts";
import { differences } from "../../routing/settings/profile.ts";
import type { Https } from "../certificates.ts";
import { explainHosts } from "./https.ts";
import { askedOf, describeStats, explainAnswers, type Line } from "./line.ts";
import type { Known } from "./seen.ts";
import { createNamer } from "./theirs.ts";
import { whyClosed } from "./url.ts";

/** So many routes of a service are explained by an example. */
const EXAMPLES = 5;

/**
 * Tells the decisions about a container in their order. The container may have stopped.
 * @param https what is known of HTTPS; undefined: it is not told of
 */
export function explainContainer(
  container: Container,
  snapshot: Snapshot,
  reach: Reach,
  options: RoutingOptions,
  model: Model,
  https?: Https,
): Line[] {
  const { id, name, image } = container;
  const title = { about: "container", text: `${name} (${id.slice(0, 12)}), image ${image}` };
  const named = createNamer(container, options);
  const decisions: Line[] = [];
  const decision = createContainerRouter(snapshot, reach, options, (tell) => {
    decisions.push(...tell().map(named));
  })(container);
  const route = createContainerRouter(snapshot, reach, options);
  if ("reason" in decision) {
    return [title, ...decisions, { about: "not routed", text: decision.reason }];
  }
  const rejection = model.rejections.find((each) => each.id === id);
  if (rejection !== undefined) {
    return [title, ...decisions, { about: "not routed", text: rejection.reason }];
  }
  const served = [decision, ...decision.branches].flatMap(({ intent }) => {
    const service = model.services.find((each) => each.name === intent.service.value);
    return service === undefined ? [] : { intent, service };
  });
  if (served.length === 0) return [title, ...decisions];
  return [
    title,
    ...decisions,
    ...served.flatMap(({ intent, service }) => explainDifferences(intent, service)),
    ...served.flatMap(({ service }) => explainShare(container, service, snapshot, route)),
    ...served.flatMap(({ service: { fileProblems = [] } }) =>
      fileProblems.map((text) => ({ about: "warning", text: `label ${text}` })),
    ),
    ...served.flatMap(({ service }) =>
      service.routes.map((each) => explainRoute(each, service, https?.shown ?? NO_CHOICE)),
    ),
    ...(https === undefined
      ? []
      : explainHosts(
          served.map(({ service }) => service),
          https,
          Date.now(),
        )),
    ...model.refusals
      .filter(({ ids }) => ids.includes(id))
      .map(({ reason }) => ({ about: "refused", text: reason })),
    ...decision.intent.warnings.map((text) => ({ about: "warning", text })),
    ...served
      .flatMap(({ intent, service }) => examplesOf(service, intent, https?.shown ?? NO_CHOICE))
      .map(named),
  ];
}

/**
 * Tells what HAProxy says about the servers of a container.
 * @param known of all servers that HAProxy has
 */
export function explainServers(
  { id }: Container,
  { servers, oddities }: Known,
  model: Model,
  labelPrefix: string,
): Line[] {
  const services = new Map(
    model.services.flatMap((service) =>
      service.servers
        .filter((server) => server.id === id)
        .map((server) => [server.name, service] as const),
    ),
  );
  const wanted = [...services.keys()];
  const own = servers
    .filter(({ name }) => isServerOf(name, id))
    // The server of the preferred port comes first.
    .toSorted((a, b) => wanted.indexOf(a.name) - wanted.indexOf(b.name));
  if (own.length === 0 && wanted.length > 0) {
    return [{ about: "haproxy", text: "has no server of it (yet): is the gateway running?" }];
  }
  return own.flatMap((server): Line[] => {
    const before = partOf(server.name);
    return [
      {
        about: "haproxy",
        text: before + describeStats(server, askedOf(services.get(server.name), labelPrefix)),
      },
      ...explainAnswers(server.name, `${before}it`, oddities, labelPrefix),
    ];
  });
}

/** Whether a server's name is that of a container with this ID: see `serverName` in src/routing. */
function isServerOf(name: string, id: string): boolean {
  return name.split(":")[0] === id.slice(0, 12);
}

/** Which of a container's servers it is, by its name; empty if it has only one. */
function partOf(name: string): string {
  const [, first = "", route = "", port = first === "route" ? "" : first] = name.split(":");
  const part = [
    ...(route === "" ? [] : [`route ${route}`]),
    ...(port === "" ? [] : [`port ${port}`]),
  ].join(", ");
  return part === "" ? "" : `${part}: `;
}

/** Which settings of a container do not count, as its service has others. */
function explainDifferences({ settings }: Intent, service: Service): Line[] {
  return differences(settings, service.settings).map((key) => {
    const value = service.settings[key];
    const has = value === undefined ? `without ${key}` : `with ${key}=${value}`;
    return {
      about: "setting",
      text: `it is served ${has}, as the oldest container of the service has it`,
    };
  });
}

/** How much the containers of a service get together that have a label for a share, if there are several. */
function explainShare(
  { id }: Container,
  { servers, waiting }: Service,
  { containers }: Snapshot,
  route: ReturnType<typeof createContainerRouter>,
): Line[] {
  const ids = new Set([...servers, ...waiting].map((each) => each.id));
  const members = containers
    .filter((each) => ids.has(each.id))
    .map(route)
    .filter((each) => "intent" in each)
    .filter(({ intent }) => intent.server.split !== undefined)
    .toSorted(byAge);
  const [first] = members;
  if (first === undefined || members.length === 1) return [];
  if (!members.some(({ container }) => container.id === id)) return [];
  const text =
    `split=${first.intent.server.split}% is what ${members.length} containers get together, as ` +
    `${first.container.name} says, the oldest of them`;
  return [{ about: "setting", text }];
}

function explainRoute(own: Route, { backend, servers }: Service, shown: CertificateChoice): Line {
  const count = new Set(servers.map(({ id }) => id)).size;
  const shared = count > 1 ? `, shared by ${count} containers` : "";
  return {
    about: "route",
    text: `${reachedName(own, isSecured(own.host, shown))} -> backend ${backend}${shared}`,
  };
}

/**
 * What becomes of a request for each route. Of many, only the first ones and the number of the others.
 * @param intent what the container itself asks for
 */
function examplesOf({ routes }: Service, intent: Intent, shown: CertificateChoice): Line[] {
  const more = routes.length - EXAMPLES;
  return [
    ...routes.slice(0, EXAMPLES).map((each) => exampleOf(each, intent, shown)),
    ...(more <= 0 ? [] : [{ about: "request", text: `and so on for ${more} more` }]),
  ];
}

function exampleOf(route: Route, { routes }: Intent, shown: CertificateChoice): Line {
  const { host, path, strip, rewrite, key, tcp } = route;
  if (route.rules.closed !== "") return { about: "answer", text: whyClosed(route) };
  if (tcp !== undefined) {
    const others = host === ANY_NAME ? "any name that nobody else has" : `the name ${host}`;
    const named = host === "" ? "" : ` that asks for ${others} by TLS`;
    return { about: "request", text: `each to port ${tcp}${named} goes there, byte by byte` };
  }
  const scheme = host !== "" && isSecured(host, shown) ? "https" : "http";
  const url = `${scheme}://${host || "HOST"}${path === "/" ? "" : path}/x`;
  if (path === "/" && rewrite === "") return { about: "request", text: `${url} goes there as /x` };
  const sent = strip ? `${rewrite}/x` : `${path}/x`;
  const replaced =
    rewrite === "" ? "the prefix is stripped" : `${rewrite} takes its prefix's place`;
  const what = strip ? replaced : "the prefix is left on";
  const wanted = routes.find((each) => keyOf(each) === key)?.treatment;
  const differs = wanted !== undefined && (strip !== wanted.strip || rewrite !== wanted.rewrite);
  const source = wanted === undefined || wanted.source === "" ? "" : `, from ${wanted.source}`;
  const why = differs ? ", as the oldest container of the service has it" : source;
  return { about: "request", text: `${url} goes there as ${sent} (${what}${why})` };
}
