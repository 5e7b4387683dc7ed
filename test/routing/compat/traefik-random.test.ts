// Random routers of Traefik beside a model of it: whoever is asked for a password there is asked here.

import { expect, test } from "bun:test";
import { randomNumbers } from "../../lab/make.ts";
import { BCRYPT, labelsOf, type Texts } from "./read.ts";

interface Request {
  readonly host: string;
  readonly path: string;
}

/** A part of a rule, as text and as what it says of a request. */
interface Rule {
  readonly text: string;
  readonly holds: (request: Request) => boolean;
}

interface Router {
  readonly rule: Rule;
  readonly priority: number;
  readonly asks: boolean;
}

const HOSTS = ["a.x", "b.x", "x", "a.b.x", "c.y"];
const PATHS = ["/", "/p", "/p/q", "/p/q/r", "/s"];
const REQUESTS = HOSTS.flatMap((host) => PATHS.map((path) => ({ host, path })));

class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  of<T>(...items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("the list is empty");
    return item;
  }

  rule(depth: number): Rule {
    switch (depth === 0 ? this.below(4) : this.below(8)) {
      case 0:
      case 1:
        return hostRule(this.of("a.x", "b.x", "x", "*.x", "a.b.x"));
      case 2:
      case 3:
        return prefixRule(this.of("/", "/p", "/p/q", "/s"));
      case 4:
      case 5:
      case 6:
        return joined("&&", this.rule(depth - 1), this.rule(depth - 1));
      default:
        return joined("||", this.rule(depth - 1), this.rule(depth - 1));
    }
  }

  router(): Router {
    return {
      rule: this.rule(2),
      priority: this.of(0, 0, 0, 1, 20, 40, 100),
      asks: this.below(2) === 0,
    };
  }
}

function hostRule(name: string): Rule {
  const isWild = name.startsWith("*.");
  return {
    text: `Host(\`${name}\`)`,
    holds: ({ host }) => (isWild ? host.replace(/^[^.]+/, "*") === name : host === name),
  };
}

function prefixRule(prefix: string): Rule {
  const start = prefix === "/" ? "/" : `${prefix}/`;
  return {
    text: `PathPrefix(\`${prefix}\`)`,
    holds: ({ path }) => path === prefix || path.startsWith(start),
  };
}

function joined(sign: "&&" | "||", a: Rule, b: Rule): Rule {
  return {
    text: `(${a.text} ${sign} ${b.text})`,
    holds: (request) =>
      sign === "&&" ? a.holds(request) && b.holds(request) : a.holds(request) || b.holds(request),
  };
}

/** The routers that Traefik may choose: those of the highest priority. Undefined: it has none. */
function chosen(routers: readonly Router[], request: Request): readonly Router[] {
  const matching = routers.filter(({ rule }) => rule.holds(request));
  const weight = ({ priority, rule }: Router) => (priority === 0 ? rule.text.length : priority);
  const most = Math.max(...matching.map(weight));
  return matching.filter((router) => weight(router) === most);
}

function toLabels(routers: readonly Router[]): Texts {
  const entries = routers.flatMap(({ rule, priority, asks }, index) => [
    [`traefik.http.routers.r${index}.rule`, rule.text],
    [`traefik.http.routers.r${index}.priority`, String(priority)],
    ...(asks ? [[`traefik.http.routers.r${index}.middlewares`, "auth"]] : []),
  ]);
  return {
    "traefik.http.middlewares.auth.basicauth.users": `bob:${BCRYPT}`,
    ...Object.fromEntries(entries),
  };
}

interface Route extends Request {
  readonly isGuarded: boolean;
}

function routesOf(labels: Texts): readonly Route[] {
  const prefixes = Object.keys(labels).flatMap((name) => /^(.*?)path$/.exec(name)?.[1] ?? []);
  return prefixes.flatMap((prefix) => {
    const list = (name: string) => (labels[prefix + name] ?? "").split(",");
    const isGuarded = ["auth", "deny"].some((name) => labels[prefix + name] !== undefined);
    return list("path").flatMap((path) => list("host").map((host) => ({ host, path, isGuarded })));
  });
}

/** The route of a request here: the more exact host wins, and then the longer path. */
function routed(routes: readonly Route[], { host, path }: Request): Route | undefined {
  const isOf = (route: Route): boolean =>
    route.host === "" ||
    route.host === host ||
    (route.host.startsWith("*.") && host.endsWith(route.host.slice(1)));
  const exactness = (route: Route): number => (route.host === host ? 1_000 : route.host.length);
  return routes
    .filter(
      (route) =>
        isOf(route) &&
        (route.path === "/" || path === route.path || path.startsWith(`${route.path}/`)),
    )
    .toSorted((a, b) => exactness(b) - exactness(a) || b.path.length - a.path.length)[0];
}

test("nobody gets past a password", () => {
  const seen = { open: 0, guarded: 0, none: 0 };
  for (let seed = 0; seed < 10_000; seed++) {
    const dice = new Dice(seed);
    const routers = Array.from({ length: dice.below(4) + 1 }, () => dice.router());
    const routes = routesOf(labelsOf(toLabels(routers)));
    for (const request of REQUESTS) {
      const there = chosen(routers, request);
      const here = routed(routes, request);
      // A wildcard here is for names of any depth, and there for one more label.
      if (request.host === "a.b.x" && here?.host === "*.x") continue;
      if (there.length > 0 && there.every(({ asks }) => asks) && here?.isGuarded === false) {
        const rules = routers.map(({ rule, priority, asks }) => `${rule.text} ${priority} ${asks}`);
        throw new Error(`seed ${seed}: ${JSON.stringify({ request, rules, here })}`);
      }
      // What Traefik does not serve is not served, and the other way round.
      if (there.length > 0 !== (here !== undefined)) {
        throw new Error(`seed ${seed}: ${JSON.stringify({ request, routers, routes })}`);
      }
      seen[there.length === 0 ? "none" : here?.isGuarded === true ? "guarded" : "open"]++;
    }
  }
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(10_000);
});
