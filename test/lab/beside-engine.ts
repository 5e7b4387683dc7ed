// `unshare --net -- bun test/lab/beside-engine.ts COMMAND...`: runs a command beside an ordinary
// Docker Engine, as on a user's machine. The firewall rules of that Engine drop the packets between
// the containers of other Engines. They end with the network namespace.

import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Daemon } from "./daemon.ts";
import { answers } from "./engine.ts";
import { labDir, sweep } from "./leftovers.ts";

/** The default socket, where every program looks for Docker. */
const SOCKET = "/run/docker.sock";
const PATH = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;

if (existsSync(SOCKET)) {
  throw new Error(`Cannot start an ordinary Docker Engine: one is there already, at ${SOCKET}`);
}
const dir = labDir("o");
const engine = new Daemon(
  [
    "dockerd",
    `--host=unix://${SOCKET}`,
    `--data-root=${join(dir, "d")}`,
    `--exec-root=${join(dir, "e")}`,
    `--pidfile=${join(dir, "dockerd.pid")}`,
  ],
  join(dir, "dockerd.log"),
  { PATH },
);
try {
  run("ip", "link", "set", "lo", "up");
  // The Engine drops what is forwarded only if it is the one that switched forwarding on. A new
  // namespace may begin with it, as the machine's own.
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "0");
  await engine.start(() => answers(SOCKET));
  if (!run("iptables", "-S", "FORWARD").startsWith("-P FORWARD DROP\n"))
    throw new Error("The Docker Engine is no ordinary one: the rules of its firewall drop nothing");
  console.log("an ordinary Docker Engine runs");
  const child = Bun.spawn(process.argv.slice(2), { stdio: ["inherit", "inherit", "inherit"] });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await child.exited;
} finally {
  await engine.stop();
  sweep(dir);
}

function run(...words: string[]): string {
  const { success, stdout, stderr } = Bun.spawnSync(words, { env: { PATH } });
  if (!success) throw new Error(`Cannot run "${words.join(" ")}": ${stderr.toString()}`);
  return stdout.toString();
}
