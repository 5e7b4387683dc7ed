// `docker-api-gateway upgrade`: replaces this program by another release, or goes back.

import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import manifest from "../../../package.json" with { type: "json" };
import type { Command, CommandIo } from "../command.ts";
import { errorMessage, GatewayError } from "../../lib/errors.ts";
import {
  exchangeFiles,
  oldFile,
  ownFile,
  replaceFile,
  requireOld,
  requireReplaceable,
  versionOf,
  withWorkFolder,
} from "./program-file.ts";
import {
  fetchArchive,
  parseReleases,
  parseVersion,
  programName,
  readRelease,
  RELEASES,
  type Download,
  type Release,
} from "./releases.ts";
import { commandOf, isFormerKind, UNIT } from "./unit.ts";
import { forShell, UNIT_FILE } from "./systemd.ts";

/** The version of this program. */
const NOW = manifest.version;
/** The exit status of `--check` if there is a newer release. */
const NEWER = 3;
const ERASE_LINE = "\u001B[K";

export const upgradeCommand: Command = {
  name: "upgrade",
  description: "Replace this program by the newest release, or by another",
  flags: {
    check: {
      type: "boolean",
      description: "only tell whether there is a newer one; exit status 3 if so",
    },
    back: { type: "boolean", description: "return to the program that was in place before" },
    releases: {
      type: "string",
      valueHint: "URL",
      description: `where the releases are (default: ${RELEASES})`,
    },
  },
  argument: {
    name: "version",
    description: "the release to take, older ones too (default: the newest)",
    required: false,
  },
  examples: [
    ["docker-api-gateway upgrade --check", "is there a newer one?"],
    ["docker-api-gateway upgrade", "take the newest"],
    ["docker-api-gateway upgrade --back", "return to the one before"],
  ],
  async run({ values, argument }, io) {
    const asked = argument === undefined ? undefined : parseVersion(argument);
    const releases = parseReleases(String(values["releases"] ?? RELEASES));
    const { check = false, back = false } = values;
    if (back && (check || asked !== undefined)) {
      throw new GatewayError("usage", "Cannot go back: --back takes nothing beside it");
    }
    const { path: file, kind } = ownFile("upgrade");
    const say = (line: string): void => io.write(`${line}\n`);
    if (back) {
      await goBack(file, say);
      return 0;
    }
    // An interrupted download must still remove its files: the signal ends only the download.
    const download: Download = { signal: io.signals().end };
    if (!check) requireReplaceable(file, `${basename(file)} upgrade${asked ? ` ${asked}` : ""}`);
    const release = await readRelease(releases, kind, asked, download);
    const order = Bun.semver.order(release.version, NOW);
    if (check) {
      say(tell(release.version, order));
      return order > 0 ? NEWER : 0;
    }
    if (order === 0 || (order < 0 && asked === undefined)) {
      say(`${tell(release.version, order)}; nothing to do`);
      return 0;
    }
    const { progress, end } = showProgress(io);
    const source = { releases, release, kind };
    await upgrade(file, source, { ...download, progress }, end);
    say(`${file} is ${release.version} now; ${NOW} is kept as ${oldFile(file)}`);
    say(howToRestart());
    say(`To return to ${NOW}: ${basename(file)} upgrade --back`);
    return 0;
  },
};

interface Progress {
  readonly progress: NonNullable<Download["progress"]>;
  readonly end: () => void;
}

interface Source {
  readonly releases: string;
  readonly release: Release;
  readonly kind: string;
}

/** @param fetched called when the download has ended or failed */
async function upgrade(
  file: string,
  { releases, release, kind }: Source,
  download: Download,
  fetched: () => void,
): Promise<void> {
  const { version } = release;
  await withWorkFolder(file, async (work) => {
    const archive = await fetchArchive(releases, release, kind, download).finally(fetched);
    const member = `${programName(version, kind)}/docker-api-gateway`;
    const next = join(work, member);
    await unpack(archive, member, work);
    const said = await versionOf(next);
    if (said !== version) {
      throw new GatewayError("release", `Cannot use release ${version}: it says it is ${said}`, {
        hint: "nothing was changed",
      });
    }
    replaceFile(file, next, work);
  });
}

async function unpack(
  archive: Uint8Array<ArrayBuffer>,
  member: string,
  into: string,
): Promise<void> {
  const count = await new Bun.Archive(archive)
    .extract(into, { glob: member })
    .catch((error: unknown) => {
      throw new GatewayError("release", `Cannot unpack the release: ${errorMessage(error)}`, {
        hint: "is the disk full? nothing was changed",
        cause: error,
      });
    });
  if (count === 1) return;
  throw new GatewayError("release", `Cannot unpack the release: it has no ${member}`, {
    hint: "nothing was changed",
  });
}

async function goBack(file: string, say: (line: string) => void): Promise<void> {
  requireReplaceable(file, `${basename(file)} upgrade --back`);
  requireOld(file);
  const version = await versionOf(oldFile(file));
  await withWorkFolder(file, (work) => exchangeFiles(file, work));
  say(`${file} is ${version} again; ${NOW} is kept as ${oldFile(file)}`);
  say(howToRestart());
}

function howToRestart(): string {
  const goesOn = "A gateway that is running goes on as it is until it is restarted";
  if (!existsSync(UNIT_FILE)) return `${goesOn}.`;
  const unit = readFileSync(UNIT_FILE, "utf8");
  if (!isFormerKind(unit)) return `${goesOn}: systemctl restart ${UNIT}`;
  const [program = "", ...flags] = commandOf(unit);
  return (
    `${goesOn}. A restart would end HAProxy with it for a moment. This restarts it without, and makes ` +
    `HAProxy a service of its own:\n  ${forShell([program, "install", ...flags])}`
  );
}

function tell(version: string, order: number): string {
  if (order > 0) return `${version} is available; this is ${NOW}`;
  if (order === 0) return `this is ${version} already`;
  return `this is ${NOW}, and ${version} is older`;
}

/** Shows on a terminal how far the download is, in one line. Erases the line at the end. */
function showProgress(io: CommandIo): Progress {
  if (!io.isTerminal) return { progress: () => undefined, end: () => undefined };
  const show = (text: string): void => io.write(`\r${ERASE_LINE}${text}`);
  let shown = "";
  return {
    progress(received, total) {
      const text =
        total === undefined
          ? `fetching: ${Math.floor(received / 1_000_000)} MB`
          : `fetching: ${Math.floor((received * 100) / total)} %`;
      if (text !== shown) show(text);
      shown = text;
    },
    end: () => show(""),
  };
}
