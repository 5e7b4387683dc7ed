// Tells systemd how the gateway is, by the datagram socket of sd_notify(3).

import { FFIType, ptr } from "bun:ffi";
import { errorMessage } from "../lib/errors.ts";
import { openLibc } from "../lib/libc.ts";
import type { Logger } from "../lib/log.ts";

/** What systemd can be told. Nothing happens if systemd does not run the gateway. */
export interface Notifier {
  /** The gateway serves: systemd may start the units that wait for it. */
  readonly ready: () => void;
  /** The gateway reads everything again; `ready` follows. */
  readonly reloading: () => void;
  readonly stopping: () => void;
  /** Sets the line that `systemctl status` shows. */
  readonly status: (text: string) => void;
  /** Stops telling the watchdog that the gateway is alive. */
  readonly close: () => void;
}

/** Linux's numbers: socket(2), unix(7). */
const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
/** Not to wait if systemd does not read: send(2). A message that is lost like this is repeated. */
const MSG_DONTWAIT = 0x40;
const SOCKET = { args: [FFIType.int, FFIType.int, FFIType.int], returns: FFIType.int };
const SENDTO = {
  args: [FFIType.int, FFIType.ptr, FFIType.u64, FFIType.int, FFIType.ptr, FFIType.int],
  returns: FFIType.i64,
};
const SILENT: Notifier = {
  ready: () => undefined,
  reloading: () => undefined,
  stopping: () => undefined,
  status: () => undefined,
  close: () => undefined,
};

/** Makes a notifier. It does nothing if systemd does not run the gateway. */
export function createNotifier(
  env: Readonly<Record<string, string | undefined>>,
  log: Logger,
): Notifier {
  const address = env["NOTIFY_SOCKET"] ?? "";
  const send = address === "" ? undefined : openSender(address, log);
  if (send === undefined) return SILENT;
  // Half of the time that systemd allows, as sd_watchdog_enabled(3) advises.
  const isWatched = (env["WATCHDOG_PID"] ?? String(process.pid)) === String(process.pid);
  const watchdog = isWatched ? Number(env["WATCHDOG_USEC"] ?? 0) / 1000 / 2 : 0;
  const timer = watchdog > 0 ? setInterval(() => send("WATCHDOG=1"), watchdog) : undefined;
  return {
    // This one is never repeated, so it waits until there is room for it.
    ready: () => send("READY=1", 0),
    reloading: () => send("RELOADING=1"),
    stopping: () => send("STOPPING=1"),
    status: (text) => send(`STATUS=${text.replaceAll("\n", " ")}`),
    close: () => clearInterval(timer),
  };
}

/** Returns a function that sends one datagram; undefined if that is not possible. */
function openSender(
  address: string,
  log: Logger,
): ((text: string, flags?: number) => void) | undefined {
  try {
    const { socket, sendto } = openLibc({ socket: SOCKET, sendto: SENDTO });
    const fd = Number(socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0));
    if (fd < 0) throw new Error("no socket");
    const target = socketAddress(address);
    return (text, flags = MSG_DONTWAIT) => {
      const bytes = new TextEncoder().encode(text);
      sendto(fd, ptr(bytes), bytes.length, flags, ptr(target), target.length);
    };
  } catch (error) {
    log.warn(`systemd cannot be told how the gateway is: ${errorMessage(error)}`);
    return undefined;
  }
}

/** A `struct sockaddr_un`. A path that begins with `@` is in the abstract namespace: unix(7). */
function socketAddress(address: string): Uint8Array {
  const path = new TextEncoder().encode(address);
  if (address.startsWith("@")) path[0] = 0;
  const end = address.startsWith("@") ? 0 : 1;
  const bytes = new Uint8Array(2 + path.length + end);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(path, 2);
  return bytes;
}
