// A container as the Engine describes it, turned into the model's.

import { constants } from "node:os";
import type { ContainerInfo, ContainerInspectInfo } from "dockerode";
import type { Attachment, Container, ContainerState, Health } from "../model.ts";

const SIGTERM = 15;
const SIGRTMIN = 34;
const SIGRTMAX = 64;
/** Docker's default for `docker stop`, in seconds. */
const DEFAULT_STOP_TIMEOUT = 10;
/** What -1, for no limit at all, is taken for, in seconds: as long as HAProxy keeps an old worker. */
const ENDLESS_STOP_TIMEOUT = 3_600;

/** What the Engine says of how a container is ended; missing where the image says nothing. */
interface StopConfig {
  readonly StopSignal?: string;
  /** In seconds. */
  readonly StopTimeout?: number;
}

const STATES: Readonly<Record<string, ContainerState>> = {
  created: "created",
  running: "running",
  paused: "paused",
  restarting: "restarting",
  removing: "removing",
  exited: "exited",
  dead: "dead",
  // Podman's names.
  configured: "created",
  stopped: "exited",
  stopping: "running",
};

/** @param stopping when a signal that ends it was sent, in milliseconds since 1970; 0: none */
export function toContainer(info: ContainerInspectInfo, stopping: number): Container {
  return {
    id: info.Id,
    name: info.Name.replace(/^\//, ""),
    image: info.Config.Image,
    imageId: info.Image,
    created: Date.parse(info.Created),
    labels: info.Config.Labels ?? {},
    state: STATES[info.State.Status] ?? "dead",
    health: toHealth(info.State.Health?.Status),
    stopping,
    stopTimeout: toStopTimeout((info.Config as StopConfig).StopTimeout),
    networkMode: info.HostConfig.NetworkMode ?? "default",
    attachments: toAttachments(info.NetworkSettings?.Networks),
    exposed: toPorts([
      ...Object.keys(info.Config.ExposedPorts ?? {}),
      ...Object.keys(info.NetworkSettings?.Ports ?? {}),
    ]),
  };
}

/**
 * A container as the list describes it. The list lags behind and lacks a few things: it is for a
 * container that cannot be inspected.
 */
export function fromList(info: ContainerInfo): Container {
  // A link gives a container further names, below another one's.
  const name = info.Names.find((each) => each.lastIndexOf("/") === 0) ?? info.Names[0] ?? "";
  return {
    id: info.Id,
    name: name.replace(/^\//, ""),
    image: info.Image,
    imageId: info.ImageID,
    created: info.Created * 1000,
    labels: info.Labels,
    state: STATES[info.State] ?? "dead",
    // `Up 5 minutes (healthy)`, `(unhealthy)`, `(health: starting)`
    health: toHealth(/\((?:health: )?(\w+)\)/.exec(info.Status)?.[1]),
    stopping: 0,
    stopTimeout: toStopTimeout(),
    networkMode: info.HostConfig.NetworkMode,
    attachments: toAttachments(info.NetworkSettings.Networks),
    exposed: toPorts(info.Ports.map(({ PrivatePort, Type }) => `${PrivatePort}/${Type}`)),
  };
}

/** How long a container has, in milliseconds. */
function toStopTimeout(seconds = DEFAULT_STOP_TIMEOUT): number {
  return (seconds < 0 ? ENDLESS_STOP_TIMEOUT : seconds) * 1000;
}

/** The number of the signal that asks a container to end. */
export function toStopSignal(info: ContainerInspectInfo): number {
  return signalNumber((info.Config as StopConfig).StopSignal) ?? SIGTERM;
}

/** The number of a signal given as `15`, `TERM` or `SIGTERM`; undefined where there is none such. */
export function signalNumber(text: string | number | undefined): number | undefined {
  const name = String(text ?? "").toUpperCase();
  if (/^\d+$/.test(name)) return Number(name);
  // The init of a whole system in a container takes SIGRTMIN+3. Source: signal(7).
  const [, low, high] = /^(?:SIG)?RT(?:MIN\+?(\d*)|MAX-?(\d*))$/.exec(name) ?? [];
  if (low !== undefined) return SIGRTMIN + Number(low);
  if (high !== undefined) return SIGRTMAX - Number(high);
  const signals: Readonly<Record<string, number>> = constants.signals;
  return signals[name] ?? signals[`SIG${name}`];
}

function toHealth(status: string | undefined): Health {
  return status === "starting" || status === "healthy" || status === "unhealthy" ? status : "none";
}

function toAttachments(
  networks: ContainerInfo["NetworkSettings"]["Networks"] | null | undefined,
): Attachment[] {
  return Object.entries(networks ?? {})
    .map(([network, { IPAddress, GlobalIPv6Address }]) => ({
      network,
      ipv4: IPAddress ?? "",
      ipv6: GlobalIPv6Address ?? "",
    }))
    .toSorted((a, b) => (a.network < b.network ? -1 : 1));
}

/** @param names such as `80/tcp` */
function toPorts(names: readonly string[]): number[] {
  const ports = names.filter((name) => name.endsWith("/tcp")).map((name) => parseInt(name, 10));
  return [...new Set(ports)].toSorted((a, b) => a - b);
}
