// Finds the gateways that run on this machine, by the sockets at which they can be asked.

import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, GatewayError, systemCode } from "../lib/errors.ts";
import { GatewayClient } from "./client.ts";
import { isDeadSocket } from "../haproxy/runtime/socket.ts";
import { API_SOCKET_END, PUBLIC_SOCKET_FOLDERS } from "../gateway/paths.ts";

/** The kernel's list of unix sockets, with their paths. Source: proc_pid_net(5), `/proc/net/unix`. */
const SOCKETS = "/proc/net/unix";
/** What it says of one at which somebody listens (`__SO_ACCEPTCON`). */
const LISTENS = "00010000";

/**
 * The sockets of the gateways that run: those that listen in this network namespace, and those at the usual
 * places, which a gateway in another one has. Others could make a socket of that name anywhere: elsewhere
 * only those of root and of this user count.
 * @param ownFolder where the files of a gateway of this user are
 */
async function findGateways(ownFolder: string): Promise<readonly string[]> {
  const folders = [...PUBLIC_SOCKET_FOLDERS, ownFolder];
  const listening = listeningSockets(readIfThere(SOCKETS)).filter((path) =>
    isTrusted(path, folders),
  );
  const usual = folders.map((folder) => join(folder, `haproxy${API_SOCKET_END}`));
  const others = usual.filter((path) => !listening.includes(path) && existsSync(path));
  const dead = await Promise.all(others.map(isDeadSocket));
  return [...listening, ...others.filter((_, index) => dead[index] === false)].toSorted();
}

/** The paths of gateways' sockets at which somebody listens. @param table the content of the kernel's list */
export function listeningSockets(table: string): readonly string[] {
  const paths = table.split("\n").flatMap((line) => {
    const [, , , flags, , , , path = ""] = line.split(" ").filter(Boolean);
    return flags === LISTENS && path.startsWith("/") && path.endsWith(API_SOCKET_END) ? [path] : [];
  });
  return [...new Set(paths)];
}

/**
 * The gateway that a command is about.
 * @param named the socket that the user named
 * @returns undefined if none runs
 * @throws GatewayError `usage` if there are several, and none is named
 */
export async function chooseGateway(
  named: string | undefined,
  ownFolder: string,
): Promise<GatewayClient | undefined> {
  if (named !== undefined) return new GatewayClient(named);
  const [first, ...more] = await findGateways(ownFolder);
  if (first === undefined) return undefined;
  if (more.length === 0) return new GatewayClient(first);
  const all = [first, ...more];
  throw new GatewayError("usage", `Cannot tell which gateway is meant: ${all.length} run here`, {
    lines: await Promise.all(all.map(describeGateway)),
    hint: `such as --gateway ${first}`,
  });
}

/** A gateway in one line. */
async function describeGateway(path: string): Promise<string> {
  try {
    const { gateway, engine, routes } = await new GatewayClient(path).state();
    return `--gateway ${path}: process ${gateway.pid}, of ${engine.name}, ${routes.length} routes`;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return `--gateway ${path}: ${errorMessage(error)}`;
  }
}

function isTrusted(path: string, folders: readonly string[]): boolean {
  const isUsual = folders.some((folder) => path.startsWith(`${folder}/`));
  try {
    const { uid } = statSync(path);
    return isUsual || uid === 0 || uid === process.getuid?.();
  } catch (error) {
    // There is no such file, as where a container has it; or this user may not look there, and is told so.
    return isUsual && systemCode(error) === "EACCES";
  }
}

function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
