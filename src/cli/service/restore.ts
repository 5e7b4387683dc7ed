// `uninstall` puts back the configuration from before the gateway, or tells where it is.

import { existsSync } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { CommandIo } from "../command.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import { checkConfig } from "../../haproxy/process/check.ts";
import { readIfThere, realPath, syncDirectory, writeDurably } from "../../lib/disk.ts";
import { ExternalHaproxy } from "../../haproxy/process/external.ts";
import { DEFAULT_OUTPUT_FILE, DEFAULT_RELOAD_COMMAND, type Paths } from "../../gateway/paths.ts";
import { lockOutput } from "../../lib/lock.ts";
import type { HaproxyOptions } from "../options.ts";
import { isOwnConfig } from "../../template/compile.ts";
import { forShell, isActive, servicePath, type Step } from "./systemd.ts";

/** HAProxy, and where its configuration is. */
interface Served {
  readonly haproxy: HaproxyOptions;
  readonly paths: Paths;
}

/** The distribution's unit of HAProxy. The default reload command ends with its name. */
const HAPROXY_UNIT = DEFAULT_RELOAD_COMMAND.at(-1) ?? "";

/** @throws GatewayError if there is nothing to restore, or HAProxy would refuse it */
export async function requireFormer({ paths, haproxy }: Served): Promise<void> {
  const refuse = (state: string): GatewayError =>
    new GatewayError("config", `Cannot restore "${paths.output}": ${state}`, {
      hint: "nothing was changed; leave --restore-haproxy out",
    });
  if (paths.managed) throw refuse("HAProxy is the gateway's own");
  if ((await ownConfig(paths.output)) === undefined) return;
  const former = newestCopy(paths.output);
  if (former === undefined) throw refuse("there was none before");
  await checkConfig(servicePath(haproxy.program), former, former);
}

/** The step that puts the former configuration back and removes what the gateway left. */
export function restoreStep({ paths, haproxy }: Served): Step {
  const { output } = paths;
  const { stateFile } = paths.haproxy;
  return {
    what: `give HAProxy its former ${output} back`,
    async run() {
      const unlock = await lockOutput(output);
      try {
        const config = await ownConfig(output);
        const former = newestCopy(output);
        if (config === undefined || former === undefined) {
          // A gateway that was stopped before it wrote a configuration may have left it.
          await rm(stateFile, { force: true });
          return "it is there already";
        }
        const text = await readFile(former, "utf8");
        await replace(output, text, former);
        const outcome = await reload({ paths, haproxy }).catch(async (error: unknown) => {
          await replace(output, config, output);
          throw notReloaded(output, error);
        });
        const all = await withLists(output, config);
        const others = ownFiles(output, all).filter((path) => !text.includes(path));
        for (const path of [...others, stateFile, former]) await rm(path, { force: true });
        // The copies of certificates, which no configuration names.
        await rm(`${stemOf(output)}certificates`, { recursive: true, force: true });
        return outcome;
      } finally {
        unlock();
      }
    },
  };
}

/** Reloads HAProxy. Returns why it did not have to, or undefined. */
async function reload({ paths, haproxy }: Served): Promise<string | undefined> {
  const { masterSocket } = paths;
  const command = haproxy.reloadCommand;
  const defaultCommand = DEFAULT_RELOAD_COMMAND;
  try {
    await new ExternalHaproxy({ command, defaultCommand, masterSocket }).reload();
    return undefined;
  } catch (error) {
    if (command !== undefined || (await isActive(HAPROXY_UNIT))) throw error;
    return "done; HAProxy does not run";
  }
}

function notReloaded(output: string, error: unknown): GatewayError {
  const { code, lines } =
    error instanceof GatewayError ? error : { code: "haproxy" as const, lines: [] };
  return new GatewayError(code, `Cannot restore "${output}": ${errorMessage(error)}`, {
    lines,
    hint: `${output} is as the gateway left it; mend that and repeat, or leave --restore-haproxy out`,
    cause: error,
  });
}

/**
 * Replaces the configuration.
 * @param original the file whose mode and owner it gets
 */
async function replace(output: string, text: string, original: string): Promise<void> {
  // If the path is a link, its target is replaced.
  const path = await realPath(output);
  const staged = join(dirname(path), `.${basename(path)}.new`);
  await writeDurably(staged, text, original);
  await rename(staged, path);
  await syncDirectory(dirname(path));
}

/** The configuration on disk. Undefined if there is none or the gateway did not write it. */
async function ownConfig(output: string): Promise<string | undefined> {
  const config = await readIfThere(output);
  return config !== undefined && isOwnConfig(config) ? config : undefined;
}

/** The newest copy of a configuration that was not the gateway's. It has the highest number. */
function newestCopy(output: string): string | undefined {
  const copy = `${output}.before-docker-api-gateway`;
  if (!existsSync(copy)) return undefined;
  let newest = copy;
  for (let count = 1; existsSync(`${copy}.${count}`); count++) newest = `${copy}.${count}`;
  return newest;
}

/** The files of the built-in templates. Not every configuration names them all. */
const BUILT_IN = [
  "routes.map",
  "wildcards.map",
  "waiting.lua",
  "index.map",
  "index.lua",
  "default.pem",
];

/** The maps, scripts and pages of the gateway's configuration, and the maps and scripts of earlier ones. */
function ownFiles(output: string, config: string): string[] {
  const stem = stemOf(output);
  const files = /[^\s"'(),[\]]+\.(?:map|lua|txt|crt-list|keys|pem)\b/g;
  const named = [...config.matchAll(files)].map(([path]) => path);
  const own = named.filter((path) => path.startsWith(stem));
  return [...new Set([...own, ...BUILT_IN.map((name) => stem + name)])];
}

/** A configuration with the lists of certificates that it names: they name files, too. */
async function withLists(output: string, config: string): Promise<string> {
  const lists = ownFiles(output, config).filter((path) => path.endsWith(".crt-list"));
  const texts = await Promise.all(lists.map((path) => readIfThere(path)));
  return [config, ...texts.filter((text) => text !== undefined)].join("\n");
}

/** What the paths of all files beside a configuration begin with. */
function stemOf(output: string): string {
  return join(dirname(output), basename(output).replace(/\.cfg$/, "."));
}

/** Tells which configuration HAProxy has now, and where the former one is kept. */
export async function tellOfHaproxy({ paths, haproxy }: Served, io: CommandIo): Promise<void> {
  const reloading = forShell(haproxy.reloadCommand ?? ["systemctl", "reload", "haproxy"]);
  // A gateway that runs HAProxy itself may have used the distribution's HAProxy before.
  for (const output of new Set([paths.output, DEFAULT_OUTPUT_FILE])) {
    const former = newestCopy(output);
    if ((await ownConfig(output)) !== undefined) {
      io.write(`HAProxy goes on with ${output} as the gateway left it.\n`);
      if (former === undefined) continue;
      io.write(
        `The one before is ${former}. To have it back:\n` +
          `  cp -p ${former} ${output} && ${reloading}\n`,
      );
    } else if (former !== undefined) {
      io.write(`What ${output} was before the gateway is still kept as ${former}.\n`);
    }
  }
}
