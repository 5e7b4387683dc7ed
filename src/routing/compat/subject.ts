// What a translation is made of, and what it gives.

import type { Draft } from "./routes.ts";
import type { ContainerSettings, Settings } from "./vocabulary.ts";

/** What is read of a container. */
export interface Subject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** The names of its service and its project in a compose file, if it comes from one. */
  readonly service: string | undefined;
  readonly project: string | undefined;
}

/** What one proxy's labels ask for. */
export interface Translated {
  /** The labels of the container. Without drafts, those of its image's route may be among them. */
  readonly container: ContainerSettings & Settings;
  readonly drafts: readonly Draft[];
}
