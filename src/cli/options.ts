// The user's choices: flags, else the environment, else defaults. Each is checked once, here.

import { isIP } from "node:net";
import { GatewayError } from "../lib/errors.ts";
import { parseAccessLog, type AccessLogChoice } from "./access-log-options.ts";
import { parseAdmin, type AdminChoice } from "./admin-options.ts";
import { parseAcme, type AcmeChoice } from "./acme-options.ts";
import { parseEngines } from "./engine-options.ts";
import type { GivenEngine } from "../docker/choice.ts";
import type { SwarmWish } from "../docker/client.ts";
import type { PathChoice } from "../gateway/paths.ts";
import { parseClaim, type Claim } from "../routing/claims.ts";
import { parseDefaultRule, type DefaultRule } from "../routing/default-rule.ts";
import { FILTER_KEYS, parseFilter, type Filter } from "../routing/filters.ts";
import { PEERS, type Compat } from "../routing/compat/compat.ts";
import { LABEL_PREFIX } from "../routing/labels.ts";
import type { RoutingOptions } from "../routing/routing.ts";
import { millisecondsOf } from "../lib/durations.ts";
import { parsePort } from "../routing/values.ts";
import { parseNetwork } from "../lib/networks.ts";
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from "../lib/log.ts";
import { TEMPLATE_NAMES, type TemplateName } from "../template/built-in.ts";
import { TLS_PROFILES, type TlsOptions } from "../template/tls.ts";
import { splitCommand } from "../lib/command-line.ts";

/** The values of flags and variables, by the name of the flag. A repeated flag has a list. */
export type RawOptions = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/** Each part has its own reader. Only code that puts a command together takes them all. */
export interface Options {
  readonly template: TemplateOptions;
  readonly routing: RoutingOptions;
  /** The addresses on which HAProxy listens, as its `bind` takes them. */
  readonly listen: readonly string[];
  readonly haproxy: HaproxyOptions;
  readonly reload: ReloadOptions;
  /** How HTTPS is served; undefined: it is not. */
  readonly tls: TlsChoice | undefined;
  /** The folders in which labels may name files. */
  readonly labelFiles: readonly string[];
  /** Whether a page at `/` lists the routes. */
  readonly index: boolean;
  /** The folder of pages for the gateway's own errors. */
  readonly errorDir: string | undefined;
  /** What is logged of requests; undefined: nothing. */
  readonly accessLog: AccessLogChoice | undefined;
  /** Where people and monitoring ask; undefined: nowhere. */
  readonly admin: AdminChoice | undefined;
  /** How long requests wait for a container of their service, in milliseconds; 0: not at all. */
  readonly hold: number;
  /** How certificates are got; undefined: they are not. */
  readonly acme: AcmeChoice | undefined;
  /** Whether a link that forgets the prefix of its page is led below it. */
  readonly mendLinks: boolean;
  /** The networks of the proxies in front that are believed what they say of their clients. */
  readonly trustedProxies: readonly string[];
  /** Whether connections begin with the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly engines: readonly GivenEngine[];
  /** Whether the services of a swarm are served. */
  readonly swarm: SwarmWish;
  readonly once: boolean;
  readonly log: LogOptions;
}

/** How HTTPS is served. */
interface TlsChoice extends TlsOptions {
  /** The folders of certificates. */
  readonly certs: readonly string[];
}

export interface TemplateOptions {
  readonly name: TemplateName;
  /** The user's own template. Undefined: the built-in one with that name. */
  readonly file: string | undefined;
}

/** HAProxy's program, where its files are, and who runs it. */
export interface HaproxyOptions extends PathChoice {
  readonly program: string;
}

/** When HAProxy is reloaded. */
interface ReloadOptions {
  /** How long it must be quiet before a reload, and the longest wait for that, in milliseconds. */
  readonly wait: { readonly min: number; readonly max: number };
  /** Whether every change is made by a reload, as in the program of 2018. */
  readonly always: boolean;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
}

/**
 * Checks what the user chose.
 * @throws GatewayError `usage` that names the flag, the value and what is wrong with it
 */
