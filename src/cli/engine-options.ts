// The Engines that the user chose: one, or several with a name each.

import { isIP } from "node:net";
import type { GivenEngine } from "../docker/choice.ts";
import { GatewayError } from "../lib/errors.ts";
import type { RawOptions } from "./options.ts";

/** Commas divide them, as in the environment, but a path may have one, too. */
const BETWEEN = /,\s*(?=(?:[^,=:/]*=)?[a-z]+:\/\/)/i;
const NAMED = /^([^=:/]*)=(.*)$/s;
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * Reads `--docker-host` and `--engine-address`.
 * @throws GatewayError `usage` if several have no names, or other ones than a name may be
 */
export function parseEngines(raw: RawOptions): readonly GivenEngine[] {
  const texts = textsOf(raw["docker-host"]).flatMap((text) => text.split(BETWEEN));
  const given = [...new Set(texts.map((text) => text.trim()))].filter((text) => text !== "");
  const addresses = addressesOf(raw);
  const [first = "", ...others] = given;
  if (others.length === 0 && !NAMED.test(first)) {
    const [name] = addresses.keys();
    if (name !== undefined) throw unknownName(name);
    return [{ name: "", url: first, address: undefined }];
  }
  const engines = given.map((text) => toEngine(text, addresses));
  const names = engines.map(({ name }) => name);
  const double = names.find((name, at) => names.indexOf(name) !== at);
  if (double !== undefined) {
    throw usage(
      `Cannot use --docker-host: two Engines have the name "${double}"`,
      "give each a name of its own, such as blue=tcp://192.0.2.7:2376",
    );
  }
  const unknown = [...addresses.keys()].find((name) => !names.includes(name));
  if (unknown !== undefined) throw unknownName(unknown);
  if (raw["swarm"] === true && engines.length > 1) {
    throw usage(
      "--swarm and several --docker-host exclude each other",
      "leave --swarm out: those that are managers of a swarm are found",
    );
  }
  return engines;
}

function toEngine(text: string, addresses: ReadonlyMap<string, string>): GivenEngine {
  const [, name, url = ""] = NAMED.exec(text) ?? [];
  if (name === undefined) {
    throw usage(
      `Cannot use --docker-host "${text}" beside others: it has no name`,
      `such as --docker-host blue=${text}`,
    );
  }
  if (!NAME.test(name)) {
    throw usage(
      `Cannot use --docker-host "${text}": "${name}" is no name of an Engine`,
      "such as blue or rack-2: lower-case letters, digits and hyphens",
    );
  }
  if (url === "") {
    throw usage(
      `Cannot use --docker-host "${text}": it has no URL`,
      `such as --docker-host ${name}=unix:///var/run/docker.sock`,
    );
  }
  return { name, url, address: addresses.get(name) };
}

function addressesOf(raw: RawOptions): ReadonlyMap<string, string> {
  const texts = textsOf(raw["engine-address"]).flatMap((text) => text.split(","));
  return new Map(
    texts.map((text): [string, string] => {
      const [, name, written = ""] = NAMED.exec(text.trim()) ?? [];
      const address = written.replace(/^\[(.*)\]$/, "$1");
      if (name !== undefined && isIP(address) !== 0) return [name, address];
      throw usage(
        `Cannot use --engine-address "${text}": it is not NAME=ADDRESS`,
        "such as --engine-address blue=192.0.2.7",
      );
    }),
  );
}

function textsOf(value: RawOptions[string]): readonly string[] {
  if (Array.isArray(value)) return value;
  return typeof value === "string" && value !== "" ? [value] : [];
}

function unknownName(name: string): GatewayError {
  return usage(
    `Cannot use --engine-address for "${name}": no Engine has that name`,
    `such as --docker-host ${name}=tcp://192.0.2.7:2376`,
  );
}

function usage(message: string, hint: string): GatewayError {
  return new GatewayError("usage", message, { hint });
}
