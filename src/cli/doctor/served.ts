// The doctor's checks of the running gateway, and of what it serves and what not.

import { describeNotServed, notServedOf, type NotServed } from "../../api/not-served.ts";
import type { StateDocument } from "../../api/state.ts";
import { currentReach } from "../../gateway/host.ts";
import type { Paths } from "../../gateway/paths.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { formatDuration } from "../../lib/text.ts";
import { routeBeside } from "../beside.ts";
import type { Environment } from "../command.ts";
import type { Options } from "../options.ts";
import { openEngines } from "../setup.ts";
import { ok, warning, type Finding } from "./check.ts";

/** Checks that the running gateway could do what it wanted to. */
export function checkGateway({ gateway, engine, engines, problem }: StateDocument): Finding {
  const [failure, ...details] = problem;
  if (failure !== undefined) return { level: "failure", lines: [failure, ...details] };
  if (!engine.connected) {
    const away = engines
      .filter((each) => !each.connected)
      .map(({ name, url }) => `${name} (${url})`);
    const whom = away.length === 0 ? engine.name : away.join(", ");
    return warning(`it waits for ${whom}`, "what is served stays as it is until then");
  }
  const since = formatDuration((Date.now() - Date.parse(gateway.started)) / 1000);
  return ok(`process ${gateway.pid} runs for ${since}, and HAProxy has all that it wants`);
}

/** Tells which containers and routes are not served, as a gateway with these options has it. */
export async function checkServed(
  options: Options,
  { output }: Paths,
  env: Environment,
  log: Logger,
): Promise<Finding> {
  const engines = openEngines(options, env);
  try {
    const snapshot = await engines.readOnce(log);
    const reach = currentReach(snapshot, engines.remoteHost);
    return judgeServed(notServedOf(await routeBeside(snapshot, reach, options, output)));
  } catch (error) {
    // Another check tells what is wrong with Docker.
    if (error instanceof GatewayError) return ok("cannot be told without Docker");
    throw error;
  } finally {
    engines.close();
  }
}

/** So many routes without an answer are named. */
const NAMED = 20;

/** Tells which containers and routes are not served, and of a running gateway which routes nobody answers. */
export function judgeServed(found: NotServed | StateDocument): Finding {
  const running = "routes" in found ? found : undefined;
  const reasons = [
    ...describeNotServed(found),
    ...(running === undefined ? [] : [...unanswered(running), ...running.warnings]),
  ];
  if (reasons.length === 0) return ok("nothing is left out that asks for a route");
  return {
    level: "warning",
    lines: ["not everything that asks for a route", ...reasons, "explain CONTAINER tells more"],
  };
}

/** The routes whose requests are answered 503, as no container answers. */
function unanswered({ routes }: StateDocument): readonly string[] {
  const silent = routes.filter(
    ({ route, servers, waiting }) =>
      route !== "" && !waiting && !servers.some(({ state }) => state === "up"),
  );
  const lines = silent.slice(0, NAMED).map(({ route, servers }) => {
    const how = servers.map(({ container, state }) => `${container} is ${state}`).join(", ");
    return `${route}: no container answers${how === "" ? "" : ` (${how})`}`;
  });
  const more = silent.length - lines.length;
  return more > 0 ? [...lines, `and ${more} more routes that no container answers`] : lines;
}