export function parseOptions(raw: RawOptions): Options {
  const text = (name: string): string | undefined => {
    const value = raw[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  const domain = parseDomain(text("domain"));
  const templateFile = text("template-file");
  const template =
    oneOf("template", text("template"), TEMPLATE_NAMES) ?? (domain ? "host" : "path");
  if (templateFile !== undefined && text("template") !== undefined) {
    throw usage("--template and --template-file exclude each other");
  }
  if (template === "host" && domain === undefined) {
    throw usage("--template host needs a domain", "add --domain api.example.com");
  }
  if (text("template") === "path" && domain !== undefined) {
    throw usage("--domain goes with --template host, not with --template path");
  }
  const reload = text("reload-cmd");
  const manageHaproxy = raw["manage-haproxy"];
  if (reload !== undefined && manageHaproxy === true) {
    throw usage(
      "--manage-haproxy and --reload-cmd exclude each other",
      "a HAProxy that the gateway runs is reloaded by the gateway",
    );
  }
  const errorDir = text("error-dir");
  const listen = list(raw["listen"], "*:80").map(parseListen);
  const tls = tlsOf(raw, listen);
  const served = [...listen, ...(tls?.listen ?? [])];
  const admin = adminOf(raw, text("admin"), text("admin-token-file"), served);
  return {
    template: { name: template, file: templateFile },
    routing: {
      ports: list(raw["ports"], "8000,80").map(parsePortOption),
      network: text("network"),
      domain,
      ownPorts: [
        ...served.map(listenPort),
        ...(admin?.address.kind === "tcp" ? [admin.address.port] : []),
      ],
      labelPrefix: parseLabelPrefix(text("label-prefix")),
      onlyEnabled: raw["only-enabled"] === true,
      compat: parseCompat(list(text("compat"), "all")),
      claims: claimsOf(raw["claim"]),
      filters: filtersOf(raw["filter"]),
      defaultRule: defaultRuleOf(text("default-rule"), domain),
    },
    listen,
    tls,
    labelFiles:
      raw["label-files"] === undefined
        ? []
        : list(raw["label-files"], "").map((folder) =>
            parseFolder("label-files", folder, "/srv/gateway"),
          ),
    index: raw["index"] === true,
    errorDir:
      errorDir === undefined ? undefined : parseFolder("error-dir", errorDir, "/srv/errors"),
    accessLog: parseAccessLog(text("access-log"), text("access-log-sample")),
    admin,
    acme: parseAcme(text, raw["no-acme-self-check"] === true),
    haproxy: {
      program: text("haproxy") ?? "haproxy",
      outputFile: text("output-file"),
      masterSocket: text("master-socket"),
      manageHaproxy: typeof manageHaproxy === "boolean" ? manageHaproxy : undefined,
      reloadCommand: reload === undefined ? undefined : splitCommand(reload, "--reload-cmd"),
    },
    reload: {
      wait: parseWait(text("wait") ?? "200ms:2s"),
      always: raw["always-reload"] === true,
    },
    // A request that waits is the old worker's after a reload, which learns of no new container.
    hold: raw["always-reload"] === true ? 0 : parseHold(text("hold") ?? "10s"),
    mendLinks: raw["no-mend-links"] !== true,
    trustedProxies: trustedProxiesOf(raw["trusted-proxies"]),
    proxyProtocol: raw["proxy-protocol"] === true,
    engines: parseEngines(raw),
    swarm: swarmOf(raw),
    once: raw["once"] === true,
    log: {
      level: oneOf("log-level", text("log-level"), LOG_LEVELS) ?? "info",
      format: oneOf("log-format", text("log-format"), LOG_FORMATS) ?? "text",
    },
  };
}

/** Only what needs TLS asks for it. @param listen where HTTP is served */
function tlsOf(raw: RawOptions, listen: readonly string[]): TlsChoice | undefined {
  const certs =
    raw["certs"] === undefined
      ? []
      : list(raw["certs"], "").map((folder) => parseFolder("certs", folder, "/etc/certs"));
  const profile = oneOf(
    "tls",
    typeof raw["tls"] === "string" ? raw["tls"] : undefined,
    TLS_PROFILES,
  );
  const isUsed =
    raw["listen-https"] !== undefined || certs.length > 0 || typeof raw["acme"] === "string";
  if (!isUsed) {
    const lonely = ["tls", "strict-sni", "http3", "no-redirect"].find(
      (flag) => raw[flag] !== undefined,
    );
    if (lonely === undefined) return undefined;
    throw usage(
      `Cannot use --${lonely} alone: nothing is served by HTTPS`,
      "add --certs FOLDER, --acme EMAIL or --listen-https '*:443'",
    );
  }
  const own = list(raw["listen-https"], "*:443").map(parseListen);
  if (raw["http3"] === true && raw["proxy-protocol"] === true) {
    throw usage("--http3 and --proxy-protocol exclude each other: no proxy passes UDP on so");
  }
  const both = own.find((address) => listen.includes(address));
  if (both !== undefined) {
    throw usage(
      `Cannot listen on "${both}" for both HTTP and HTTPS`,
      "give each a port of its own",
    );
  }
  return {
    listen: own,
    certs,
    profile: profile ?? "intermediate",
    strictSni: raw["strict-sni"] === true,
    redirect: raw["no-redirect"] !== true,
    http3: raw["http3"] === true,
  };
}

/** @param served where HAProxy listens */
function adminOf(
  raw: RawOptions,
  value: string | undefined,
  tokenFile: string | undefined,
  served: readonly string[],
): AdminChoice | undefined {
  const hosts = raw["admin-host"] === undefined ? [] : list(raw["admin-host"], "");
  const address = value === undefined ? undefined : splitListen(value);
  const admin = parseAdmin(value, address, hosts, tokenFile);
  if (address !== undefined && served.some((each) => listenPort(each) === address.port)) {
    throw usage(`Cannot use --admin "${value}": HAProxy listens at that port`, "name another one");
  }
  return admin;
}

/** The port of a listen address. It must be one that `parseListen` accepted. */
export function listenPort(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** Whose labels are read: `none`, `all`, or some of the other proxies. */
function parseCompat(words: readonly string[]): Compat {
  const [first = "", ...more] = words;
  if (more.length === 0 && (first === "none" || first === "all")) return first;
  if (more.length > 0 && (words.includes("none") || words.includes("all"))) {
    throw usage(`Cannot use --compat "${words.join(",")}": none and all stand alone`);
  }
  return words.map((word) => {
    const peer = PEERS.find((each) => each === word);
    if (peer !== undefined) return peer;
    const choices = ["none", ...PEERS, "all"].join(", ");
    throw usage(`Cannot use --compat "${word}": it is none of ${choices}`);
  });
}

function list(value: RawOptions[string], fallback: string): string[] {
  const values = Array.isArray(value) ? value : [typeof value === "string" ? value : fallback];
  const items = values.flatMap((item: string) => item.split(",")).map((item) => item.trim());
  return [...new Set(items)];
}

function parseFolder(flag: string, value: string, example: string): string {
  if (value.startsWith("/")) return value;
  throw usage(
    `Cannot use --${flag} "${value}": it is no path from the root`,
    `such as --${flag} ${example}`,
  );
}

function parseListen(value: string): string {
  const address = splitListen(value);
  if (address === undefined) {
    throw usage(
      `Cannot listen on "${value}": it is not address:port`,
      "such as --listen '*:80' or --listen 127.0.0.1:8080",
    );
  }
  return `${address.host}:${address.port}`;
}

/** Undefined if it is not address:port. */
function splitListen(value: string): { readonly host: string; readonly port: number } | undefined {
  const [, host = "*", portText = ""] = /^(\*|[\d.]+|\[[0-9a-fA-F:.]+\])?:(\d+)$/.exec(value) ?? [];
  const isAddress = host === "*" || isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0;
  const port = parsePort(portText);
  return isAddress && port !== undefined ? { host, port } : undefined;
}

function parsePortOption(value: string): number {
  const port = parsePort(value);
  if (port !== undefined) return port;
  throw usage(
    `Cannot use --ports: "${value}" is no port number (1 to 65535)`,
    "such as --ports 8000,80",
  );
}

/** Returns it in lower case and without a dot at its end. Source: RFC 1123, section 2.1. */
function parseDomain(value: string | undefined): string | undefined {
  const domain = value?.toLowerCase().replace(/\.$/, "");
  const part = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
  if (domain === undefined || new RegExp(`^${part}(?:\\.${part})*$`).test(domain)) return domain;
  throw usage(`Cannot use --domain "${value}": it is no domain name`, "such as api.example.com");
}

/** Returns it with the dot at its end that divides it from the rest of a label. */
function parseLabelPrefix(value: string | undefined): string {
  if (value === undefined) return LABEL_PREFIX;
  if (/^[A-Za-z0-9]([A-Za-z0-9._/-]{0,98}[A-Za-z0-9])?\.?$/.test(value)) {
    return value.endsWith(".") ? value : `${value}.`;
  }
  throw usage(
    `Cannot use --label-prefix "${value}": labels do not begin so`,
    "such as --label-prefix com.example.gateway",
  );
}

function swarmOf(raw: RawOptions): SwarmWish {
  const [wanted, unwanted] = [raw["swarm"] === true, raw["no-swarm"] === true];
  if (wanted && unwanted) throw usage("--swarm and --no-swarm exclude each other");
  return wanted ? "always" : unwanted ? "never" : "auto";
}

/** Commas divide claims, as in the environment, but they may be in one too. */
function claimsOf(value: RawOptions[string]): readonly Claim[] {
  const texts = Array.isArray(value) ? value : typeof value === "string" ? [value] : [];
  return texts
    .flatMap((text: string) => text.split(/,(?=[^,=]+=(?:label|network|image):)/))
    .map((text) => {
      const claim = parseClaim(text);
      if (claim !== undefined) return claim;
      throw usage(
        `Cannot use --claim "${text}": it is not HOST[/PATH]=label:KEY[=VALUE], =network:NAME or =image:PATTERN`,
        "such as --claim 'shop.example.com=label:team=web'",
      );
    });
}

function trustedProxiesOf(value: RawOptions[string]): readonly string[] {
  if (value === undefined || value === "") return [];
  return list(value, "").map((text) => {
    const network = parseNetwork(text);
    if (network !== undefined) return network;
    throw usage(
      `Cannot use --trusted-proxies: "${text}" is not an address or a network`,
      "such as --trusted-proxies 10.0.0.0/8,fd00::/8",
    );
  });
}

/** Commas divide filters, as in the environment, but they may be in one too. */
const BETWEEN_FILTERS = new RegExp(`,(?=(?:${FILTER_KEYS.join("|")})=)`);

function filtersOf(value: RawOptions[string]): readonly Filter[] {
  const texts = Array.isArray(value) ? value : typeof value === "string" ? [value] : [];
  return texts
    .flatMap((text: string) => text.split(BETWEEN_FILTERS))
    .map((text) => {
      const filter = parseFilter(text);
      if (filter !== undefined) return filter;
      throw usage(
        `Cannot use --filter "${text}": it is not KEY=VALUE with one of ${FILTER_KEYS.join(", ")}`,
        "such as --filter label=com.example.web or --filter network=front",
      );
    });
}

function defaultRuleOf(
  text: string | undefined,
  domain: string | undefined,
): DefaultRule | undefined {
  if (text === undefined) return undefined;
  if (domain !== undefined) {
    throw usage(
      "--default-rule and --domain exclude each other: both say where a container is served",
      `such as --default-rule '{{image.name}}.${domain}'`,
    );
  }
  return parseDefaultRule(text);
}

/** In milliseconds. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };
const WAIT_FORM = "such as --wait 200ms:2s (units: ms, s, m)";

/** Reads `min:max`, or `min` alone: then `max` is four times as long. */
function parseWait(value: string): ReloadOptions["wait"] {
  const [first = "", second, ...more] = value.split(":");
  if (more.length > 0) throw usage(`Cannot use --wait "${value}": it is not min:max`, WAIT_FORM);
  const min = duration(first);
  const max = second === undefined ? min * 4 : duration(second);
  if (max >= min) return { min, max };
  throw usage(`Cannot use --wait "${value}": ${second} is shorter than ${first}`);

  function duration(text: string): number {
    const ms = parseDuration(text);
    if (ms !== undefined) return ms;
    throw usage(`Cannot use --wait "${value}": "${text}" is no duration`, WAIT_FORM);
  }
}

/** Each pause between two tries counts, and a GET that no container answers is tried as often. In ms. */
const LONGEST_HOLD = 60_000;
const HOLD_FORM = "such as --hold 10s (units: ms, s, m); 0: requests do not wait";

function parseHold(value: string): number {
  const ms = value === "0" ? 0 : millisecondsOf(value);
  if (ms === undefined) throw usage(`Cannot use --hold "${value}": it is no duration`, HOLD_FORM);
  if (ms <= LONGEST_HOLD) return ms;
  throw usage(`Cannot use --hold "${value}": it is longer than a minute`, HOLD_FORM);
}

/** In milliseconds; undefined if it is no duration. */
function parseDuration(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d+)(ms|s|m)$/.exec(text) ?? [];
  const factor = UNITS[unit];
  return factor === undefined ? undefined : Number(number) * factor;
}

function oneOf<T extends string>(
  name: string,
  value: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (value === undefined) return undefined;
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw usage(`Cannot use --${name} "${value}": it is none of ${choices.join(", ")}`);
}

function usage(message: string, hint?: string): GatewayError {
  return new GatewayError("usage", message, { hint });
}
