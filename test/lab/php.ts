// Runs PHP's server of FastCGI on loopback, and as containers.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { run, type Container } from "./containers.ts";
import type { EngineAccess } from "./engine.ts";
import { connect, eventually } from "./http.ts";
import { labDir } from "./leftovers.ts";
import { freePort } from "./ports.ts";

const PROGRAM = "usr/sbin/php-fpm8.2";

/** The command of an image for `runPhp`. */
export const PHP_COMMAND: string[] = [`/${PROGRAM}`, ...argumentsFor("/etc/fpm.conf")];

/** What a script was told, as `TELL` answers. */
export interface Told {
  /** The script that ran. */
  readonly file: string;
  /** The process that ran it. */
  readonly pid: number;
  /** The body of the request, if it is short, and its length. */
  readonly body: string;
  readonly length: number;
  readonly server: Readonly<Record<string, string>>;
}

/**
 * A script that answers what it was told. Queries: `die=NAME` ends its process without an answer, but only
 * once for a name; `to=URL` leads there; `ms=N` takes so long.
 */
export const TELL = `<?php
if (isset($_GET["die"]) && @mkdir(__DIR__ . "/" . basename($_GET["die"]))) exec("kill -9 " . getmypid());
if (isset($_GET["to"])) header("Location: " . $_GET["to"]);
if (isset($_GET["ms"])) usleep(1000 * (int) $_GET["ms"]);
header("Content-Type: application/json");
setcookie("seen", "1", ["path" => "/"]);
$body = file_get_contents("php://input");
echo json_encode([
  "file" => __FILE__,
  "pid" => getmypid(),
  "length" => strlen($body),
  "body" => strlen($body) < 100 ? $body : "",
  "server" => array_map("strval", array_diff_key($_SERVER, ["argv" => 1, "argc" => 1])),
], JSON_INVALID_UTF8_SUBSTITUTE);
`;

/** A running PHP. */
export interface Php {
  readonly port: number;
  /** The folder of its scripts. */
  readonly root: string;
  stop(): Promise<void>;
}

export interface PhpOptions {
  /** Scripts by their paths below the root. `index.php` by default, which tells what it was told. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** How many requests it works on at a time. */
  readonly processes?: number;
}

/** Starts PHP on loopback. */
export async function startPhp(options: PhpOptions = {}): Promise<Php> {
  const dir = labDir("php");
  const [port, root] = [await freePort(), join(dir, "www")];
  writeScripts(root, options);
  writeFileSync(join(dir, "fpm.conf"), config(`127.0.0.1:${port}`, options));
  const program = join(phpRoot(), PROGRAM);
  const child = Bun.spawn([program, ...argumentsFor(join(dir, "fpm.conf"))], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(join(dir, "fpm.log")),
  });
  await eventually(async () => (await connect({ port })).close());
  return {
    port,
    root,
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
    },
  };
}

/** Runs PHP as a container, as its official image does: it exposes port 9000, and its scripts are in /var/www/html. */
export async function runPhp(
  engine: EngineAccess,
  image: string,
  { labels = {}, ...options }: PhpOptions & { readonly labels?: Record<string, string> } = {},
): Promise<Container> {
  const [dir, system] = [labDir("php"), phpRoot()];
  writeScripts(join(dir, "www"), options);
  writeFileSync(join(dir, "fpm.conf"), config("9000", options));
  const folders = {
    // Where programs have their loader differs from processor to processor: /lib or /lib64.
    ...Object.fromEntries(
      readdirSync(system)
        .filter((folder) => /^(usr|lib.*)$/.test(folder))
        .map((folder) => [`/${folder}`, join(system, folder)]),
    ),
    "/etc/fpm.conf": join(dir, "fpm.conf"),
    "/var/www/html": join(dir, "www"),
  };
  return run(engine, image, {
    labels,
    create: {
      // Its loader is at the path where the host has it.
      HostConfig: {
        Binds: [
          ...Object.entries(folders).map(([inside, outside]) => `${outside}:${inside}:ro`),
          `${system}:${system}:ro`,
        ],
      },
    },
  });
}

/** Without the settings of the host, and as root if the tests are. */
function argumentsFor(file: string): string[] {
  return ["-n", "-R", "-F", "-O", "-y", file];
}

function writeScripts(root: string, { scripts = { "index.php": TELL } }: PhpOptions): void {
  for (const [path, text] of Object.entries(scripts)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

function config(listen: string, { processes = 4 }: PhpOptions): string {
  return `[global]
error_log = /proc/self/fd/2
[www]
listen = ${listen}
pm = static
pm.max_children = ${processes}
ping.path = /ping
`;
}

/** The root of a file system with PHP. */
function phpRoot(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const folder = join(cache, "docker-api-gateway/php");
  if (existsSync(folder)) return folder;
  throw new Error(`Cannot find ${folder}: not installed; run test/lab/setup php`);
}
