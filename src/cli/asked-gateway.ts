// Which running gateway a command asks, or that it works out everything from flags.

import { chooseGateway } from "../api/finder.ts";
import type { GatewayClient } from "../api/client.ts";
import type { StateDocument } from "../api/state.ts";
import { DEFAULT_MASTER_SOCKET, ownFolderOf } from "../gateway/paths.ts";
import { inspectHost } from "../gateway/host.ts";
import { GatewayError } from "../lib/errors.ts";
import type { CommandIo, Environment, Words } from "./command.ts";
import type { FlagDefs } from "./flags.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import type { RawOptions } from "./options.ts";

/** The flag of each command that asks a running gateway. */
export const ASK_FLAGS: FlagDefs = {
  gateway: {
    type: "string",
    valueHint: "SOCKET",
    description: "the running gateway to ask, by its socket (default: the one that runs here)",
  },
};

/** These say nothing of a gateway. */
const ABOUT_THE_COMMAND: readonly string[] = ["log-level", "log-format"];

/**
 * The running gateway to ask. Flags of a gateway that are typed come first: then it is none, and all is worked
 * out from them. Those from the environment do not count, as the gateway may well have them, too.
 * @throws GatewayError `usage` if several run and none is named
 */
export async function askedGateway(
  { values, typed }: Pick<Words, "values" | "typed">,
  io: CommandIo,
): Promise<GatewayClient | undefined> {
  const flag = [...typed].find(
    (name) => Object.hasOwn(GATEWAY_FLAGS, name) && !ABOUT_THE_COMMAND.includes(name),
  );
  const { gateway } = values;
  const named = typeof gateway === "string" ? gateway : undefined;
  if (flag === undefined) {
    const found = await chooseGateway(named, ownFolder(io.env));
    if (found === undefined)
      io.note("hint: no gateway runs here that could be asked; this is what the flags say");
    return found;
  }
  if (named === undefined || !typed.has("gateway")) return undefined;
  throw new GatewayError("usage", `Cannot use --gateway with --${flag}: it has its own flags`, {
    hint: "leave out one of them",
  });
}

/**
 * The running gateway, where nothing can be done without one.
 * @throws GatewayError `gateway` if none runs, `usage` if several do and none is named
 */
export async function runningGateway(values: RawOptions, env: Environment): Promise<GatewayClient> {
  const { gateway } = values;
  const named = typeof gateway === "string" ? gateway : undefined;
  const found = await chooseGateway(named, ownFolder(env));
  if (found !== undefined) return found;
  throw new GatewayError("gateway", "Cannot ask the gateway: none runs here", {
    hint: "name its socket with --gateway; in a container it is asked there: docker exec CONTAINER ...",
  });
}

/** The flags by which a command finds the same as a running gateway. */
export function flagsOfRunning({ gateway, engine }: StateDocument): RawOptions {
  const { options, output, masterSocket, managesHaproxy } = gateway;
  return {
    ...options,
    // Its environment may name another Engine than that of this command.
    ...(engine.name.startsWith("unix://") ? { "docker-host": engine.name } : {}),
    "output-file": output,
    "master-socket": masterSocket,
    "manage-haproxy": managesHaproxy,
  };
}

function ownFolder(env: Environment): string {
  return ownFolderOf(inspectHost(DEFAULT_MASTER_SOCKET, env));
}
