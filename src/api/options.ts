// The flags that a gateway runs with, as others may see them: without what may be secret.

import type { GivenOptions } from "./state.ts";
import { splitCommand } from "../lib/command-line.ts";

/** Removes the password of a URL, of commands all but the program, and the key of an account. */
const SHOWN: Readonly<Record<string, (value: string) => string>> = {
  "docker-host": (value) => value.replaceAll(/([a-z]+:\/\/[^/@:]*):[^/@]*@/gi, "$1@"),
  "reload-cmd": (value) => splitCommand(value, "--reload-cmd")[0] ?? "",
  "acme-dns": (value) => splitCommand(value, "--acme-dns")[0] ?? "",
  "acme-eab": (value) => value.replace(/:.*$/, ":"),
};

/** The options that were given, without passwords and keys. Of commands only the program is left. */
export function describeOptions(options: GivenOptions): GivenOptions {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => {
      const shown = Object.hasOwn(SHOWN, name) ? SHOWN[name] : undefined;
      // The only value of a flag that can be repeated is as if it could not.
      const [only, ...others] = Array.isArray(value) ? (value as readonly string[]) : [];
      const told = name === "docker-host" && others.length === 0 ? (only ?? value) : value;
      if (shown === undefined || typeof told === "boolean" || told === undefined)
        return [name, told];
      return [name, typeof told === "string" ? shown(told) : told.map(shown)];
    }),
  );
}
