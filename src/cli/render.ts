// `docker-api-gateway render`: prints the configuration for what runs now, and writes nothing.

import { createTwoFilesPatch } from "diff";
import { textsOf } from "../api/files.ts";
import { GatewayError } from "../lib/errors.ts";
import { ASK_FLAGS, askedGateway } from "./asked-gateway.ts";
import type { Command } from "./command.ts";
import { findTaken } from "../gateway/tcp-ports.ts";
import type { Logger } from "../lib/log.ts";
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
    ...ASK_FLAGS,
    ...GATEWAY_FLAGS,
  },
  examples: [
    ["docker-api-gateway render", "the configuration and its map files"],
    ["docker-api-gateway render --diff", "what would change against the output file"],
  ],
  async run(words, io) {
    const { diff, gateway: _, ...raw } = words.values;
    const options = parseOptions(raw);
    const gateway = await askedGateway(words, io);
    if (gateway !== undefined) {
      const { applied, desired, differs } = await gateway.config();
      if (desired === null)
        throw new GatewayError(
          "docker",
          "Cannot render: the gateway has not read Docker's containers yet",
        );
      io.write(
        diff === true ? (differs ? difference(applied ?? {}, desired) : "") : whole(desired),
      );
      return diff === true && differs ? DIFFERS : 0;
    }
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
  const { engines, files, settings } = setup;
  try {
    const snapshot = await engines.readOnce(log);
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
        ? difference(
            onDisk === undefined ? {} : textsOf(files.output, onDisk),
            textsOf(files.output, desired.files),
          )
        : ""
      : whole(textsOf(files.output, desired.files));
    return { text, differs };
  } finally {
    engines.close();
  }
}

/** The text of each file by its path, the configuration first. */
type Texts = Readonly<Record<string, string>>;

function whole(files: Texts): string {
  return Object.entries(files)
    .map(([path, text]) => `# ${path}\n${text}`)
    .join("\n");
}

function difference(before: Texts, after: Texts): string {
  return Object.keys({ ...before, ...after })
    .map((path) => [path, before[path] ?? "", after[path] ?? ""] as const)
    .filter(([, one, other]) => one !== other)
    .map(([path, one, other]) => createTwoFilesPatch(path, path, one, other, "now", "then"))
    .join("");
}
