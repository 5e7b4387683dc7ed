// How long it takes from an event of Docker's until HAProxy has the change.

import { changesSince, type State, type Way } from "../../gateway/state.ts";
import { Histogram, labelText, type Sample } from "../../lib/prometheus.ts";

/** In seconds. A change takes milliseconds while HAProxy runs, a reload up to `--wait`, a retry longer. */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const WAYS: readonly Way["how"][] = ["none", "runtime", "reload"];

export class Latency {
  readonly #byWay = new Map(WAYS.map((how) => [how, new Histogram(BOUNDS)]));

  /** Notes the changes that came with a state. */
  note(state: State, before: State): void {
    for (const change of changesSince(before, state)) {
      if (!("ms" in change) || change.event === "reload") continue;
      if (change.ms === undefined || change.way === undefined) continue;
      this.#byWay.get(change.way.how)?.observe(change.ms / 1000);
    }
  }

  samples(): readonly Sample[] {
    return [...this.#byWay].flatMap(([how, each]) => each.samples(labelText({ how })));
  }
}
