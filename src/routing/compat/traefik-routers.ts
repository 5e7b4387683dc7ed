// Translates Traefik's HTTP routers, with their services and middlewares.

import type { Notes, Theirs } from "./notes.ts";
import { CLOSE, CLOSED, MOST_DRAFTS, withSettings, type Draft, type Step } from "./routes.ts";
import type { Options, TraefikLabels } from "./traefik-labels.ts";
import { Middlewares } from "./traefik-middlewares.ts";
import { byPriority, priorityOf, type RouterDrafts } from "./traefik-priority.ts";
import { parseRule } from "./traefik-rule.ts";
import { readHttpService, weightOf } from "./traefik-services.ts";
import type { Subject, Translated } from "./subject.ts";
import { toServiceName, type ContainerSettings, type Settings } from "./vocabulary.ts";
import { splitList } from "./values.ts";

/** Traefik's usual names of its listeners for everybody. */
const PUBLIC = new Set(["web", "websecure", "web-secure", "http", "https"]);
/** Words in the names of listeners for some. `traefik` is that of its own pages. */
const PRIVATE = new Set(
  "admin dashboard internal intern intranet lan local localhost management metrics private traefik vpn".split(
    " ",
  ),
);

/** What Traefik calls the service of a container whose labels name none. */
export function defaultServiceOf({ name, service, project }: Subject): string {
  return service === undefined || project === undefined ? name : `${service}-${project}`;
}

/** The service that a router names; undefined if it names none. */
function serviceNameOf(router: Options | undefined): string | undefined {
  const name = router?.get("service")?.value.trim().toLowerCase();
  return name?.replace(/@docker$/, "");
}

/** Whether the name of a listener says that it is only for some. */
function isPrivate(listener: string): boolean {
  return listener
    .toLowerCase()
    .split(/[^a-z]+/)
    .some((word) => PRIVATE.has(word));
}

/** Reads the routers, services and middlewares of HTTP. */
export class HttpReader {
  readonly #subject: Subject;
  readonly #labels: TraefikLabels["http"];
  readonly #notes: Notes;
  readonly #middlewares: Middlewares;
  readonly #services: ReadonlyMap<string, Settings>;
  /** Whether a rule is not understood whose router protects. */
  #isClosed = false;

