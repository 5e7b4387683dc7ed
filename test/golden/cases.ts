// The golden cases: containers and choices in, HAProxy's files out, by the code that the program uses.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crtListsOf } from "../../src/config/crt-list.ts";
import { mapsOf } from "../../src/config/map-file.ts";
import { makeDesired, type Desired, type DesiredSettings } from "../../src/gateway/desired.ts";
import { ErrorDir } from "../../src/gateway/error-dir.ts";
import { ConfigFiles } from "../../src/haproxy/files/files.ts";
import { choosePaths, type Paths } from "../../src/gateway/paths.ts";
import { createLogger } from "../../src/lib/log.ts";
import type { Host } from "../../src/gateway/host.ts";
import type { Certificate, Container, Files, Reach, Snapshot } from "../../src/model.ts";
import { compareVersions } from "../../src/lib/text.ts";
import { parseOptions, type RawOptions } from "../../src/cli/options.ts";
import { compileTemplate, isOwnConfig, type Template } from "../../src/template/compile.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import {
  accessLogOptions,
  holdOptions,
  keepAliveOptions,
  proxyOptions,
} from "../../src/template/context.ts";
import { tlsOptions } from "../../src/template/tls.ts";
import { container, HOST } from "../lab/make.ts";

/** What a case may say in its `options.json`. */
interface CaseOptions {
  /** Flags of the command line, without their dashes. */
  readonly flags?: RawOptions;
  /** How this machine differs from a Debian with its HAProxy and without syslog. */
  readonly machine?: Partial<Host>;
  readonly reach?: Partial<Reach>;
  /** Of HAProxy. */
  readonly version?: string;
  /** The texts of files that labels may name, by path. */
  readonly labelFiles?: Readonly<Record<string, string>>;
  /** What differs of certificates from one that is valid and has no names. */
  readonly certificates?: readonly Partial<Certificate>[];
}

export interface GoldenCase {
  readonly name: string;
  readonly containers: readonly Container[];
  readonly paths: Paths;
  /** The version of HAProxy that its expected files are for. */
  readonly version: string;
  render(containers: readonly Container[], version: string): Desired;
}

const DEBIAN: Host = {
  uid: 0,
  systemd: true,
  hasMasterSocket: true,
  hasRunHaproxy: true,
  hasHaproxyUser: true,
  hasSyslog: false,
  runtimeDir: "/run/user/0",
  runtimeDirIsShared: false,
};
const NEWEST = "3.4.7";

