// Runs containers for the tests, and reads the answers of their servers.

import { basename } from "node:path";
import type Dockerode from "dockerode";
import type { EngineAccess } from "./engine.ts";
import { eventually } from "./http.ts";
import { exposedPorts, healthConfig, type Healthcheck } from "./images.ts";

export interface RunOptions {
  /** The server answers with this name, too. A new name by default. */
  name?: string;
  labels?: Record<string, string>;
  /** The name of a network. The default bridge by default. */
  network?: string;
  /** Uses the network of the host. The server then listens on `ports` of the host. */
  hostNetwork?: boolean;
  /** The name or ID of a container whose network it shares. */
  networkOf?: string;
  env?: Record<string, string>;
  cmd?: string[];
  /** The ports on which the server listens. 8000 by default. */
  ports?: number[];
  expose?: (number | string)[];
  healthcheck?: Healthcheck;
  restart?: "no" | "always" | "on-failure" | "unless-stopped";
  stopSignal?: string;
  /** How long it goes on serving after the signal to stop, in milliseconds. */
  graceMs?: number;
  /** Whether it ignores the signal to stop, so that only KILL ends it. */
  ignoreTerm?: boolean;
  /** Other options of the API. */
  create?: Dockerode.ContainerCreateOptions;
}

/** A container that has been started. */
export interface Container {
  id: string;
  name: string;
  /** Its IPv4 address in this network, or in its only one. @throws Error if it has none */
  ip(network?: string): Promise<string>;
  /** Sends the signal to stop, and KILL after these seconds, as `docker stop` does. */
  stop(seconds?: number): Promise<void>;
  start(): Promise<void>;
  kill(signal?: string): Promise<void>;
  remove(): Promise<void>;
  inspect(): Promise<Dockerode.ContainerInspectInfo>;
  /** Runs a command in it and returns its output. @throws Error if it fails */
  exec(command: string[]): Promise<string>;
  /** Makes the default health check and `/health` succeed or fail. */
  setHealthy(healthy: boolean): Promise<void>;
}

let count = 0;

/** Makes a container of an image, but does not start it. */
export async function create(
  engine: EngineAccess,
  image: string,
  options: RunOptions = {},
): Promise<Container> {
  const name = options.name ?? `lab-${++count}`;
  const made = await engine.docker.createContainer(creation(engine, image, name, options));
  return handle(engine, made.id, name);
}

/** Makes and starts a container of an image. Its server listens some milliseconds later. */
export async function run(
  engine: EngineAccess,
  image: string,
  options: RunOptions = {},
): Promise<Container> {
  const container = await create(engine, image, options);
  await container.start();
  return container;
}

/** Removes all containers, and all networks but the engine's own. */
export async function removeAll(engine: EngineAccess): Promise<void> {
  const containers = await engine.docker.listContainers({ all: true });
  // Podman refuses to remove a container while another one shares its network.
  await Promise.all(
    containers.map(({ Id }) => eventually(() => remove(engine.docker.getContainer(Id)))),
  );
  const networks = await engine.docker.listNetworks();
  const own = new Set(["bridge", "host", "none", "podman"]);
  await Promise.all(
    networks
      .filter(({ Name }) => !own.has(Name))
      .map(({ Id }) => engine.docker.getNetwork(Id).remove()),
  );
}

/** A request, as the server of the lab tells in its answer. */
export interface Answer {
  /** The host name of the container. */
  container: string;
  /** The name of the container, as `run` gave it. */
  name: string;
  method: string;
  /** The path and the query, byte by byte. */
  target: string;
  version: string;
  /** The length of the body, in bytes. */
  body: number;
  headers: [name: string, value: string][];
  /** The first header with this name, in upper or lower case. */
  header(name: string): string | undefined;
}