  constructor(subject: Subject, { http }: TraefikLabels, notes: Notes) {
    this.#subject = subject;
    this.#labels = http;
    this.#notes = notes;
    this.#middlewares = new Middlewares(http.middlewares, notes);
    this.#services = new Map(
      [...http.services].map(([name, options]) => [name, readHttpService(options, notes)]),
    );
  }

  read(container: ContainerSettings): Translated {
    const { routers, services } = this.#labels;
    if (routers.size === 0) return this.#withoutRouters(container);
    const read = [...routers].flatMap(([name, options]) => this.#router(name, options));
    const ruleless = read.find(({ rule }) => rule.label === "");
    if (ruleless !== undefined && read.length === 1) {
      // Its rule is Traefik's own default; the path of the image takes its place.
      const { settings } = ruleless.drafts[0] ?? { settings: {} };
      return { container: { ...container, ...settings }, drafts: [] };
    }
    const drafts = byPriority(
      read.filter(({ rule }) => rule.label !== ""),
      this.#notes,
    );
    if (this.#isClosed || drafts.length === 0) {
      this.#notes.warnOfAll("what Traefik would serve of it is not understood, so it is left out");
      const closed = this.#isClosed ? CLOSED : {};
      return { container: { ...container, enable: "false", ...closed }, drafts: [] };
    }
    const named = serviceNameOf(routers.get(drafts[0]?.name ?? "")) ?? [...services.keys()][0];
    const weight = [...services.values()].map(weightOf).find((each) => each !== undefined);
    return {
      container: {
        ...container,
        service: toServiceName(named ?? defaultServiceOf(this.#subject)),
        ...(weight === undefined ? {} : { weight }),
      },
      drafts,
    };
  }

  /** The labels of the service of a router: the one that it names, or else the only one. */
  #serviceOptions(router: Options): Options | undefined {
    const { services } = this.#labels;
    const name = serviceNameOf(router);
    if (name !== undefined) return services.get(name);
    return services.size === 1 ? [...services.values()][0] : undefined;
  }

  /** Of what says by other means than a middleware who gets in, and is not understood. */
  #guards(options: Options): readonly Step[] {
    const tls = options.get("tls.options");
    if (tls !== undefined && !/^\s*default(@.*)?$/i.test(tls.value)) {
      // They may ask for certificates of clients.
      this.#notes.warn(tls, "it is not known and may protect, so nobody gets in", "auth", "allow");
      return [CLOSE];
    }
    const entry = options.get("entrypoints");
    if (entry === undefined || !splitList(entry.value).every(isPrivate)) return [];
    const what = "by its name it is not for everybody, so nobody gets in";
    this.#notes.warn(entry, what, "auth", "allow");
    return [CLOSE];
  }

  #withoutRouters(container: ContainerSettings): Translated {
    const [settings, ...others] = this.#services.values();
    if (others.length > 0) {
      this.#notes.warnOfAll("Traefik serves none of its services, as no router names one");
      return { container: { ...container, enable: "false" }, drafts: [] };
    }
    return { container: { ...container, ...settings }, drafts: [] };
  }

  #router(name: string, options: Options): readonly RouterDrafts[] {
    // Those of the service come after those of the router.
    const steps = [
      ...this.#middlewares.stepsOf(options.get("middlewares")),
      ...this.#middlewares.stepsOf(this.#serviceOptions(options)?.get("middlewares")),
      ...this.#guards(options),
    ];
    for (const [option, theirs] of options) this.#warnOfOption(option, theirs);
    const protects = steps.some((step) => step.protects === true);
    const redirects = steps.length > 0 && steps.every((step) => step.redirects === true);
    const settings = this.#settingsOf(options, redirects);
    if (settings === undefined) return [];
    const rule = options.get("rule");
    const start = (pairs: readonly Omit<Draft, "name" | "target" | "settings">[]) =>
      pairs.map((pair) => ({ ...pair, name, target: pair.path, settings }));
    if (rule === undefined) {
      const drafts = this.#applied(steps, start([{ host: "", path: "/" }]), options);
      const [any] = options.values();
      if (any !== undefined) {
        this.#notes.warn(
          any,
          "its router has no rule, and Traefik's own is not known",
          "host",
          "path",
        );
      }
      const none = { label: "", value: "" };
      const listeners = new Set<string>();
      return [{ name, rule: none, priority: 0, listeners, protects, redirects, drafts }];
    }
    const read = parseRule(rule.value);
    const lost = "reason" in read ? [read.reason] : read.lost;
    if (lost.length > 0) {
      this.#isClosed ||= protects;
      const what = `not understood: ${lost.join(", ")}`;
      const effect = protects ? ", and as its router protects, nobody gets in" : "";
      this.#notes.warn(rule, what + effect, "host", "path");
    }
    if ("reason" in read) return [];
    if (read.pairs.some(({ exact }) => exact)) {
      this.#notes.warn(rule, "all below its Path is served too", "path");
    }
    const drafts = this.#applied(steps, start(read.pairs), options);
    return [
      {
        name,
        rule,
        priority: priorityOf(options),
        listeners: new Set(splitList(options.get("entrypoints")?.value ?? "")),
        protects,
        redirects,
        drafts,
      },
    ];
  }

  #applied(steps: readonly Step[], drafts: readonly Draft[], options: Options): readonly Draft[] {
    let changed = drafts;
    for (const step of steps) {
      changed = step.apply(changed);
      if (changed.length <= MOST_DRAFTS) continue;
      const theirs = options.get("middlewares");
      if (theirs !== undefined) {
        this.#notes.warn(theirs, "they make too many routes, so nobody gets in", "path");
      }
      return withSettings(drafts, CLOSED);
    }
    return changed;
  }

  /** The settings of the service of a router; undefined if it is none of this container. */
  #settingsOf(options: Options, redirects: boolean): Settings | undefined {
    const theirs = options.get("service");
    if (theirs === undefined) {
      const [settings = {}, ...others] = this.#services.values();
      if (others.length === 0 || redirects) return others.length === 0 ? settings : {};
      const [any] = options.values();
      if (any !== undefined) {
        const what = "its router names none of the several services, so Traefik does not serve it";
        this.#notes.warn(any, what, "port");
      }
      return undefined;
    }
    const own = this.#services.get(serviceNameOf(options) ?? "");
    if (own !== undefined) return own;
    // A router that only sends requests elsewhere needs a service, but never uses it.
    if (redirects) return {};
    this.#notes.warn(
      theirs,
      "it is no service of this container, so its router is left out",
      "service",
    );
    return undefined;
  }

  #warnOfOption(option: string, theirs: Theirs): void {
    if (option === "priority") {
      if (/^\s*-?0*\s*$/.test(theirs.value)) return;
      this.#notes.warn(theirs, "here the more exact host wins, and then the longer path");
    } else if (option === "entrypoints") {
      const others = splitList(theirs.value).filter((each) => !PUBLIC.has(each.toLowerCase()));
      if (others.length > 0)
        this.#notes.warn(theirs, "it is served on all that the gateway listens on");
    } else if (!/^(rule|rulesyntax|service|middlewares|tls|tls\..+)$/.test(option)) {
      this.#notes.warn(theirs, "it is not known");
    }
  }
}
