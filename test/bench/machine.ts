// The machine and the programs that a result was measured with.

import { readFileSync } from "node:fs";
import { arch, availableParallelism, loadavg, release, totalmem } from "node:os";
import { haproxyProgram, type HaproxyVersion } from "../lab/haproxy.ts";
import { gatewayVersion } from "./gateway.ts";

/** The versions that are measured: the oldest that is supported, and the newest. */
export const VERSIONS = ["2.6", "3.4"] as const satisfies readonly HaproxyVersion[];

/** Where and with what it was measured. */
export interface Machine {
  /** Such as `2025-11-28`. */
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  /** In gigabytes. */
  readonly memory: number;
  readonly system: string;
  readonly kernel: string;
  /** How many processes ran or waited to run in the minute before it began. */
  readonly load: number;
  /** The programs, each with its version. */
  readonly versions: readonly string[];
}

/** Looks at the machine. @param peers the other programs, each with its version */
export function readMachine(peers: readonly string[]): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? arch(),
    cores: availableParallelism(),
    memory: Math.round(totalmem() / 2 ** 30),
    system: /^PRETTY_NAME="(.*)"$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "",
    kernel: release(),
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
    versions: [
      gatewayVersion(),
      `Docker ${dockerVersion()}`,
      ...VERSIONS.map((version) => `HAProxy ${exactVersion(version)}`),
      `Bun ${Bun.version}`,
      ...peers,
    ],
  };
}

/** One paragraph for below the table. */
export function describeMachine(machine: Machine): string {
  const { date, cpu, cores, memory, system, kernel, load, versions } = machine;
  return [
    `Measured ${date} on ${cpu}, ${cores} cores, ${memory} GB, ${system}, Linux ${kernel},`,
    `load average ${load} when it began; ${versions.join(", ")}.`,
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
