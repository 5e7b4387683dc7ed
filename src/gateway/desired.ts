// The desired state: the files that HAProxy should run, made of what Docker has.

import { UnsafeValueError } from "../template/escape.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { sameItems } from "../lib/lists.ts";
import type { Files, Model, Reach, Snapshot } from "../model.ts";
import { createRouter, type Router, type RoutingOptions } from "../routing/routing.ts";
import type { Template } from "../template/compile.ts";
import { toContext, type ContextOptions, type HaproxyContext } from "../template/context.ts";
import { currentReach } from "./host.ts";
import type { TemplateSlot } from "./template-file.ts";

/** Everything that decides the files besides what Docker has. */
export interface DesiredSettings {
  readonly routing: RoutingOptions;
  readonly template: ContextOptions;
  readonly haproxy: HaproxyContext;
  readonly mapPath: (name: string) => string;
}

export interface Desired {
  readonly model: Model;
  readonly files: Files;
}

/** Makes the desired state again and again, with the newest template that works. */
export class DesiredState {
  readonly #router = createRouter();
  /** What was made last, and with which template. */
  #last: { readonly template: Template; readonly desired: Desired } | undefined;
  /** What templates see as the time: that of the last change, so that time alone is none. */
  #time = new Date();

  constructor(
    private readonly template: TemplateSlot,
    private readonly settings: DesiredSettings,
    /** The Engine's host name where it is another machine. */
    private readonly remoteHost: string | undefined,
    private readonly log: Logger,
  ) {}

  /** HAProxy took what was made last. */
  accepted(): void {
    if (this.#last !== undefined) this.template.accepted(this.#last.template);
  }

  /** HAProxy refused what was made last. True where an older template is there to go on with. */
  refused(): boolean {
    return this.#last !== undefined && this.template.refused(this.#last.template);
  }

  /**
   * Makes the files. A template that became broken is complained of, and the one before it used.
   * @param isKnown whether files say what HAProxy runs already, or is about to
   * @throws GatewayError `template` where no template works
   */
  make(snapshot: Snapshot, isKnown: (files: Files) => boolean): Desired {
    try {
      this.template.refresh();
    } catch (error) {
      this.log.failure(error, "the template before it is used on");
    }
    const reach = currentReach(snapshot, this.remoteHost);
    const candidates = this.template.candidates();
    let failure: unknown;
    for (const template of candidates) {
      let asksForTime = false;
      const time = (): string => {
        asksForTime = true;
        return this.#time.toISOString();
      };
      const make = (last?: Desired): Desired =>
        makeDesired(snapshot, reach, this.settings, template, time, this.#router, last);
      try {
        let desired = make(this.#last?.template === template ? this.#last.desired : undefined);
        if (asksForTime && !isKnown(desired.files)) {
          this.#time = new Date();
          desired = make();
        }
        this.#last = { template, desired };
        return desired;
      } catch (error) {
        if (failure === undefined && candidates.length > 1) {
          this.log.failure(error, "the template before it is used on");
        }
        failure = error;
      }
    }
    throw failure;
  }
}

/**
 * Makes the files once. A container with a value that no file can hold is left out, not the others.
 * @param time what a template sees as `Time`
 * @param router one that remembers what it decided last
 * @param last what the same template made last: its files are given again for the same services
 * @throws GatewayError `template` where the template fails
 */
export function makeDesired(
  snapshot: Snapshot,
  reach: Reach,
  settings: DesiredSettings,
  template: Template,
  time: () => string,
  router: Router = createRouter(),
  last?: Desired,
): Desired {
  const excluded: Record<string, string> = {};
  for (;;) {
    const model = router(snapshot, reach, { ...settings.routing, excluded });
    if (last !== undefined && sameItems(last.model.services, model.services)) {
      return { model, files: last.files };
    }
    const context = toContext(model, settings.template, settings.haproxy, time);
    try {
      return { model, files: template.render(context, settings.mapPath) };
    } catch (error) {
      if (!(error instanceof UnsafeValueError)) throw error;
      const { origin, problem } = error;
      if (origin === undefined || excluded[origin.id] !== undefined) {
        throw new GatewayError("template", `Cannot render the template: ${error.message}`, {
          cause: error,
        });
      }
      excluded[origin.id] = `its label ${origin.label} ${problem}`;
    }
  }
}
