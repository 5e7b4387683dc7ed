// The docker program's contexts: Engines by name, as `docker context` keeps them on the disk.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { DEFAULT_ADDRESS, type Certificate, type DockerTls } from "./host.ts";

/** The name that stands for no context at all. */
const DEFAULT = "default";
const CERTIFICATES: readonly Certificate[] = ["ca", "cert", "key"];
const HINT = "docker context ls lists them: use another, or name the Engine by --docker-host";

/** The Engine of a context. */
export interface DockerContext {
  readonly name: string;
  /** As `--docker-host` takes it. */
  readonly address: string;
  readonly tls: DockerTls | undefined;
}

/**
 * The context in use: that of `DOCKER_CONTEXT`, else that of `docker context use`; undefined where
 * it is the default one.
 * Source: `resolveContextName` in docker/cli, cli/command/cli.go.
 * @param folder the docker program's own, mostly `~/.docker`
 * @throws GatewayError `docker` where it does not exist or cannot be read
 */
export function contextInUse(folder: string, variable: string): DockerContext | undefined {
  const name = variable || currentContext(join(folder, "config.json"));
  return name === "" || name === DEFAULT ? undefined : readContext(name, folder);
}

function currentContext(path: string): string {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // The docker program goes on without it too; a service mostly may not look into homes.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemCode(error))) return "";
    throw unreadable(path, error);
  }
  try {
    const { currentContext: name } = JSON.parse(text) as { readonly currentContext?: unknown };
    return typeof name === "string" ? name : "";
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Source: docker/cli, cli/context/store. */
function readContext(name: string, folder: string): DockerContext {
  const id = new Bun.CryptoHasher("sha256").update(name).digest("hex");
  const path = join(folder, "contexts/meta", id, "meta.json");
  const { Host: address, SkipTLSVerify: skip } = readEndpoint(name, path);
  const certPath = join(folder, "contexts/tls", id, "docker");
  const files = certificatesIn(name, certPath);
  const tls = { certPath, files, verify: skip !== true, hint: HINT };
  return {
    name,
    address: typeof address === "string" && address !== "" ? address : DEFAULT_ADDRESS,
    tls: files.length > 0 || skip === true ? tls : undefined,
  };
}

interface Endpoint {
  readonly Host?: unknown;
  readonly SkipTLSVerify?: unknown;
}

function readEndpoint(name: string, path: string): Endpoint {
  let endpoint;
  try {
    const meta = JSON.parse(readFileSync(path, "utf8")) as {
      readonly Endpoints?: { readonly docker?: Endpoint };
    };
    endpoint = meta.Endpoints?.docker;
  } catch (error) {
    throw unusable(
      name,
      systemCode(error) === "ENOENT"
        ? "there is no such context"
        : `"${path}" cannot be read: ${errorMessage(error)}`,
      error,
    );
  }
  if (endpoint !== undefined) return endpoint;
  throw unusable(name, `"${path}" names no Engine`);
}

/** Which certificates the context has; a client's own is one only with its key. */
function certificatesIn(name: string, folder: string): Certificate[] {
  let there: readonly string[];
  try {
    there = readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw unusable(name, `"${folder}" cannot be read: ${errorMessage(error)}`, error);
  }
  const has = (file: Certificate): boolean => there.includes(`${file}.pem`);
  return CERTIFICATES.filter((file) => has(file) && (file === "ca" || (has("cert") && has("key"))));
}

function unusable(name: string, state: string, cause?: unknown): GatewayError {
  return new GatewayError("docker", `Cannot use docker context "${name}": ${state}`, {
    hint: HINT,
    cause,
  });
}

function unreadable(path: string, cause: unknown): GatewayError {
  return new GatewayError("docker", `Cannot read "${path}": ${errorMessage(cause)}`, {
    hint: "it says which docker context is in use: mend it, or name the Engine by --docker-host",
    cause,
  });
}
