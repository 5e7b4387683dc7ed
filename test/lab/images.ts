// Makes images without a registry, from a static busybox and the HTTP server of the lab.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type Dockerode from "dockerode";
import type { EngineAccess } from "./engine.ts";
import { tarArchive, type TarEntry } from "./tar.ts";

/** The health check of an image or a container. Times are in milliseconds. */
export interface Healthcheck {
  /** A command line for the shell. `test -e /lab/healthy` by default. */
  command?: string;
  intervalMs?: number;
  timeoutMs?: number;
  startPeriodMs?: number;
  retries?: number;
}

export interface ImageOptions {
  /** The command that runs instead of the HTTP server of the lab. */
  cmd?: string[];
  /** Such as `8000` or `8000/tcp`. The server listens on `ports`, whatever is exposed. */
  expose?: (number | string)[];
  /** The ports on which the server listens. 8000 by default. */
  ports?: number[];
  labels?: Record<string, string>;
  healthcheck?: Healthcheck;
  stopSignal?: string;
  env?: Record<string, string>;
  workdir?: string;
}

// The layer is the same for all images, so that an engine unpacks it only once.
let layer: Uint8Array | undefined;
let count = 0;

/**
 * Makes an image with this name, another one at each call. Its server tells in every answer what it
 * received (`parseAnswer`). It has these special paths, under any prefix:
 * `/die` (the container ends without an answer), `/redirect[?to=/login]` 302, `/cookie`,
 * `/slow?ms=1000`, `/stream?bytes=N`, `/status?code=503`,
 * `/health` (200 while `/lab/healthy` exists, which it does not at first).
 * After a request to upgrade to a websocket it echoes all bytes.
 */
export async function importImage(
  engine: EngineAccess,
  name: string,
  options: ImageOptions = {},
): Promise<void> {
  layer ??= layerArchive();
  const tagged = name.includes(":", name.lastIndexOf("/") + 1) ? name : `${name}:latest`;
  const config = JSON.stringify({
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    created: new Date().toISOString(),
    // Makes the image differ from the last one with the same settings.
    history: [{ created_by: `${tagged} ${++count}` }],
    rootfs: { type: "layers", diff_ids: [`sha256:${Bun.SHA256.hash(layer, "hex")}`] },
    config: settings(options),
  });
  const manifest = [{ Config: "config.json", RepoTags: [tagged], Layers: ["layer.tar"] }];
  const archive = tarArchive([
    { path: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
    { path: "config.json", content: Buffer.from(config) },
    { path: "layer.tar", content: layer },
  ]);
  const answer = await fetch("http://engine/images/load?quiet=1", {
    method: "POST",
    unix: engine.socket,
    body: archive,
    headers: { "Content-Type": "application/x-tar" },
  });
  const text = await answer.text();
  // The status is sent before the work is done. A failure is told in a line of the answer.
  if (!answer.ok || text.includes('"error"')) {
    throw new Error(`Cannot load the image "${name}": ${text.trim()}`);
  }
}

/** Exposed ports in the form that both the API and the file of an image have. */
export function exposedPorts(ports: readonly (number | string)[]): Record<string, object> {
  return Object.fromEntries(
    ports.map((port) => [String(port).includes("/") ? String(port) : `${port}/tcp`, {}]),
  );
}

/** The check with its defaults. The times are short, as tests wait for them. */
export function healthConfig(check: Healthcheck): Dockerode.HealthConfig {
  const { intervalMs = 200, timeoutMs = 2_000, startPeriodMs = 0, retries = 1 } = check;
  return {
    Test: ["CMD-SHELL", check.command ?? "test -e /lab/healthy"],
    // The API counts in nanoseconds.
    Interval: intervalMs * 1e6,
    Timeout: timeoutMs * 1e6,
    StartPeriod: startPeriodMs * 1e6,
    Retries: retries,
  };
}

function settings(options: ImageOptions): object {
  const { cmd = ["/lab/start.sh"], expose = [], ports, labels = {}, env = {} } = options;
  const variables = {
    PATH: "/bin",
    ...(ports && { LAB_PORTS: ports.join(" ") }),
    ...env,
  };
  return {
    Cmd: cmd,
    Env: Object.entries(variables).map(([name, value]) => `${name}=${value}`),
    Labels: labels,
    ExposedPorts: exposedPorts(expose),
    ...(options.stopSignal !== undefined && { StopSignal: options.stopSignal }),
    ...(options.workdir !== undefined && { WorkingDir: options.workdir }),
    ...(options.healthcheck && { Healthcheck: healthConfig(options.healthcheck) }),
  };
}

// The archive has two megabytes.
function layerArchive(): Uint8Array {
  const program = Bun.which("busybox", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/bin` });
  if (program === null) {
    throw new Error("Cannot find busybox: not installed; run test/lab/setup engine");
  }
  const busybox = readFileSync(program);
  if (busybox.includes("/ld-linux")) {
    throw new Error(`Cannot use "${program}": not static; run test/lab/setup engine`);
  }
  const applets = spawnSync(program, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n");
  const entries: TarEntry[] = [
    ...["bin", "lab", "etc", "tmp", "proc", "sys", "dev"].map((path) => ({ path })),
    { path: "bin/busybox", content: busybox },
    ...applets
      .filter((applet) => applet !== "busybox")
      .map((applet) => ({ path: `bin/${applet}`, link: "busybox" })),
    ...["serve.sh", "start.sh"].map((script) => ({
      path: `lab/${script}`,
      content: readFileSync(join(import.meta.dir, script)),
    })),
  ];
  return tarArchive(entries);
}
