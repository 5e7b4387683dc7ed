// The files that should be: from what Docker has, by way of the model and the template.

import { UnsafeValueError } from "../template/escape.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Files, Model, Reach, Snapshot } from "../model.ts";
import type { Template } from "../template/compile.ts";
import { Router, type RoutingOptions } from "../routing/routing.ts";
import { toContext, type HaproxyContext, type ContextOptions } from "../template/context.ts";

/** Everything that decides the files besides what Docker has. */
export interface Settings {
  readonly routing: RoutingOptions;
  readonly view: ContextOptions;
  readonly haproxy: HaproxyContext;
  readonly mapPath: (name: string) => string;
}

export interface Desired {
  readonly model: Model;
  readonly files: Files;
}

/**
 * Makes the files. A container with a value that no file can hold is left out, not the others.
 * @param time what a template sees as `Time`
 * @param router one that remembers what it decided last
 * @param last what the same template made last: given again where the model is the same
 * @throws GatewayError `template` where the template fails
 */
export function makeDesired(
  snapshot: Snapshot,
  reach: Reach,
  settings: Settings,
  template: Template,
  time: () => string,
  router: Router = new Router(),
  last?: Desired,
): Desired {
  const excluded: Record<string, string> = {};
  for (;;) {
    const model = router.route(snapshot, reach, { ...settings.routing, excluded });
    if (model === last?.model) return last;
    const view = toContext(model, settings.view, settings.haproxy, time);
    try {
      return { model, files: template.render(view, settings.mapPath) };
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
