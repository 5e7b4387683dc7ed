// The other programs that do this work, where they are installed: Traefik, Caddy with its module
// docker-proxy, and docker-gen with nginx. Nothing is fetched for them.

import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import type { Contestant, Running } from "./contestants.ts";
import { DOCKER_GEN_TEMPLATE, nginxConfig } from "./nginx.ts";
import type { Column } from "./table.ts";

/** The port of every container. */
const PORT = 8000;
/** So many characters of a log are shown where something fails. */
const LOG_END = 2_000;
/** A program that was told to end is killed after so long, in milliseconds. */
const END_WITHIN = 3_000;

/** What is installed, and what is not. */
interface Peers {
  readonly contestants: readonly Contestant[];
  readonly nginx: string | undefined;
  /** What each one is, with its version. */
  readonly versions: readonly string[];
  /** What is not measured. */
  readonly missing: readonly string[];
}

/** Looks for the other programs. @param path the folders to look in, as `PATH` has them */
export function findPeers(path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`): Peers {
  const which = (name: string): string | undefined => Bun.which(name, { PATH: path }) ?? undefined;
  const [traefik, caddy, gen, nginx] = ["traefik", "caddy", "docker-gen", "nginx"].map(which);
  const hasModule = caddy !== undefined && succeeds([caddy, "docker-proxy", "--help"]);
  const contestants: Contestant[] = [];
  const missing: string[] = [];
  if (traefik === undefined) missing.push("traefik");
  else contestants.push(traefikOf(traefik));
  if (hasModule) contestants.push(caddyOf(caddy));
  else missing.push(`caddy${caddy === undefined ? "" : " (it is without docker-proxy)"}`);
  if (gen !== undefined && nginx !== undefined) contestants.push(dockerGenOf(gen, nginx));
  else if (gen === undefined) missing.push("docker-gen");
  if (nginx === undefined) missing.push("nginx");
  const versions = contestants.map(({ version }) => version);
  if (nginx !== undefined) versions.push(versionOf("nginx", [nginx, "-v"]));
  return { contestants, nginx, versions, missing };
}

/** Its wait of two seconds between two changes is taken off. */
function traefikOf(program: string): Contestant {
  return {
    ...peer("traefik", versionOf("Traefik", [program, "version"])),
    needs: (image) => {
      const name = image.replaceAll(/[^a-z0-9]/g, "-");
      const [router, middleware] = [`traefik.http.routers.${name}`, "traefik.http.middlewares"];
      return {
        labels: {
          [`${router}.rule`]: `PathPrefix(\`/${image}\`)`,
          [`${router}.middlewares`]: name,
          [`${middleware}.${name}.stripprefix.prefixes`]: `/${image}`,
          [`traefik.http.services.${name}.loadbalancer.server.port`]: String(PORT),
        },
      };
    },
    start: async ({ dockerHost }) => {
      const port = await freePort();
      return run(labDir("traefik"), port, dockerHost, () => [
        [
          program,
          `--entrypoints.web.address=127.0.0.1:${port}`,
          `--providers.docker.endpoint=${dockerHost}`,
          "--providers.providersthrottleduration=1ms",
          "--global.checknewversion=false",
          "--log.level=ERROR",
        ],
      ]);
    },
  };
}

/** On the host it has no networks of its own to go by, so that of the containers is named. */
function caddyOf(program: string): Contestant {
  return {
    ...peer("caddy", versionOf("Caddy", [program, "version"])),
    needs: (image, port) => ({
      labels: {
        caddy: `http://:${port}`,
        "caddy.handle_path": `/${image}/*`,
        "caddy.handle_path.0_reverse_proxy": `{{upstreams ${PORT}}}`,
      },
    }),
    start: async ({ dockerHost }) => {
      const port = await freePort();
      return run(labDir("caddy"), port, dockerHost, (dir) => {
        const file = join(dir, "Caddyfile");
        // Nothing else on this machine may ask for the port of its administration.
        writeFileSync(file, "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n");
        const networks = ["--ingress-networks", "bridge"];
        return [[program, "docker-proxy", ...networks, "--caddyfile-path", file]];
      });
    },
  };
}

/** nginx with the headers and the stripping that this program gives, reloaded for each change. */
function dockerGenOf(program: string, nginx: string): Contestant {
  return {
    ...peer("docker-gen", versionOf("docker-gen", [program, "-version"])),
    needs: (image) => ({ env: { BENCH_PATH: image }, expose: [PORT] }),
    start: async ({ dockerHost }) => {
      const port = await freePort();
      return run(labDir("dg"), port, dockerHost, (dir) => {
        mkdirSync(join(dir, "conf.d"));
        const [config, template] = [join(dir, "nginx.conf"), join(dir, "nginx.tmpl")];
        const made = join(dir, "conf.d/default.conf");
        writeFileSync(made, "");
        writeFileSync(config, nginxConfig(dir, `include ${dir}/conf.d/*.conf;`));
        writeFileSync(template, DOCKER_GEN_TEMPLATE.replaceAll("PORT", String(port)));
        const notify = `${nginx} -c ${config} -s reload`;
        return [
          [nginx, "-c", config],
          [program, "-endpoint", dockerHost, "-watch", "-notify", notify, template, made],
        ];
      });
    },
  };
}

function peer(column: Column, version: string) {
  return { column, version, isPeer: true };
}

/** Starts programs whose output goes to one file. @param commandsIn makes their files in a folder */
function run(
  dir: string,
  port: number,
  dockerHost: string,
  commandsIn: (dir: string) => readonly (readonly string[])[],
): Running {
  const log = join(dir, "log");
  // A file, and not a pipe: nginx opens it once more.
  const output = openSync(log, "a");
  const children = commandsIn(dir).map((command) =>
    Bun.spawn([...command], {
      stdin: "ignore",
      stdout: output,
      stderr: output,
      env: { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin`, HOME: dir, DOCKER_HOST: dockerHost },
      cwd: dir,
    }),
  );
  closeSync(output);
  return {
    port,
    pids: children.map(({ pid }) => pid),
    reloads: undefined,
    get log() {
      return readFileSync(log, "utf8").slice(-LOG_END);
    },
    async stop() {
      for (const child of children.toReversed()) {
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), END_WITHIN);
        await child.exited;
        clearTimeout(timer);
      }
    },
  };
}

/** The first line with a number of a version. */
function versionOf(name: string, command: string[]): string {
  const { stdout, stderr } = Bun.spawnSync(command);
  return `${name} ${/\d+\.\d+(\.\d+)?/.exec(`${stdout.toString()}${stderr.toString()}`)?.[0] ?? "?"}`;
}

function succeeds(command: string[]): boolean {
  return Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" }).success;
}
