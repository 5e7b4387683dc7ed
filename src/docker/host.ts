// Where the Engine is: reads DOCKER_HOST and the variables for TLS, as the docker program does.

import { GatewayError } from "../lib/errors.ts";

export type DockerHost =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly authority: string; readonly basePath: string }
  | {
      readonly kind: "ssh";
      readonly destination: string;
      readonly port: string;
      /** The socket on the other machine. */
      readonly path: string;
    };

/** A certificate or key: the name of its file without `.pem`, and of Bun's option for TLS. */
export type Certificate = "ca" | "cert" | "key";

/** Where the certificates are, and whether the Engine's own certificate is verified. */
export interface DockerTls {
  readonly certPath: string;
  /** The files to read in that folder. */
  readonly files: readonly Certificate[];
  readonly verify: boolean;
  /** The hint to give if a file cannot be read. */
  readonly hint: string;
}

/** The environment variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_SOCKET = "/var/run/docker.sock";
/** The Engine that is used if nobody names one. */
export const DEFAULT_ADDRESS = `unix://${DEFAULT_SOCKET}`;
/** The hint that shows what an address looks like. */
export const FORMS = "use unix:///path, tcp://host:port or ssh://user@host";

/**
 * Parses an Engine's address; empty means the default socket.
 * Source: https://docs.docker.com/reference/cli/docker/#environment-variables and the docker
 * program's opts/hosts.go for what may be left out.
 * @param tls whether TLS is used: it changes the default port
 * @throws GatewayError `usage`
 */
export function parseDockerHost(text: string, tls: boolean): DockerHost {
  const address = text.trim();
  if (address === "") return { kind: "unix", path: DEFAULT_SOCKET };
  const [, scheme = "", rest = ""] = /^([a-z]+):\/\/(.*)$/i.exec(address) ?? [];
  switch (scheme.toLowerCase()) {
    case "unix":
      return { kind: "unix", path: rest === "" ? DEFAULT_SOCKET : rest };
    case "tcp":
      return parseTcp(address, rest, tls);
    case "ssh":
      return parseSsh(address, rest);
    case "":
      throw invalid(address, "it names no protocol");
    default:
      throw invalid(address, `protocol ${scheme} is not supported`);
  }
}

/** The name of the machine on which an Engine runs; undefined: it is this one, as far as its address tells. */
export function machineOf(host: DockerHost): string | undefined {
  if (host.kind === "unix") return undefined;
  if (host.kind === "ssh") return host.destination.replace(/^.*@/, "");
  const name = host.authority.replace(/:\d+$/, "");
  return /^(127\.|localhost$|\[::1\]$)/.test(name) ? undefined : name;
}

function parseTcp(address: string, rest: string, tls: boolean): DockerHost {
  const [, host = "", portText = "", path = ""] =
    /^(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]*)(?::(\d*))?(\/.*)?$/i.exec(rest) ??
    reject(address, "it is not host:port");
  const port = portText === "" ? (tls ? 2376 : 2375) : Number(portText);
  if (port < 1 || port > 65535) throw invalid(address, `${port} is no port number (1 to 65535)`);
  const authority = `${host === "" ? "127.0.0.1" : host}:${port}`;
  return { kind: "tcp", authority, basePath: path.replace(/\/+$/, "") };
}

function parseSsh(address: string, rest: string): DockerHost {
  const [, user = "", host = "", port = "", path = ""] =
    /^([^-@/\s:][^@/\s:]*@)?(\[[0-9a-f:.]+\]|[^-@:/\s][^@:/\s]*)(?::(\d+))?(\/.*)?$/i.exec(rest) ??
    reject(address, "it is not user@host");
  return {
    kind: "ssh",
    destination: `${user}${host.replaceAll(/[[\]]/g, "")}`,
    port,
    path: path === "" || path === "/" ? DEFAULT_SOCKET : path,
  };
}

/**
 * Reads `DOCKER_TLS_VERIFY`, `DOCKER_TLS` and `DOCKER_CERT_PATH`; undefined without TLS.
 * @param folder the docker program's folder: the certificates are there if no variable says where
 */
export function parseDockerTls(env: Environment, folder: string): DockerTls | undefined {
  const verify = (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  if (!verify && (env["DOCKER_TLS"] ?? "") === "") return undefined;
  return {
    certPath: env["DOCKER_CERT_PATH"] || folder,
    files: verify ? ["ca", "cert", "key"] : ["cert", "key"],
    verify,
    hint: "DOCKER_CERT_PATH names the folder of ca.pem, cert.pem and key.pem",
  };
}

function invalid(address: string, state: string): GatewayError {
  return new GatewayError("usage", `Cannot use Docker host "${address}": ${state}`, {
    hint: FORMS,
  });
}

function reject(address: string, state: string): never {
  throw invalid(address, state);
}
