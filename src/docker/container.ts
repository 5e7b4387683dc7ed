// Turns the Engine's description of a container into the model's `Container`.

import { constants } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type {
  ContainerInfo,
  ContainerInspectInfo,
  ImageInspectInfo,
  NetworkInspectInfo,
} from "dockerode";
import {
  atEngine,
  type Attachment,
  type Container,
  type ContainerState,
  type Elsewhere,
  type Health,
  type Publication,
} from "../model.ts";
import type { Whereabouts } from "./client.ts";

const SIGTERM = 15;
const SIGRTMIN = 34;
const SIGRTMAX = 64;
/** Docker's default for `docker stop`, in seconds. */
const DEFAULT_STOP_TIMEOUT = 10;
/** Used for -1 (no limit), in seconds: as long as HAProxy keeps an old worker. */
const ENDLESS_STOP_TIMEOUT = 3_600;

/** How a container is ended; a field is missing if neither the image nor the user sets it. */
interface StopConfig {
  readonly StopSignal?: string;
  /** In seconds. */
  readonly StopTimeout?: number;
}

/** How a container is checked; it is missing if neither the image nor the user says so. */
interface HealthConfig {
  readonly Healthcheck?: { readonly Test?: readonly string[] };
}

/**
 * The variables by which nginx-proxy serves containers. All others stay with the Engine: an
 * environment has secrets, and what is not kept can neither be logged nor found in memory.
 */
const KEPT_VARIABLES = new Set([
  "VIRTUAL_HOST",
  "VIRTUAL_HOST_MULTIPORTS",
  "VIRTUAL_PATH",
  "VIRTUAL_DEST",
  "VIRTUAL_PORT",
  "VIRTUAL_PROTO",
  "VIRTUAL_ROOT",
  "NETWORK_ACCESS",
  "HTTPS_METHOD",
  "HSTS",
]);
/** Most containers have none of them, and share this. */
const NO_VARIABLES: Container["environment"] = Object.freeze({});

/** All addresses of a machine. */
const ANY = "0.0.0.0";

const NO_LABELS: Container["labels"] = Object.freeze({});

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

/** Whether a container is a task of a swarm, by the labels of its Engine. It never runs a second time. */
export function isTask({ labels }: Pick<Container, "labels">): boolean {
  return labels["com.docker.swarm.task.id"] !== undefined;
}

/**
 * @param stopping when a signal to end was sent, in milliseconds since 1970; 0: none was
 * @param where undefined: there is only one Engine
 */