/** All cases, by name. */
export function goldenCases(): GoldenCase[] {
  return readdirSync(import.meta.dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readCase(name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function readCase(name: string): GoldenCase {
  const given = readJson(name, "containers.json") as (Partial<Container> & { name: string })[];
  const choices = (readJson(name, "options.json") ?? {}) as CaseOptions;
  const {
    flags = {},
    machine,
    reach,
    version = NEWEST,
    labelFiles = {},
    certificates = [],
  } = choices;
  const options = parseOptions(flags);
  const paths = choosePaths(options.haproxy, { ...DEBIAN, ...machine });
  const log = createLogger({
    level: "error",
    format: "text",
    journal: false,
    write: (line) => process.stderr.write(`${line}\n`),
    now: () => new Date(),
  });
  const { pathOf } = new ConfigFiles(paths.output, isOwnConfig, log);
  const { routing, listen, hold, tls, index, accessLog, trustedProxies, proxyProtocol } = options;
  const pages = place(name, "pages");
  const template = readTemplate(name, options.template.name);
  return {
    name,
    containers: given.map((each) => container(each.name, each)),
    paths,
    version,
    render(containers, haproxy) {
      const snapshot: Snapshot = { containers, drivers: {}, gateways: ["172.17.0.1"] };
      const settings = {
        routing,
        template: {
          listen,
          domain: routing.domain ?? "",
          ports: routing.ports,
          mendLinks: true,
          index,
          tls: tlsOptions(tls),
          acme: false,
          accessLog: accessLogOptions(accessLog),
          ...proxyOptions(trustedProxies, proxyProtocol),
          ...holdOptions(hold, false),
          ...keepAliveOptions(false),
        },
        haproxy: {
          version: haproxy,
          lua: true,
          quic: compareVersions(haproxy, "3.2") >= 0,
          ...paths.haproxy,
        },
        pathOf,
        labelFiles: readerOf(labelFiles),
        certificates: certificatesOf(tls !== undefined, certificates, pathOf("certificates")),
        errorDir: new ErrorDir(existsSync(pages) ? pages : undefined),
        challenges: { entries: [] },
        tcpPorts: { taken: {} },
      };
      return makeDesired(snapshot, { ...HOST, ...reach }, settings, template, () => "then");
    },
  };
}

/** Certificates with these names, as if they had been read. */
function certificatesOf(
  isUsed: boolean,
  given: readonly Partial<Certificate>[],
  folder: string,
): DesiredSettings["certificates"] {
  const certificates = given.map((each, index): Certificate => {
    return {
      path: `${folder}/${index}.pem`,
      names: [],
      kind: "ec",
      notBefore: 0,
      notAfter: 1,
      expired: false,
      issuer: "CA",
      source: `/certs/${index}.pem`,
      isDefault: false,
      ...each,
    };
  });
  const ticketKeys = `${"A".repeat(107)}=\n`.repeat(3);
  return {
    isUsed,
    files: { certificates, fallback: "fallback", ticketKeys },
    warnings: [],
    hasChanged: () => false,
    refresh: () => Promise.resolve(),
  };
}

/** Reads these files alone. */
function readerOf(files: Readonly<Record<string, string>>): DesiredSettings["labelFiles"] {
  return {
    areUsed: true,
    begin: () => undefined,
    haveChanged: () => false,
    read: (path) => {
      const text = files[path];
      return text === undefined ? { problem: "there is no such file" } : { text };
    },
  };
}

function readTemplate(name: string, builtIn: keyof typeof TEMPLATES): Template {
  const own = place(name, "template.hbs");
  const source = existsSync(own)
    ? { name: own, text: readFileSync(own, "utf8"), isOwn: true }
    : { name: builtIn, text: TEMPLATES[builtIn] };
  return compileTemplate(source, PARTIALS);
}

/** The expected files of a case, by their names. */
export function expectedFiles(name: string): Record<string, string> {
  const files = outputNames(name).map((file) => [file, readFileSync(place(name, file), "utf8")]);
  return Object.fromEntries(files) as Record<string, string>;
}

/** Makes these files the expected ones. */
export function writeExpected(name: string, files: Record<string, string>): void {
  for (const file of outputNames(name)) rmSync(place(name, file));
  for (const [file, text] of Object.entries(files)) writeFileSync(place(name, file), text);
}

/** Files by their names, which for a case are all in one folder. Its scripts are the same in all cases. */
export function byName(files: Files, { output }: Paths): Record<string, string> {
  const all = { [output]: files.config, ...mapsOf(files), ...crtListsOf(files) };
  return Object.fromEntries(Object.entries(all).map(([path, text]) => [basename(path), text]));
}

/** The folders that the files of a case name, and HAProxy would want to have. */
export function foldersOf({ output, haproxy }: Paths): string[] {
  return [
    ...new Set([output, haproxy.statsSocket, haproxy.stateFile].map((path) => dirname(path))),
  ];
}

function outputNames(name: string): string[] {
  return readdirSync(place(name, ".")).filter((file) => /\.(cfg|map|crt-list)$/.test(file));
}

/** What a file of a case says; undefined without it. */
function readJson(name: string, file: string): unknown {
  const path = place(name, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

function place(name: string, file: string): string {
  return join(import.meta.dir, name, file);
}
