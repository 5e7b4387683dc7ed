// The machine and the programs that a result was measured with.

import { readFileSync } from "node:fs";
import { arch, availableParallelism, release, totalmem } from "node:os";
import { haproxyProgram, type HaproxyVersion } from "../lab/haproxy.ts";
import { gatewayVersion } from "./gateway.ts";

/** The versions that are measured: the oldest that is supported, and the newest. */
export const VERSIONS: readonly HaproxyVersion[] = ["2.6", "3.4"];

/** One paragraph for below the table. */
export function describeMachine(): string {
  const cpu = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? arch();
  const memory = Math.round(totalmem() / 2 ** 30);
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "";
  return [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${cpu}, ${availableParallelism()} cores,`,
    `${memory} GB, ${system}, Linux ${release()};`,
    `${gatewayVersion()}, Docker ${dockerVersion()},`,
    `HAProxy ${VERSIONS.map(exactVersion).join(" and ")}, Bun ${Bun.version}.`,
  ].join(" ");
}

function exactVersion(version: HaproxyVersion): string {
  const text = output([haproxyProgram(version), "-v"]);
  return /version (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? version;
}

function dockerVersion(): string {
  return /version ([\d.]+)/.exec(output(["dockerd", "--version"]))?.[1] ?? "unknown";
}

function output(command: string[]): string {
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  return Bun.spawnSync(command, { env: { ...process.env, PATH: path } }).stdout.toString();
}
