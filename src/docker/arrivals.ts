// The containers that are about to start. Docker connects one to its networks some 200 ms before it
// runs, and gives no answer about it until then. Its networks have its addresses meanwhile, and the list
// and its image tell the rest.

import type { ContainerInfo, ImageInspectInfo, NetworkInspectInfo } from "dockerode";
import type { Attachment } from "../model.ts";
import { attachmentIn } from "./container.ts";
import { Readings } from "./readings.ts";

/** A container that got an address runs within this time, or is inspected. In milliseconds. */
export const STARTED_BY = 2_000;

/** What reads an Engine. Each gives undefined for what is gone. */
interface Reader {
  network(id: string, signal: AbortSignal): Promise<NetworkInspectInfo | undefined>;
  listed(id: string, signal: AbortSignal): Promise<ContainerInfo | undefined>;
  image(id: string, signal: AbortSignal): Promise<ImageInspectInfo | undefined>;
}

interface Arrival {
  /** The IDs of the networks that it was connected to. */
  readonly networks: readonly string[];
  /** When it was last connected to one, in milliseconds since 1970. */
  readonly at: number;
  readonly isRead: boolean;
}

/** What the list and its image say of a container that cannot be inspected. */
export interface Sketch {
  readonly info: ContainerInfo;
  readonly image: ImageInspectInfo;
}

/** A container that has its addresses and does not run yet. */
export interface Arrived {
  /** Empty if the Engine does not tell them. */
  readonly attachments: readonly Attachment[];
  /** Undefined if it was inspected before, or if the Engine does not tell. */
  readonly sketch: Sketch | undefined;
}

export class Arrivals {
  /** By container ID. */
  readonly #all = new Map<string, Arrival>();
  readonly #networks: Readings<NetworkInspectInfo | undefined>;
  readonly #sketches: Readings<Sketch | undefined>;
  /** The sketches that are there before the addresses, by container ID. */
  readonly #early = new Map<string, Sketch | undefined>();

  /** @param changed called when something has answered while nobody waited */
  constructor(reader: Reader, changed: () => void) {
    this.#networks = new Readings((id, signal) => reader.network(id, signal), changed);
    this.#sketches = new Readings(async (id, signal) => {
      const info = await reader.listed(id, signal);
      const image = info && (await reader.image(info.ImageID, signal));
      return info && image && { info, image };
    }, changed);
  }

  /** Notes that a container that does not run was connected to a network, by their IDs. */
  note(id: string, network: string): void {
    const networks = [...(this.#all.get(id)?.networks ?? []), network];
    this.#all.set(id, { networks: [...new Set(networks)], at: Date.now(), isRead: false });
  }

  /** Whether a container, by its ID, may still be about to start. */
  has(id: string): boolean {
    const { at } = this.#all.get(id) ?? {};
    return at !== undefined && Date.now() < at + STARTED_BY;
  }

  /** Whether a container, by its ID, has got addresses that are not known yet. */
  isUnread(id: string): boolean {
    return this.#all.get(id)?.isRead === false;
  }

  /** Notes that a container runs, or does not start after all. */
  delete(id: string): void {
    this.#all.delete(id);
    this.#early.delete(id);
  }

  /**
   * Reads the addresses that are not known yet, and waits at most `ms` milliseconds for them.
   * @param isKnown whether a container was inspected before, by its ID
   * @returns what is known now, by container ID
   */
  async read(
    isKnown: (id: string) => boolean,
    ms: number,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Arrived>> {
    const unread = [...this.#all].filter(([, { isRead }]) => !isRead);
    const found = new Map<string, Arrived>();
    if (unread.length === 0) return found;
    const networks = new Set(unread.flatMap(([, arrival]) => arrival.networks));
    const unknown = unread.map(([id]) => id).filter((id) => !isKnown(id) && !this.#early.has(id));
    const [{ results, failures }, sketches] = await Promise.all([
      this.#networks.take([...networks], ms, signal),
      this.#sketches.take(unknown, ms, signal),
    ]);
    for (const [id, sketch] of sketches.results) this.#early.set(id, sketch);
    for (const id of sketches.failures.keys()) this.#early.set(id, undefined);
    for (const [id, arrival] of unread) {
      // Another event may have come meanwhile.
      if (this.#all.get(id) !== arrival) continue;
      const attachments = arrival.networks.flatMap((network) => {
        const read = results.get(network);
        return (read && attachmentIn(read, id)) ?? [];
      });
      const hasFailed = arrival.networks.some((network) => failures.has(network));
      const hasAll = attachments.length === arrival.networks.length;
      if (!hasAll && !hasFailed) continue;
      if (!isKnown(id) && !this.#early.has(id)) continue;
      found.set(id, { attachments: hasAll ? attachments : [], sketch: this.#early.get(id) });
      this.#all.set(id, { ...arrival, isRead: true });
    }
    return found;
  }
}
