// Runs real applications as containers. Each is served at the root, and knows nothing of a prefix.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { run, type Container } from "../lab/containers.ts";
import type { Engine } from "../lab/engine.ts";
import { importImage } from "../lab/images.ts";
import { labDir } from "../lab/leftovers.ts";
import { cached } from "../lab/cache.ts";

type Kind = "shop" | "desk" | "guestbook";

const ROOT = join(import.meta.dir, "../..");
/** What their containers run. */
const COMMANDS: Record<Kind, string> = {
  shop: "/usr/bin/node /app/shop/server.mjs",
  desk: "/usr/bin/node /app/desk/server.mjs",
  guestbook: "/usr/bin/python3 -m flask --app /app/guestbook/app.py run -h 0.0.0.0 -p 8000",
};

/**
 * Runs an application as a container of the image `acme/<name>`.
 * @param name what the application calls itself
 */
export async function runApplication(engine: Engine, kind: Kind, name: string): Promise<Container> {
  const image = `acme/${name}`;
  await importImage(engine, image, { cmd: COMMANDS[kind].split(" "), expose: [8000] });
  const system = cached("applications");
  const folders = {
    // Where programs have their loader differs from processor to processor: /lib or /lib64.
    ...Object.fromEntries(
      readdirSync(system)
        .filter((folder) => /^(usr|lib.*)$/.test(folder))
        .map((folder) => [`/${folder}`, join(system, folder)]),
    ),
    [`/app/${kind}`]: join(import.meta.dir, kind),
    ...(kind !== "guestbook" && { "/app/node_modules": join(ROOT, "node_modules") }),
    ...(kind === "shop" && { "/app/site": await site() }),
  };
  const binds = Object.entries(folders).map(([inside, outside]) => `${outside}:${inside}:ro`);
  return run(engine, image, {
    env: { NAME: name, PYTHONDONTWRITEBYTECODE: "yes" },
    create: { HostConfig: { Binds: binds } },
  });
}

let built: Promise<string> | undefined;

/** The folder of the built single-page application. */
function site(): Promise<string> {
  built ??= buildSite();
  return built;
}

async function buildSite(): Promise<string> {
  const folder = labDir("site");
  await build({
    root: join(import.meta.dir, "shop"),
    configFile: false,
    logLevel: "warn",
    // Small files are files, too.
    build: { outDir: folder, emptyOutDir: true, assetsInlineLimit: 0 },
  });
  return folder;
}
