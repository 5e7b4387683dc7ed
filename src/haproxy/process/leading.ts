// The way out of a former worker for requests that wait there for a container: to the one that answers now.
//
// A former worker enables no server: its backends are closed, it says. But it adds one, and Lua enables it
// (templates/waiting.hbs). Before 3.0, Lua does not know such a server, but it changes the address of another
// one. Later that change is never carried out there. All of this was found by trying.

import { WAITING_ROOM, type BackendServer, type ServerLine } from "../../config/operations.ts";
import { bareAddress } from "../../config/servers.ts";
import { compareVersions } from "../../lib/text.ts";
import { toCommands, word } from "../runtime/commands.ts";
import { readServerStates, type ServerState } from "./server-states.ts";

/** Has a former worker carry out a command. Returns what it answers. */
type Ask = (command: string) => Promise<string>;

/**
 * Has a former worker send the requests that wait for a backend to a server.
 * @param backend its name in that worker. Where nothing can wait for it, nothing is changed
 * @param version of HAProxy, such as `2.6.12`
 * @returns why they wait on; undefined if they do not
 * @throws GatewayError `haproxy` if the worker cannot be asked
 */
export async function leadWaiting(
  ask: Ask,
  { backend, server }: BackendServer,
  version: string,
): Promise<string | undefined> {
  const states = readServerStates(await ask(`show servers state ${word(backend)}`));
  const room = states.get(`${backend}/${WAITING_ROOM}`);
  if (room?.inMaintenance !== false) return "nothing waits there";
  const answer = await (compareVersions(version, "3.0") >= 0
    ? addReady(ask, { backend, server }, states, version)
    : move(ask, { backend, server }));
  return answer.trim() === "done" ? undefined : answer.trim();
}

/** Adds the server, unless it is there, and enables it. */
async function addReady(
  ask: Ask,
  { backend, server }: BackendServer,
  states: ReadonlyMap<string, ServerState>,
  version: string,
): Promise<string> {
  const name = nameIn(states, backend, server);
  if (!states.has(`${backend}/${name}`)) {
    const added = { ...server, name, disabled: true };
    const commands = toCommands({ do: "add server", backend, server: added }, version);
    for (const command of commands) await ask(command);
  }
  return ask(`gateway ready ${word(backend)} ${word(name)}`);
}

/** Has a server that is there already be at the address of this one. */
async function move(ask: Ask, { backend, server }: BackendServer): Promise<string> {
  if (server.settings.join(" ").includes("proto h2"))
    return "it speaks HTTP/2, which _wait does not";
  return ask(`gateway lead ${word(backend)} ${word(bareAddress(server))} ${word(server.port)}`);
}

/**
 * The name that a server gets in a former worker: its own, unless one that is called so is elsewhere. Its
 * container has another address since.
 */
function nameIn(
  states: ReadonlyMap<string, ServerState>,
  backend: string,
  server: ServerLine,
): string {
  let { name } = server;
  for (;;) {
    const known = states.get(`${backend}/${name}`);
    if (known === undefined) return name;
    if (known.address === bareAddress(server) && known.port === server.port) return name;
    name += "_";
  }
}