/** Reads the body of an answer of the server. */
export function parseAnswer(body: string): Answer {
  const pairs = body
    .trimEnd()
    .split("\n")
    .map((line) => splitAt(line, ": "));
  const field = (name: string): string => {
    const pair = pairs.find(([key]) => key === name);
    if (pair === undefined) throw new Error(`not an answer of the lab's server: ${body}`);
    return pair[1];
  };
  const headers = pairs
    .filter(([key]) => key === "header")
    .map(([, header]) => splitAt(header, ":"))
    .map(([name, value]): [string, string] => [name, value.trim()]);
  return {
    container: field("container"),
    name: field("name"),
    method: field("method"),
    target: field("target"),
    version: field("version"),
    body: Number(field("body")),
    headers,
    header: (name) => headers.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1],
  };
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

function creation(
  engine: EngineAccess,
  image: string,
  name: string,
  options: RunOptions,
): Dockerode.ContainerCreateOptions {
  const variables: Record<string, string> = { LAB_NAME: name };
  if (options.ports !== undefined) variables["LAB_PORTS"] = options.ports.join(" ");
  if (options.graceMs !== undefined) variables["LAB_GRACE_MS"] = String(options.graceMs);
  if (options.ignoreTerm === true) variables["LAB_STUBBORN"] = "yes";
  const env = Object.entries({ ...variables, ...options.env }).map(
    ([key, value]) => `${key}=${value}`,
  );
  let networkMode = options.network;
  if (options.hostNetwork === true) networkMode = "host";
  if (options.networkOf !== undefined) networkMode = `container:${options.networkOf}`;
  return {
    name,
    Image: image,
    Env: env,
    ...(options.cmd && { Cmd: options.cmd }),
    ...(options.labels && { Labels: options.labels }),
    ...(options.stopSignal !== undefined && { StopSignal: options.stopSignal }),
    ...(options.expose && { ExposedPorts: exposedPorts(options.expose) }),
    ...(options.healthcheck && { Healthcheck: healthConfig(options.healthcheck) }),
    ...options.create,
    HostConfig: {
      // Docker has been told so once for all.
      ...(engine.flavour === "podman" &&
        engine.dir !== undefined && { CgroupParent: `/${basename(engine.dir)}` }),
      ...(networkMode !== undefined && { NetworkMode: networkMode }),
      ...(options.restart !== undefined && { RestartPolicy: { Name: options.restart } }),
      ...options.create?.HostConfig,
    },
  };
}

function handle(engine: EngineAccess, id: string, name: string): Container {
  const container = engine.docker.getContainer(id);
  const exec = async (command: string[]): Promise<string> => {
    const started = await container.exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
    const stream = await started.start({});
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
    const output = demultiplex(Buffer.concat(chunks));
    const { ExitCode: code } = await started.inspect();
    if (code !== 0) throw new Error(`"${command.join(" ")}" ended with ${code}: ${output}`);
    return output;
  };
  return {
    id,
    name,
    exec,
    inspect: () => container.inspect(),
    start: async () => void (await container.start()),
    stop: async (seconds = 10) => void (await container.stop({ t: seconds })),
    kill: async (signal = "SIGKILL") => void (await container.kill({ signal })),
    remove: () => remove(container),
    setHealthy: async (healthy) => {
      await exec(healthy ? ["touch", "/lab/healthy"] : ["rm", "-f", "/lab/healthy"]);
    },
    ip: async (network) => {
      const { Networks } = (await container.inspect()).NetworkSettings;
      const found = network === undefined ? Object.values(Networks)[0] : Networks[network];
      if (!found?.IPAddress) throw new Error(`Container "${name}" has no address`);
      return found.IPAddress;
    },
  };
}

// An engine refuses to remove a container that is already being removed. It is gone soon anyway.
async function remove(container: Dockerode.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    const status = (error as { statusCode?: number }).statusCode;
    if (status !== 404 && status !== 409) throw error;
  }
}

// Each part begins with 8 bytes: the stream, three zeros, and the length.
function demultiplex(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const end = at + 8 + bytes.readUInt32BE(at + 4);
    parts.push(bytes.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(parts).toString();
}
