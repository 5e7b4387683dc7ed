// The docker program's contexts: named Engines, which `docker context` stores on disk.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { DEFAULT_ADDRESS, type Certificate, type DockerTls } from "./host.ts";

/** The name that means that no context is used. */
const NO_CONTEXT = "default";
const CERTIFICATES: readonly Certificate[] = ["ca", "cert", "key"];
const HINT = "docker context ls lists them: use another, or name the Engine by --docker-host";

/** The Engine of a context. */
export interface DockerContext {
  readonly name: string;
  /** In the form of `--docker-host`. */
  readonly address: string;
  readonly tls: DockerTls | undefined;
}

/**
 * Reads the context in use: the one of `DOCKER_CONTEXT`, else the one of `docker context use`.
 * Undefined if that is the default one.
 * Source: `resolveContextName` in docker/cli, cli/command/cli.go.
 * @param folder the docker program's folder, usually `~/.docker`
 * @param variable the value of `DOCKER_CONTEXT`; empty without it
 * @throws GatewayError `docker` if the context does not exist or cannot be read
 */
export function contextInUse(folder: string, variable: string): DockerContext | undefined {
  const name = variable || currentContext(join(folder, "config.json"));
  return name === "" || name === NO_CONTEXT ? undefined : readContext(name, folder);
}

function currentContext(path: string): string {
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    // The docker program works without the file too. A service may often not read home folders.
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemCode(error))) return "";
    throw unreadable(path, error);
  }
  try {
    // The docker program takes an empty file too.
    const config = JSON.parse(text.trim() || "null") as {
      readonly currentContext?: unknown;
    } | null;
    const name = config?.currentContext;
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

/** The certificates of the context. The client's certificate and its key count only together. */
function certificatesIn(name: string, folder: string): Certificate[] {
  let found: readonly string[];
  try {
    found = readdirSync(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw unusable(name, `"${folder}" cannot be read: ${errorMessage(error)}`, error);
  }
  const has = (file: Certificate): boolean => found.includes(`${file}.pem`);
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
