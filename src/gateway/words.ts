// Says what HAProxy tells of its servers and backends by the containers and routes that they are for.

import { isSpare, WAITING_ROOM } from "../config/operations.ts";
import { WeakCache } from "../lib/weak-cache.ts";
import type { Model, Service } from "../model.ts";
import { routeOf } from "./report.ts";

/** A server: its backend, and the start of its container's ID with perhaps a port, or the waiting room. */
const SERVER =
  /((?:Backup )?Server |\bserver )?(?<![^\s'"])([^\s'"/]+)\/(_wait|[0-9a-f]{12})(?::(\d+))?(?![^\s,.'"])/g;
const BACKEND = /\b(?:backend|proxy) ('?)([^\s'"]+)\1(?![^\s,])/gi;
/** What follows on a server that is up or down. No backup server is a container's. */
const LEFT =
  /\.? (\d+) active and (\d+) backup servers (?:left|online)\.(?: Running on backup\.)?(?: \d+ sessions (?:active|requeued), .*)?$/;

/** That a server is up or down, by its checks. */
const OUTAGE = /^(?:Backup )?Server ([^\s/]+)\/(\S+) is (?:UP|DOWN), reason: /;

/** The name of a container's server: the digits of its ID that Docker shows, and perhaps more. */
const CONTAINER = /^[0-9a-f]{12}(?::|$)/;

/** HAProxy measures each hash when it starts (3.4), and names the line of its own file. */
const SLOW_HASH =
  /^(?:config : )?parsing \[[^\]]*\]: the hash algorithm used for this password takes (\d+) milliseconds to verify.*$/;
/** Why a server is up or down: what HAProxy calls it, a status of HTTP, and more that says nothing new. */
const REASON =
  /( is (?:UP|DOWN)), reason: ([^,;]+)(?:, code: (\d+))?(?:, info: ".*?")?(?:, check duration: \d+ms)?(?=;|\.?$)/;
/** Source: `check_statuses` in HAProxy's src/check.c. */
const REASONS: Readonly<Record<string, (status: string) => string>> = {
  "Layer4 check passed": () => "its port answers",
  "Layer4 connection problem": () => "its port does not answer",
  "Layer4 timeout": () => "its port does not answer in time",
  "Layer6 check passed": () => "its port answers by TLS",
  "Layer6 invalid response": () => "its port does not speak TLS as it should",
  "Layer6 timeout": () => "its port does not answer by TLS in time",
  "Layer7 check passed": (status) => `its check is answered ${status}`,
  "Layer7 invalid response": () => "its check is not answered by HTTP",
  "Layer7 timeout": () => "its check is not answered in time",
  "Layer7 wrong status": (status) => `its check is answered ${status}`,
};

/** The services by the names of their backends, in the configuration and in the running HAProxy. */
type ByBackend = ReadonlyMap<string, Service>;

export class Words {
  readonly #services = new WeakCache<Model["services"], ByBackend>();

  /** @param runningName returns the name that a backend has in the running HAProxy */
  constructor(private readonly runningName: (backend: string) => string) {}

  /** A message of HAProxy's without names that only HAProxy has. What the model does not have keeps its name. */
  of(message: string, { services }: Model): string {
    if (!message.includes("/") && !/\b(?:backend|proxy) /i.test(message)) return message;
    const known = this.#services.get(services, (all) => this.#byBackend(all));
    return message
      .replace(
        SLOW_HASH,
        "a password of a label takes $1 ms to check, in which that thread of HAProxy does nothing else: " +
          "one that mkpasswd -m sha-512 has made takes 1 ms",
      )
      .replace(LEFT, (_, active: string, backup: string) => `; ${whatIsLeft(active, backup)}`)
      .replace(REASON, (found, state: string, reason: string, status = "") => {
        const why = REASONS[reason]?.(status);
        return why === undefined ? found : `${state}: ${why}`;
      })
      .replace(SERVER, (found: string, kind = "", backend: string, name: string, port = "") => {
        const subject = serverName(backend, known.get(backend), name, port);
        if (subject === undefined) return found;
        return kind === "server " ? `server of ${subject}` : subject;
      })
      .replace(BACKEND, (found, _, name: string) => {
        const service = known.get(name);
        return service === undefined ? found : routeOf(service);
      });
  }

  /**
   * Whether it says that a server of a container is up or down, also one that has just ended and is still checked.
   * Of servers of a template's own HAProxy alone tells.
   */
  isOutage(message: string, { services }: Model): boolean {
    const [, backend = "", name = ""] = OUTAGE.exec(message) ?? [];
    const known = this.#services.get(services, (all) => this.#byBackend(all));
    const service = known.get(backend);
    if (service === undefined) return false;
    return CONTAINER.test(name) || service.servers.some((server) => server.name === name);
  }

  #byBackend(services: readonly Service[]): ByBackend {
    const byName = services.map((service) => [service.backend, service] as const);
    const running = services.map(
      (service) => [this.runningName(service.backend), service] as const,
    );
    return new Map([...byName, ...running]);
  }
}

/** Undefined: nothing is known of it. */
function serverName(
  backend: string,
  service: Service | undefined,
  name: string,
  port: string,
): string | undefined {
  if (service === undefined && !isSpare(backend)) return undefined;
  const route = service === undefined ? [] : [routeOf(service)];
  if (name === WAITING_ROOM) return `the waiting room of ${route[0] ?? "a route that is gone"}`;
  const server = service?.servers.find(({ id }) => id.startsWith(name));
  const place = [...route, ...(port === "" ? [] : [`port ${port}`])].join(", ");
  return `container ${server?.container ?? name}${place === "" ? "" : ` (${place})`}`;
}

function whatIsLeft(active: string, backup: string): string {
  if (active !== "0")
    return `${active} of the service's servers ${active === "1" ? "is" : "are"} up`;
  return backup === "0" ? "no other is up" : "no other is up, so requests wait";
}
