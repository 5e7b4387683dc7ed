// `docker-api-gateway render`: prints the configuration for what runs now, and writes nothing.

import { createTwoFilesPatch } from "diff";
import type { Command } from "./command.ts";
import { readOnce } from "../docker/source.ts";
import { digestOf } from "../lib/digest.ts";
import { findTaken } from "../gateway/tcp-ports.ts";
import type { Logger } from "../lib/log.ts";
import { SECRET_KINDS, type Files } from "../model.ts";
import { parseOptions } from "./options.ts";
import { sameFiles } from "../plan/plan.ts";
import { desiredFor, prepare, type Setup } from "./setup.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";

/** The exit status of `--diff` if something would change. */
const DIFFERS = 3;

export const renderCommand: Command = {
  name: "render",
  description: "Print the configuration for what runs now",
  flags: {
    diff: { type: "boolean", description: "print what would change; exit status 3 if anything" },
    ...GATEWAY_FLAGS,
  },
  examples: [
    ["docker-api-gateway render", "the configuration and its map files"],
    ["docker-api-gateway render --diff", "what would change against the output file"],
  ],
  async run({ values }, io) {
    const { diff, ...raw } = values;
    const options = parseOptions(raw);
    const log = io.logger({ ...options.log, level: "warn" });
    const setup = await prepare(options, io.env, log);
    const { text, differs } = await render(setup, log, diff === true);
    io.write(text);
    return diff === true && differs ? DIFFERS : 0;
  },
};

interface Rendered {
  readonly text: string;
  /** Whether applying it would change anything. */
  readonly differs: boolean;
}

/**
 * Renders the configuration for what runs now.
 * @param diff whether the text is the difference to the files on disk instead of the whole files
 * @throws GatewayError
 */
async function render(setup: Setup, log: Logger, diff: boolean): Promise<Rendered> {
  const { client, files, settings } = setup;
  try {
    const snapshot = await readOnce(client, log);
    const first = desiredFor(setup, snapshot);
    const onDisk = await files.read(first.files.assets);
    const { listen } = settings.template;
    const taken = await findTaken(first.model.services, listen, onDisk?.config ?? "");
    const desired =
      Object.keys(taken).length === 0
        ? first
        : desiredFor({ ...setup, settings: { ...settings, tcpPorts: { taken } } }, snapshot);
    const differs = onDisk === undefined || !sameFiles(onDisk, desired.files);
    const text = diff
      ? differs
        ? difference(files.output, onDisk ?? { config: "", assets: {} }, desired.files)
        : ""
      : whole(files.output, desired.files);
    return { text, differs };
  } finally {
    client.transport.close();
  }
}

function whole(output: string, files: Files): string {
  return textsOf(output, files)
    .map(([path, text]) => `# ${path}\n${text}`)
    .join("\n");
}

function difference(output: string, before: Files, after: Files): string {
  const [old, now] = [new Map(textsOf(output, before)), new Map(textsOf(output, after))];
  return [...new Set([...old.keys(), ...now.keys()])]
    .map((path) => [path, old.get(path) ?? "", now.get(path) ?? ""] as const)
    .filter(([, one, other]) => one !== other)
    .map(([path, one, other]) => createTwoFilesPatch(path, path, one, other, "now", "then"))
    .join("");
}

/** The text of each file by its path, the configuration first. */
function textsOf(output: string, { config, assets }: Files): [path: string, text: string][] {
  // Who may run this may not be who may see keys. Whether one differs is all that is told of it.
  const named = Object.entries(assets).map(([path, { kind, text }]): [string, string] => [
    path,
    SECRET_KINDS.includes(kind) ? `# secret (SHA-256 ${digestOf(text)})\n` : text,
  ]);
  return [[output, config], ...named];
}
