// The desired files from what Docker has now, with the newest template that works.

import { makeDesired, type Desired, type Settings } from "./desired.ts";
import type { Logger } from "../lib/log.ts";
import { currentReach } from "./host.ts";
import type { Files, Snapshot } from "../model.ts";
import type { Template } from "../template/compile.ts";
import { Router } from "../routing/routing.ts";
import type { TemplateSlot } from "./template-file.ts";

export class Drafts {
  readonly #router = new Router();
  /** The last files, what they were made of and with. */
  #last: { readonly template: Template; readonly desired: Desired } | undefined;
  /** What templates see as the time: that of the last change, so that time alone is none. */
  #time = new Date();

  constructor(
    private readonly template: TemplateSlot,
    private readonly settings: Settings,
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
    for (const candidate of candidates) {
      let asksForTime = false;
      const time = (): string => {
        asksForTime = true;
        return this.#time.toISOString();
      };
      const last = this.#last?.template === candidate ? this.#last.desired : undefined;
      try {
        const make = (before?: Desired): Desired =>
          makeDesired(snapshot, reach, this.settings, candidate, time, this.#router, before);
        let desired = make(last);
        if (asksForTime && !isKnown(desired.files)) {
          this.#time = new Date();
          desired = make();
        }
        this.#last = { template: candidate, desired };
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