export function toContainer(
  info: ContainerInspectInfo,
  stopping: number,
  where?: Whereabouts,
): Container {
  return {
    id: info.Id,
    name: atEngine(info.Name.replace(/^\//, ""), where?.engine),
    image: info.Config.Image,
    imageId: info.Image,
    created: Date.parse(info.Created),
    labels: toLabels(info.Config.Labels),
    environment: toEnvironment(info.Config.Env),
    state: STATES[info.State.Status] ?? "dead",
    health: toHealth(info.State.Health?.Status),
    stopping,
    stopTimeout: toStopTimeout((info.Config as StopConfig).StopTimeout),
    networkMode: info.HostConfig.NetworkMode ?? "default",
    attachments: toAttachments(info.NetworkSettings?.Networks),
    exposed: toPorts([
      ...Object.keys(info.Config.ExposedPorts ?? {}),
      ...Object.keys(info.NetworkSettings?.Ports ?? {}),
      // Before it runs, only this names the ports that are published.
      ...Object.keys((info.HostConfig.PortBindings as object | null) ?? {}),
    ]),
    ...toProcess(info.State),
    ...toPlace(where, () =>
      Object.entries(info.NetworkSettings?.Ports ?? {}).flatMap(([name, bindings]) =>
        ((bindings as readonly Binding[] | null) ?? []).map(({ HostIp, HostPort }) => ({
          name,
          at: HostIp,
          port: Number(HostPort),
        })),
      ),
    ),
  };
}

/** Where a port is published, as the inspection of a container tells. */
interface Binding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

/** A port: its name is such as `80/tcp`. Of one that is not published, nothing else is there. */
interface PublishedName {
  readonly name: string;
  readonly at: string | undefined;
  readonly port: number;
}

/** What tells a container of one of several Engines apart. */
function toPlace(
  where: Whereabouts | undefined,
  published: () => readonly PublishedName[],
): Pick<Container, "engine" | "elsewhere"> {
  if (where === undefined) return {};
  const { engine, address } = where;
  if (address === undefined) return { engine };
  return { engine, elsewhere: { address, published: toPublications(published()) } };
}

/** Sorted, as the Engine tells them in any order. */
function toPublications(published: readonly PublishedName[]): Elsewhere["published"] {
  const found = published
    .filter(({ name, port }) => name.endsWith("/tcp") && port > 0)
    // Podman leaves the address out where it is any.
    .map(({ name, at, port }): Publication => {
      return { at: at === undefined || at === "" ? ANY : at, target: parseInt(name, 10), port };
    });
  const byText = new Map(found.map((each) => [JSON.stringify(each), each]));
  return [...byText.keys()].toSorted().flatMap((text) => byText.get(text) ?? []);
}

/**
 * Makes a container from its entry in the list. The list lags behind and lacks a few fields, so
 * this is only for a container that cannot be inspected.
 */
export function fromList(info: ListedContainer, where?: Whereabouts): Container {
  // A link gives a container more names, such as `/other/name`.
  const names = info.Names ?? [];
  const name = names.find((each) => each.lastIndexOf("/") === 0) ?? names[0] ?? "";
  return {
    id: info.Id,
    name: atEngine(name.replace(/^\//, ""), where?.engine),
    image: info.Image ?? "",
    imageId: info.ImageID ?? "",
    created: (info.Created ?? 0) * 1000,
    labels: toLabels(info.Labels),
    environment: NO_VARIABLES,
    state: STATES[info.State ?? ""] ?? "dead",
    // `Up 5 minutes (healthy)`, `(unhealthy)`, `(health: starting)`
    health: toHealth(/\((?:health: )?(\w+)\)/.exec(info.Status ?? "")?.[1]),
    stopping: 0,
    stopTimeout: toStopTimeout(),
    networkMode: info.HostConfig?.NetworkMode ?? "default",
    attachments: toAttachments(info.NetworkSettings?.Networks),
    exposed: toPorts((info.Ports ?? []).map((port) => `${port.PrivatePort}/${port.Type}`)),
    pid: 0,
    startedAt: "",
    ...toPlace(where, () =>
      (info.Ports ?? []).map(({ IP, PrivatePort, PublicPort, Type }) => {
        return { name: `${PrivatePort}/${Type}`, at: IP, port: PublicPort };
      }),
    ),
  };
}

/** The variables of a container that say how it is served. */
export function toEnvironment(
  lines: readonly string[] | null | undefined,
): Container["environment"] {
  let environment: Record<string, string> | undefined;
  for (const line of lines ?? []) {
    const equals = line.indexOf("=");
    const name = line.slice(0, Math.max(equals, 0));
    if (KEPT_VARIABLES.has(name)) (environment ??= {})[name] = line.slice(equals + 1);
  }
  return environment ?? NO_VARIABLES;
}

/** Containers without labels share that. */
function toLabels(labels: Container["labels"] | null | undefined): Container["labels"] {
  return Object.keys(labels ?? {}).length === 0 ? NO_LABELS : (labels ?? NO_LABELS);
}

/** Whether the list names the image. It has only an ID once the tag belongs to another image. */
export function listNamesImage({ Image }: ListedContainer): boolean {
  return !/^(sha256:)?[0-9a-f]{12,64}$/.test(Image ?? "");
}

/** An entry of the list; other Engines than Docker's leave out what is empty. */
type ListedContainer = Pick<ContainerInfo, "Id"> & {
  readonly [Field in Exclude<keyof ContainerInfo, "Id">]?: ContainerInfo[Field] | null;
};

/** The process of a container; a field is missing if the Engine leaves out what is empty. */
interface ProcessState {
  readonly Pid?: number;
  readonly StartedAt?: string;
}

function toProcess({
  Pid = 0,
  StartedAt = "",
}: ProcessState): Pick<Container, "pid" | "startedAt"> {
  return { pid: Pid, startedAt: StartedAt };
}

/** How long a container has to end, in milliseconds. */
function toStopTimeout(seconds = DEFAULT_STOP_TIMEOUT): number {
  return (seconds < 0 ? ENDLESS_STOP_TIMEOUT : seconds) * 1000;
}

/** A container that is about to start, with the addresses that it has then. */
export function asStarting(container: Container, attachments: readonly Attachment[]): Container {
  const sorted = attachments.toSorted(byNetwork);
  return {
    ...container,
    state: "starting",
    attachments: sorted,
    pid: 0,
    startedAt: "",
    stopping: 0,
  };
}

/** The same container, which has just started. @param isChecked whether it has a HEALTHCHECK */
export function asStarted(container: Container, isChecked: boolean): Container {
  return { ...container, state: "running", health: isChecked ? "starting" : "none" };
}

/**
 * Whether a container is what was known of it before it started. What the list does not say, or not
 * exactly, does not count.
 * @param known what was known
 */
export function isAsKnown(known: Container, now: Container): boolean {
  const { state, health, pid, startedAt, stopTimeout, created } = now;
  return isDeepStrictEqual(
    { ...known, state, health, pid, startedAt, stopTimeout, created },
    { ...now },
  );
}

/**
 * Makes a container that does not run from the list and its image, for the time in which it cannot be
 * inspected. What was said only when it was created is missing.
 */
export function fromImage(
  info: ListedContainer,
  image: ImageInspectInfo,
  where?: Whereabouts,
): Container {
  const listed = fromList(info, where);
  return {
    ...listed,
    // The list has whole seconds. It must not seem older than one of the same second that serves.
    created: listed.created + 999,
    exposed: toPorts(Object.keys(image.Config.ExposedPorts ?? {})),
  };
}

/** Whether a container, or all of an image, has a HEALTHCHECK. */
export function hasHealthCheck({ Config }: ContainerInspectInfo | ImageInspectInfo): boolean {
  const [kind = "NONE"] = (Config as HealthConfig).Healthcheck?.Test ?? [];
  return kind !== "NONE" && kind !== "";
}

/** The address of a container in a network; undefined if it has none there yet. */
export function attachmentIn(network: NetworkInspectInfo, id: string): Attachment | undefined {
  const { IPv4Address = "", IPv6Address = "" } = network.Containers?.[id] ?? {};
  const [ipv4 = "", ipv6 = ""] = [IPv4Address, IPv6Address].map((each) => each.split("/", 1)[0]);
  if (ipv4 === "" && ipv6 === "") return undefined;
  return { network: network.Name, ipv4, ipv6 };
}

/** The number of the signal that asks a container to end. */
export function toStopSignal(info: ContainerInspectInfo | ImageInspectInfo): number {
  return signalNumber((info.Config as StopConfig).StopSignal) ?? SIGTERM;
}

/** The number of a signal given as `15`, `TERM` or `SIGTERM`; undefined if it is unknown. */
export function signalNumber(text: string | number | undefined): number | undefined {
  const name = String(text ?? "").toUpperCase();
  if (/^\d+$/.test(name)) return Number(name);
  // An init system in a container is stopped with SIGRTMIN+3. Source: signal(7).
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
    .toSorted(byNetwork);
}

function byNetwork(a: Attachment, b: Attachment): number {
  return a.network < b.network ? -1 : 1;
}

/** @param names such as `80/tcp` */
function toPorts(names: readonly string[]): number[] {
  const ports = names.filter((name) => name.endsWith("/tcp")).map((name) => parseInt(name, 10));
  return [...new Set(ports)].toSorted((a, b) => a - b);
}
