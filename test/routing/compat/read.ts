// What a container's labels and variables are translated to, in short.

import { translate, type Compat } from "../../../src/routing/compat/compat.ts";

export type Texts = Readonly<Record<string, string>>;

/** Our labels for those of a container with the name `web`. */
export function labelsOf(labels: Texts, environment: Texts = {}, compat: Compat = "all"): Texts {
  return translate({ name: "web", labels, environment }, compat)?.labels ?? {};
}

export function warningsOf(labels: Texts, environment: Texts = {}): readonly string[] {
  return translate({ name: "web", labels, environment }, "all")?.warnings ?? [];
}

export const BCRYPT = "$2y$10$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG";
export const EVERYBODY = "0.0.0.0/0,::/0";
