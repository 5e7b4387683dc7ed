// Operations as commands of HAProxy's runtime API, as each version wants them.

import { GatewayError } from "../../lib/errors.ts";
import type { Operation, ServerLine } from "../../config/operations.ts";
import { bareAddress, isChecked, weightOf } from "../../config/servers.ts";
import { compareVersions } from "../../lib/text.ts";

/** HAProxy reads at most `tune.bufsize` bytes of a line (16,384 by default). Some room is left. */
export const LONGEST = 15_000;

/**
 * The commands of an operation. A server with checks starts as down. It is up after its first good
 * check, or as soon as the gateway itself has reached its port.
 * @param version of HAProxy, such as `2.6.12`
 * Source: management guide, section 9.3; the order was found by trying.
 */
export function toCommands(operation: Operation, version: string): string[] {
  switch (operation.do) {
    case "disable server":
      return [setServer(operation, "state maint")];
    case "drain server":
      return [takeOut(operation)];
    case "remove server":
      // One that is disabled stays so.
      return operation.server.disabled ? [] : [takeOut(operation)];
    case "enable server":
      return enable(operation);
    case "move server": {
      const { port, disabled } = operation.server;
      const target = `addr ${word(bareAddress(operation.server))} port ${word(port)}`;
      const drain = setServer(operation, "state drain");
      const move = setServer(operation, target);
      return disabled ? [drain, move] : [drain, move, ...enable(operation)];
    }
    case "weigh server":
      return [setServer(operation, `weight ${word(weightOf(operation.server))}`)];
    case "add server":
      return add(operation, version);
    case "add backend":
      return [`add backend ${word(operation.backend)} from ${word(operation.defaults)}`];
    case "publish backend":
      return [`publish backend ${word(operation.backend)}`];
    case "remove backend":
      return [`unpublish backend ${word(operation.backend)}`];
    case "add entry":
    case "set entry": {
      const { map, key, value } = operation;
      return [
        `${operation.do === "add entry" ? "add" : "set"} map ${word(map)} ${word(key)} ${word(value)}`,
      ];
    }
    case "delete entry":
      return [`del map ${word(operation.map)} ${word(operation.key)}`];
    case "replace map":
      throw new Error("a map is replaced in several steps");
    case "add certificate":
    case "remove certificate":
    case "withdraw certificate":
    case "set certificate":
    case "add authorities":
    case "set authorities":
    case "remove authorities":
    case "turn ticket keys":
      throw new Error("certificates are changed in several steps");
  }
}

/** Commands as few lines, each short enough for HAProxy's buffer. */
export function toLines(commands: readonly string[]): string[] {
  return joinWithin(commands, ";");
}

/** The entries of a map as payloads, each short enough for HAProxy's buffer. */
export function toPayloads(entries: readonly (readonly [key: string, value: string])[]): string[] {
  return joinWithin(
    entries.map(([key, value]) => `${key} ${value}`),
    "\n",
  );
}

/** A word of a command. Special characters get a backslash, as commands know no quotes. */
export function word(text: string): string {
  if (/[\0\r\n]/.test(text)) {
    throw new GatewayError("haproxy", `${JSON.stringify(text)} fits in no command`);
  }
  return text.replaceAll(/[^A-Za-z0-9_./:@,|=-]/g, String.raw`\$&`);
}

/** A server, given as `backend/server`, as a word of a command. */
export function serverPath(key: string): string {
  return key.split("/").map(word).join("/");
}

type OnServer = Extract<Operation, { server: ServerLine }>;

function setServer({ backend, server }: OnServer, what: string): string {
  return `set server ${word(backend)}/${word(server.name)} ${what}`;
}

/** A drained server would still get new requests of clients that a cookie binds to it. */
function takeOut(operation: OnServer): string {
  return setServer(operation, operation.server.cookieKey === "" ? "state drain" : "state maint");
}

function enable(operation: OnServer): string[] {
  const ready = setServer(operation, "state ready");
  if (!isChecked(operation.server)) return [ready];
  // Health cannot be set in maintenance. While the server drains, it gets no requests.
  return [
    enableChecks(operation),
    setServer(operation, "state drain"),
    setServer(operation, "health down"),
    ready,
  ];
}

/** The commands that enable a checked server which answers: it is up at once. */
export function enableAsUp(operation: OnServer): string[] {
  return [
    enableChecks(operation),
    setServer(operation, "state ready"),
    setServer(operation, "health up"),
  ];
}

function enableChecks({ backend, server }: OnServer): string {
  return `enable health ${word(backend)}/${word(server.name)}`;
}

function add(operation: Extract<Operation, { do: "add server" }>, version: string): string[] {
  const { backend, server } = operation;
  const name = `${word(backend)}/${word(server.name)}`;
  const checked = isChecked(server);
  const startsDown = checked && compareVersions(version, "3.2") >= 0;
  const extra = [
    // Before 3.0 an added server keeps no idle connections by default.
    ...(compareVersions(version, "3.0") < 0
      ? ["pool-purge-delay", "5s", "pool-max-conn", "-1"]
      : []),
    ...(startsDown ? ["init-state", "down"] : []),
  ].filter((_, index, words) => !server.settings.includes(words[index - (index % 2)] ?? ""));
  const settings = [...server.settings, ...extra].map(word).join(" ");
  return [
    `add server ${name} ${word(`${server.address}:${server.port}`)} ${settings}`.trimEnd(),
    // Before 3.0 an added server has no cookie until the backend gets its key again.
    ...(server.cookieKey !== "" && compareVersions(version, "3.0") < 0
      ? [`set dynamic-cookie-key backend ${word(backend)} ${word(server.cookieKey)}`]
      : []),
    // A server that was added in maintenance would be checked all the same. A packet to a container that
    // does not run yet costs a second: nobody answers the kernel, which asks for its address again then.
    ...(server.disabled
      ? []
      : startsDown
        ? [enableChecks(operation), setServer(operation, "state ready")]
        : enable(operation)),
  ];
}

function joinWithin(parts: readonly string[], separator: string): string[] {
  const joined: string[] = [];
  let [current, size] = ["", 0];
  for (const part of parts) {
    const more = Buffer.byteLength(part) + separator.length;
    // HAProxy would hang up, or wait for the rest forever.
    if (more > LONGEST) throw new GatewayError("haproxy", `A command of ${more} bytes is too long`);
    if (size > 0 && size + more > LONGEST) {
      joined.push(current);
      [current, size] = ["", 0];
    }
    current = size === 0 ? part : `${current}${separator}${part}`;
    size += more;
  }
  return size === 0 ? joined : [...joined, current];
}
