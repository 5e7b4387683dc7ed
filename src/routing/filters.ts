// Which containers are taken in at all, as `docker ps --filter` says it.

import { ownName, type Container } from "../model.ts";
import { parseImage } from "./image.ts";

/** What is looked at by each filter. Those of one kind are "or", but labels are "and", as with Docker. */
export const FILTER_KEYS = ["label", "name", "id", "network", "ancestor"] as const;

/** One `--filter`. */
export interface Filter {
  readonly key: (typeof FILTER_KEYS)[number];
  readonly value: string;
}

/** Reads `KEY=VALUE`; undefined if it is none of `docker ps` that is known here. */
export function parseFilter(text: string): Filter | undefined {
  const [, word = "", value = ""] = /^\s*([a-z]+)\s*=\s*(.+?)\s*$/.exec(text) ?? [];
  const key = FILTER_KEYS.find((each) => each === word);
  if (key === undefined || (key === "name" && toPattern(value) === undefined)) return undefined;
  return { key, value };
}

/** Why a container is left out, such as `--filter label=web`; undefined if it is taken in. */
export function whyFiltered(container: Container, filters: readonly Filter[]): string | undefined {
  for (const key of FILTER_KEYS) {
    const own = filters.filter((each) => each.key === key);
    if (own.length === 0) continue;
    const failing = own.filter((filter) => !passes(container, filter));
    const isOut = key === "label" ? failing.length > 0 : failing.length === own.length;
    if (isOut) return failing.map(({ value }) => `--filter ${key}=${value}`).join(" and ");
  }
  return undefined;
}

function passes(container: Container, { key, value }: Filter): boolean {
  switch (key) {
    case "label": {
      const equals = value.indexOf("=");
      if (equals < 0) return Object.hasOwn(container.labels, value);
      const name = value.slice(0, equals);
      return container.labels[name] === value.slice(equals + 1);
    }
    case "name":
      // The Engine's own names begin with a slash, and people know that.
      return [ownName(container), `/${ownName(container)}`].some(
        (name) => name === value || toPattern(value)?.test(name) === true,
      );
    case "id":
      return container.id.startsWith(value);
    case "network":
      return container.attachments.some(({ network }) => network === value);
    case "ancestor":
      return container.image === value || container.imageId === value || isOf(container, value);
  }
}

/** Whether an image is of a repository, with the tag if one is given. Docker takes none for `latest`. */
function isOf({ image, imageId }: Container, wanted: string): boolean {
  const [own, other] = [parseImage(image, imageId), parseImage(wanted)];
  if ("reason" in own || "reason" in other) return false;
  return (
    own.domain === other.domain &&
    own.repository === other.repository &&
    (own.tag || "latest") === (other.tag || "latest")
  );
}

/** A name is a pattern, as with Docker; undefined if it is none. */
function toPattern(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}
