// Containers with labels, each with an app of its own, in a running HAProxy.

import { startApp, type App } from "./app.ts";
import type { HaproxyVersion } from "./haproxy.ts";
import type { RawResponse } from "./http.ts";
import { serviceOf, Site, type ProxyOptions, type Question, type Service } from "./proxy.ts";
import { Running } from "./running.ts";

/** Labels without their prefix. */
export type Labels = Readonly<Record<string, string>>;

/** Containers by the names of their images, which are their paths, too. */
export class Labelled {
  private constructor(
    readonly apps: ReadonlyMap<string, App>,
    readonly site: Site,
    readonly running: Running,
    private labels: Readonly<Record<string, Labels>>,
  ) {}

  static async start(
    version: HaproxyVersion,
    labels: Readonly<Record<string, Labels>>,
    flags: ProxyOptions["flags"] = {},
  ): Promise<Labelled> {
    const apps = new Map<string, App>();
    for (const name of Object.keys(labels)) apps.set(name, await startApp({ name }));
    const site = await Site.make(version, { flags });
    const running = await Running.start(site, site.render(servicesOf(apps, labels)).files);
    return new Labelled(apps, site, running, labels);
  }

  /** Changes the labels of some of them. Returns how HAProxy was brought there. */
  serve(labels: Readonly<Record<string, Labels>>): ReturnType<Running["serve"]> {
    this.labels = { ...this.labels, ...labels };
    return this.running.serve(servicesOf(this.apps, this.labels));
  }

  /** Removes some of them. */
  remove(...names: readonly string[]): ReturnType<Running["serve"]> {
    const left = Object.entries(this.labels).filter(([name]) => !names.includes(name));
    this.labels = Object.fromEntries(left);
    return this.running.serve(servicesOf(this.apps, this.labels));
  }

  /** Asks for a target. @param more headers beside `Host` */
  ask(
    target: string,
    more: Readonly<Record<string, string>> = {},
    question: Question = {},
  ): Promise<RawResponse> {
    return this.site.ask({ target, headers: { Host: "h", ...more }, ...question });
  }

  app(name: string): App {
    const app = this.apps.get(name);
    if (app === undefined) throw new Error(`there is no ${name}`);
    return app;
  }

  /** What the apps have received, as `NAME TARGET`. */
  received(): string[] {
    return [...this.apps].flatMap(([name, { received }]) =>
      received.map(({ target }) => `${name} ${target}`),
    );
  }

  forget(): void {
    for (const app of this.apps.values()) app.forget();
  }

  async stop(): Promise<void> {
    await this.running.stop();
    for (const app of this.apps.values()) await app.stop();
  }
}

function servicesOf(
  apps: ReadonlyMap<string, App>,
  labels: Readonly<Record<string, Labels>>,
): Service[] {
  return [...apps].flatMap(([name, app]): Service[] => {
    const own = labels[name];
    if (own === undefined) return [];
    const all = Object.entries(own).map(([key, text]) => [`gateway.${key}`, text]);
    return [serviceOf(app, { name, labels: Object.fromEntries(all) as Record<string, string> })];
  });
}
