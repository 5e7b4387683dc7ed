// The routes as the page shows them: what the gateway decided, with what HAProxy sees of it. Pure.

/** @typedef {import("./known.js").State} State */
/** @typedef {State["services"][number]} Service */
/** @typedef {State["routes"][number]} Live */
/** @typedef {Live["servers"][number]} LiveServer */

/** `unknown`: HAProxy cannot be asked. @typedef {"up" | "partly" | "waiting" | "down" | "unknown"} Health */

/**
 * A container of a service.
 * @typedef {object} Member
 * @property {string} id
 * @property {string} container its name
 * @property {string} image
 * @property {string} address `address:port`, with several ports if there are candidates; empty: it has no server
 * @property {string} state `up`, `down`, `draining`, `disabled`, `waiting` or `unknown`
 * @property {string} why why it gets no requests; empty: it gets them, or that is not known
 * @property {number | undefined} since how long it is so, in seconds
 * @property {boolean} backup
 */

/**
 * A route.
 * @typedef {object} Row
 * @property {string} route as a person reads it
 * @property {Service} service
 * @property {Service["routes"][number]} place
 * @property {readonly Member[]} members
 * @property {Health} health
 * @property {string} words the health in words
 * @property {string} text what a search looks in, in small letters
 */

/** The first are the worst. @type {readonly Health[]} */
export const HEALTHS = ["down", "waiting", "partly", "unknown", "up"];

/** @param {State} state @returns {readonly Row[]} */
export function rowsOf({ services, routes, haproxy }) {
  const live = new Map(routes.map((each) => [each.backend, each]));
  const isKnown = routes.length > 0 || haproxy.problem === "";
  return services.flatMap((service) => {
    const members = membersOf(service, live.get(service.backend));
    const { health, words } = healthOf(service, members, isKnown);
    const names = members.flatMap(({ container, image }) => [container, image]);
    return service.routes.map((place) => ({
      route: place.route,
      service,
      place,
      members,
      health,
      words,
      text: [place.route, service.name, ...names].join("\n").toLowerCase(),
    }));
  });
}

/**
 * @param {Service} service
 * @param {Live | undefined} live
 * @returns {readonly Member[]}
 */
function membersOf({ servers, waiting }, live) {
  const byName = new Map(live?.servers.map((each) => [each.name, each]));
  const decided = new Set(servers.map(({ name }) => name));
  // A container may have several servers, if it is not known yet which port it answers at.
  const members = [...Map.groupBy(servers, ({ id }) => id).values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const { id, container, image, address, disabled, why, backup } = first;
    const seen = own.flatMap(({ name }) => byName.get(name) ?? []);
    const best = seen.find(({ state }) => state === "up") ?? seen[0];
    return {
      id,
      container,
      image,
      address: `${address}:${own.map(({ port }) => port).join(",")}`,
      state: disabled ? "disabled" : (best?.state ?? "unknown"),
      why: why || (best?.state === "down" ? "it does not answer HAProxy's checks" : ""),
      since: best?.since,
      backup,
    };
  });
  return [
    ...members,
    ...waiting.map(({ id, container, why }) => ({ ...GONE, id, container, state: "waiting", why })),
    ...(live?.servers ?? []).flatMap((server) => leaving(server, decided)),
  ];
}

const GONE = { image: "", address: "", since: undefined, backup: false };

/**
 * What HAProxy still has of a container that is on its way out. One whose name nobody knows is gone already.
 * @param {LiveServer} server
 * @param {ReadonlySet<string>} decided
 * @returns {readonly Member[]}
 */
function leaving({ name, container, address, state, since }, decided) {
  if (decided.has(name) || container === name) return [];
  return [{ ...GONE, id: name, container, address, state, since, why: "it is on its way out" }];
}

/**
 * @param {Service} service
 * @param {readonly Member[]} members
 * @param {boolean} isKnown whether HAProxy can be asked
 * @returns {{ health: Health, words: string }}
 */
function healthOf({ hold }, members, isKnown) {
  if (!isKnown) return { health: "unknown", words: "not known" };
  if (hold === "waiting") return { health: "waiting", words: "requests wait" };
  const up = members.filter(({ state }) => state === "up").length;
  if (hold === "over" || up === 0) return { health: "down", words: "no container answers" };
  if (up < members.length) return { health: "partly", words: `${up} of ${members.length} up` };
  return { health: "up", words: up === 1 ? "up" : `${up} up` };
}
