// The Engines that the user chose: one, or several with a name each.

import { withTimeout } from "../lib/async.ts";
import { GatewayError } from "../lib/errors.ts";
import { about, type Logger } from "../lib/log.ts";
import { ownName, engineIn, type Container, type Snapshot, type Source } from "../model.ts";
import { chooseEngines, type ChosenEngine, type GivenEngine } from "./choice.ts";
import { DockerClient, NoAnswer, type SwarmWish } from "./client.ts";
import { toContainer } from "./container.ts";
import { EngineSource, readOnce } from "./engine.ts";
import type { Environment } from "./host.ts";
import { JoinedSource, type JoinedEngine, type Remembered } from "./joined.ts";
import { createTransport } from "./transport.ts";

/** So long an Engine may take to tell of a container, in milliseconds: it answers at once, or not at all. */
const FIND_PATIENCE = 5_000;
/** Source: the Engine's `RestrictedNameChars`. Other text in the URL would ask something else. */
const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export class Engines {
  readonly clients: readonly DockerClient[];

  /** @param clients if there are several, each has a site */
  constructor(clients: readonly DockerClient[]) {
    this.clients = clients;
  }

  /**
   * Makes a client for each Engine that the user chose. None is connected yet.
   * @param swarm whether the services of a swarm are wanted
   * @throws GatewayError if a choice cannot work
   */
  static open(given: readonly GivenEngine[], env: Environment, swarm: SwarmWish): Engines {
    return new Engines(chooseEngines(given, env).map((chosen) => open(chosen, swarm)));
  }

  /** Whether the Engines have names, so that containers go by those, too. */
  get areNamed(): boolean {
    return this.clients.some(({ site }) => site !== undefined);
  }

  /** The machine of the only Engine, if that has no name and is elsewhere: its networks can be reached. */
  get remoteHost(): string | undefined {
    const [only] = this.clients;
    return this.areNamed ? undefined : only?.transport.remoteHost;
  }

  /** Whether requests go to other machines than this one. */
  get areRemote(): boolean {
    return this.clients.some(
      ({ site, transport }) => (site ?? { host: transport.remoteHost }).host !== undefined,
    );
  }

  /**
   * Makes the source of their containers.
   * @param remembered what an earlier gateway knew; of use only where they have names
   */
  source(log: Logger, remembered?: Remembered): Source {
    const [only] = this.clients;
    if (only !== undefined && !this.areNamed) return new EngineSource(only, log);
    return new JoinedSource(this.#joined(this.clients, log), remembered, log);
  }

  /**
   * Reads all containers once. Of several Engines it is enough if one answers.
   * @throws GatewayError `docker` if none does
   */
  async readOnce(
    log: Logger,
    { signal }: { readonly signal: AbortSignal } = new AbortController(),
  ): Promise<Snapshot> {
    const [only] = this.clients;
    if (only !== undefined && !this.areNamed) return readOnce(only, log, { signal });
    const tries = await Promise.allSettled(this.clients.map((client) => client.connect(signal)));
    const failed = tries.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    const answering = this.clients.filter((_, at) => tries[at]?.status === "fulfilled");
    if (answering.length === 0) throw failed[0];
    for (const error of failed) log.failure(error, "only the containers of the others are known");
    const source = new JoinedSource(this.#joined(answering, log), undefined, log);
    await source.connect(signal);
    await source.refresh(signal);
    return source.snapshot();
  }

  /**
   * Finds containers by their name or ID, running or not. With `@` and the name of an Engine behind it, only
   * that one is asked.
   * @throws GatewayError `docker` if nothing was found and an Engine cannot be asked
   */
  async find(word: string, signal: AbortSignal): Promise<readonly Container[]> {
    const [name, engine] = [ownName({ name: word }), engineIn(word)];
    if (!CONTAINER_NAME.test(name)) return [];
    const asked = this.clients.filter(
      ({ site }) => engine === undefined || site?.engine === engine,
    );
    const answers = await Promise.allSettled(asked.map((client) => findAt(client, name, signal)));
    const found = answers.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
    const failure = answers.find((each) => each.status === "rejected");
    if (found.length === 0 && failure !== undefined) throw failure.reason;
    return found;
  }

  close(): void {
    for (const { transport } of this.clients) transport.close();
  }

  #joined(clients: readonly DockerClient[], log: Logger): JoinedEngine[] {
    return clients.map((client) => {
      const { site, transport } = client;
      if (site === undefined) throw new GatewayError("bug", "Cannot join an Engine without a name");
      const source = new EngineSource(client, about(log, `Engine ${site.engine}`));
      return { name: site.engine, url: transport.name, isHere: site.host === undefined, source };
    });
  }
}

/** @throws GatewayError `docker` if the Engine cannot be asked */
async function findAt(
  client: DockerClient,
  name: string,
  signal: AbortSignal,
): Promise<readonly Container[]> {
  const { site, transport, whereabouts } = client;
  const away = `Cannot ask Docker at "${transport.name}" for "${name}"`;
  if (site !== undefined && whereabouts === undefined) {
    throw new GatewayError("docker", `${away}: Engine ${site.engine} has not answered yet`);
  }
  try {
    const info = await withTimeout(FIND_PATIENCE, signal, (limit) => client.inspect(name, limit));
    return info === undefined ? [] : [toContainer(info, 0, whereabouts)];
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    const problem = `${away}: no answer in ${FIND_PATIENCE / 1000} s`;
    throw new NoAnswer("docker", problem, { cause: error });
  }
}

function open({ choice, site }: ChosenEngine, swarm: SwarmWish): DockerClient {
  const { host, tls, apiVersion } = choice;
  return new DockerClient(createTransport(host, tls), apiVersion, swarm, site);
}
