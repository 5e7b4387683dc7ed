// From the containers to the model: which are routed, and under which host and path.

import { addressChooser, choosePorts, type AddressOptions } from "./address.ts";
import { assignHosts } from "./hosts.ts";
import { parseImage } from "./image.ts";
import { readLabels } from "./labels.ts";
import type {
  Backend,
  Container,
  Model,
  Reach,
  Rejection,
  Route,
  Server,
  Snapshot,
} from "./model.ts";

export interface RoutingOptions extends AddressOptions {
  /** Routes go by host names below this domain; undefined: by path. */
  readonly domain: string | undefined;
  /** Containers left out whatever else holds, by their ID, each with the reason. */
  readonly excluded?: Readonly<Record<string, string>>;
}

/** A routed container: its repository and its servers, of which a restarting one has none. */
interface Member {
  readonly container: Container;
  readonly repository: string;
  readonly domain: string;
  readonly servers: readonly Server[];
  readonly warnings: readonly string[];
}

/** Decides for every container whether and where it is served. Same containers, same model. */
export function route(snapshot: Snapshot, reach: Reach, options: RoutingOptions): Model {
  const chooseAddress = addressChooser(snapshot, reach, options);
  const members: Member[] = [];
  const rejections: Rejection[] = [];
  for (const container of snapshot.containers.toSorted((a, b) => compare(a.id, b.id))) {
    const placed = place(container);
    if (!("reason" in placed)) members.push(placed);
    else {
      const { id, name, image } = container;
      rejections.push({ id, container: name, image, reason: placed.reason });
    }
  }

  const services = [...Map.groupBy(members, (member) => member.repository)].toSorted(([a], [b]) =>
    compare(a, b),
  );
  const { domain } = options;
  const hosts = domain === undefined ? undefined : assignHosts(services.map(toClaimant), domain);
  const backends = services.map(([repository, group]) =>
    toBackend(repository, group, hosts?.names.get(repository) ?? []),
  );
  return {
    routes: backends.flatMap(hosts === undefined ? pathRoute : hostRoutes),
    backends,
    rejections,
    warnings: [
      ...members.flatMap(({ container, warnings }) =>
        warnings.map((warning) => `container ${container.name}: ${warning}`),
      ),
      ...services.flatMap(([, group]) => mixedRegistries(group)),
      ...(hosts?.warnings ?? []),
    ],
  };

  function place(container: Container): Member | { readonly reason: string } {
    const excluded = options.excluded?.[container.id];
    if (excluded !== undefined) return { reason: excluded };
    if (!["running", "paused", "restarting"].includes(container.state)) {
      return { reason: `it is ${container.state}` };
    }
    const labels = readLabels(container.labels);
    if ("reason" in labels) return labels;
    if (!labels.enable) return { reason: "label gateway.enable is false" };
    const image = parseImage(container.image, container.imageId);
    if ("reason" in image) return image;

    const member = {
      container,
      repository: image.repository,
      domain: image.domain,
      warnings: labels.warnings,
    };
    // Docker will start it again: the route stays, and answers 503 until then.
    if (container.state === "restarting") return { ...member, servers: [] };

    const address = chooseAddress(container, labels.network);
    if ("reason" in address) return address;
    const ports = choosePorts(container, labels.port, address, options);
    if ("reason" in ports) return ports;
    const servers = ports.map((port, index) => ({
      ...toServer(container, address.address, port, index > 0),
      name: serverName(container, ports.length > 1 ? port : undefined),
    }));
    return { ...member, servers };
  }
}

/**
 * A server's name holds its container's ID: a container that is made anew under the same name must
 * not inherit what HAProxy knew of the old one.
 */
function serverName(container: Container, port: number | undefined): string {
  const name = container.name.replaceAll(/[^A-Za-z0-9_.-]/g, "_");
  const id = container.id.slice(0, 12);
  return port === undefined ? `${name}:${id}` : `${name}:${id}:${port}`;
}

function toServer(container: Container, address: string, port: number, backup: boolean) {
  const why = whyDisabled(container);
  const { name, id, image, labels, stopTimeout } = container;
  const disabled = why !== "";
  return { container: name, id, image, labels, stopTimeout, address, port, backup, disabled, why };
}

function whyDisabled(container: Container): string {
  if (container.state === "paused") return "paused";
  if (container.health === "starting" || container.health === "unhealthy") return container.health;
  return container.stopping > 0 ? "stopping" : "";
}

function toBackend(
  repository: string,
  group: readonly Member[],
  hosts: readonly string[],
): Backend {
  return {
    // A colon cannot occur in a repository, so that no two repositories have one name.
    name: repository.replaceAll("/", ":"),
    repository,
    path: `/${repository}`,
    hosts,
    servers: keepLast(group.toSorted(byName)),
  };
}

function byName(a: Member, b: Member): number {
  return compare(a.container.name, b.container.name) || compare(a.container.id, b.container.id);
}

/** Where nothing else is left, the container that was told to stop last goes on: it may answer. */
function keepLast(group: readonly Member[]): readonly Server[] {
  const servers = group.flatMap((member) => member.servers);
  if (servers.some(({ disabled }) => !disabled)) return servers;
  const last = group
    .filter((member) => member.servers.some(({ why }) => why === "stopping"))
    .toSorted((a, b) => a.container.stopping - b.container.stopping)
    .at(-1);
  return servers.map((server) =>
    server.id === last?.container.id ? { ...server, disabled: false, why: "" } : server,
  );
}

function pathRoute(backend: Backend): Route[] {
  const { name, path } = backend;
  const strip = path.split("/").length - 1;
  return [{ host: "", path, strip, key: `${path}/`, backend: name }];
}

function hostRoutes(backend: Backend): Route[] {
  return backend.hosts.map((host) => ({
    host,
    path: "/",
    strip: 0,
    key: `${host}/`,
    backend: backend.name,
  }));
}

function mixedRegistries(group: readonly Member[]): string[] {
  const domains = [...new Set(group.map(({ domain }) => domain))].toSorted();
  const [first] = group;
  if (first === undefined || domains.length < 2) return [];
  const names = domains.map((domain) => [domain, first.repository].filter(Boolean).join("/"));
  return [`images ${names.join(" and ")} share one path, so requests are spread over all of them`];
}

/** A repository with the time its oldest container was made. */
function toClaimant([repository, group]: readonly [string, readonly Member[]]) {
  return { repository, created: Math.min(...group.map(({ container }) => container.created)) };
}

/** Orders by code unit: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
