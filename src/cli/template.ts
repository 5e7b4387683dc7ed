// `docker-api-gateway template`: lists the built-in templates, or prints one.

import type { Command } from "./command.ts";
import { GatewayError } from "../lib/errors.ts";
import { nearest } from "../lib/text.ts";
import { PARTIALS, TEMPLATES } from "../template/built-in.ts";

const NAMES = [...Object.keys(TEMPLATES), ...Object.keys(PARTIALS)];

export const templateCommand: Command = {
  name: "template",
  description: "List the built-in templates, or print one",
  flags: {},
  argument: {
    name: "name",
    description: "which one to print",
    required: false,
    choices: NAMES,
  },
  examples: [
    ["docker-api-gateway template", "the names of all"],
    ["docker-api-gateway template path > my.hbs", "a start for your own"],
  ],
  run({ argument }, io) {
    io.write(showTemplate(argument));
    return 0;
  },
};

/**
 * Returns the text of a template or a part. Without a name, returns the list of all.
 * @throws GatewayError `usage` if there is none with that name
 */
function showTemplate(name: string | undefined): string {
  const all: Readonly<Record<string, string>> = { ...TEMPLATES, ...PARTIALS };
  if (name === undefined) {
    const parts = Object.keys(PARTIALS).map((part) => `${part.padEnd(12)} a part: {{> ${part}}}\n`);
    const wholes = Object.entries(TEMPLATES).map(
      ([template, text]) => `${template.padEnd(12)} ${text.split("\n")[0]?.replace(/^# /, "")}\n`,
    );
    return [...wholes, ...parts].join("");
  }
  const text = Object.hasOwn(all, name) ? all[name] : undefined;
  if (text !== undefined) return text;
  const meant = nearest(name, Object.keys(all));
  throw new GatewayError("usage", `Cannot print template "${name}": there is no such template`, {
    hint:
      meant === undefined ? `there are ${Object.keys(all).join(", ")}` : `did you mean ${meant}?`,
  });
}
