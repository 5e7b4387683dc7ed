// Reads --acme and the flags that go with it: who asks which authority for certificates, and how.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AcmeOptions } from "../acme/acme.ts";
import type { AuthorityFacts } from "../api/certificates.ts";
import { parseCertificates } from "../lib/certificates.ts";
import { splitCommand } from "../lib/command-line.ts";
import { fileProblem, GatewayError } from "../lib/errors.ts";
import type { Environment } from "./command.ts";

export interface AcmeChoice extends Omit<AcmeOptions, "ca" | "folder"> {
  /** The file with a private authority's own CA. */
  readonly caFile: string | undefined;
  /** Undefined: it depends on who runs the gateway. */
  readonly dir: string | undefined;
}

/** The authorities for everybody. */
const AUTHORITIES: Readonly<Record<string, string>> = {
  letsencrypt: "https://acme-v02.api.letsencrypt.org/directory",
  staging: "https://acme-staging-v02.api.letsencrypt.org/directory",
  zerossl: "https://acme.zerossl.com/v2/DV90",
};
/** Those that make no account without a key for it. */
const WITH_KEY = ["zerossl"];

const OTHERS = ["acme-directory", "acme-eab", "acme-ca", "acme-dns", "acme-dir"];

/**
 * Reads how certificates are got. Undefined: they are not.
 * @throws GatewayError `usage`
 */
export function parseAcme(
  text: (name: string) => string | undefined,
  isBlind: boolean,
): AcmeChoice | undefined {
  const email = text("acme");
  const other = [...OTHERS, "no-acme-self-check"].find(
    (name) => text(name) !== undefined || (isBlind && name === "no-acme-self-check"),
  );
  if (email === undefined) {
    if (other === undefined) return undefined;
    throw usage(`--${other} goes with --acme`, "such as --acme me@example.com");
  }
  if (!/^[^\s@,:?]+@[^\s@,:?]+$/.test(email)) {
    throw usage(
      `Cannot use --acme "${email}": it is no email address`,
      "such as --acme me@example.com",
    );
  }
  const word = text("acme-directory") ?? "letsencrypt";
  const binding = bindingOf(text("acme-eab"));
  if (WITH_KEY.includes(word) && binding === undefined) {
    throw usage(
      `--acme-directory ${word} needs --acme-eab KID:HMAC`,
      "the authority's site gives you one",
    );
  }
  const dns = text("acme-dns");
  return {
    email,
    directory: AUTHORITIES[word] ?? directoryOf(word),
    isPublic: AUTHORITIES[word] !== undefined,
    binding,
    caFile: absolute("acme-ca", text("acme-ca"), "/srv/ca.pem"),
    dns: dns === undefined ? undefined : splitCommand(dns, "--acme-dns"),
    dir: absolute("acme-dir", text("acme-dir"), "/srv/acme"),
    selfCheck: !isBlind,
  };
}

function directoryOf(value: string): string {
  if (URL.canParse(value) && new URL(value).protocol === "https:") return value;
  throw usage(
    `Cannot use --acme-directory "${value}": it is none of ${Object.keys(AUTHORITIES).join(", ")}, and no https:// URL`,
    "such as --acme-directory https://ca.example.com/acme/directory",
  );
}

/** The value is secret: no message has it. */
function bindingOf(value: string | undefined): AcmeChoice["binding"] {
  if (value === undefined) return undefined;
  const [, kid, hmacKey] = /^([^\s:]+):([A-Za-z0-9_+/-]+={0,2})$/.exec(value) ?? [];
  if (kid !== undefined && hmacKey !== undefined) return { kid, hmacKey };
  throw usage(
    "Cannot use --acme-eab: its value is not KID:HMAC",
    "the authority's site gives you both; the HMAC key is in base64url",
  );
}

function absolute(flag: string, value: string | undefined, example: string): string | undefined {
  if (value === undefined || value.startsWith("/")) return value;
  throw usage(
    `Cannot use --${flag} "${value}": it is no path from the root`,
    `such as --${flag} ${example}`,
  );
}

/** Finds out the rest on this machine. @throws GatewayError `usage` */
export function acmeOptionsOf(
  choice: AcmeChoice | undefined,
  env: Environment,
): AcmeOptions | undefined {
  if (choice === undefined) return undefined;
  const { caFile, dir: _, ...options } = choice;
  return {
    ...options,
    ca: caFile === undefined ? undefined : readCa(caFile),
    folder: acmeFolder(choice, env),
  };
}

/** Who is asked for certificates; undefined: nobody is. @throws GatewayError `usage` */
export function authorityOf(
  choice: AcmeChoice | undefined,
  env: Environment,
): AuthorityFacts | undefined {
  if (choice === undefined) return undefined;
  return { host: new URL(choice.directory).host, folder: acmeFolder(choice, env) };
}

/** The folder of the certificates. @throws GatewayError `usage` */
export function acmeFolder({ dir }: AcmeChoice, env: Environment): string {
  return dir ?? defaultFolder(env);
}

function readCa(path: string): string {
  const read = (): ReturnType<typeof parseCertificates> => {
    try {
      return parseCertificates(readFileSync(path, "utf8"));
    } catch (error) {
      return { problem: fileProblem(error) };
    }
  };
  const found = read();
  if ("text" in found) return found.text;
  throw usage(
    `Cannot use --acme-ca "${path}": ${found.problem}`,
    "it is the file of the CA that has made the authority's own certificate, in PEM",
  );
}

/**
 * A folder that outlives a restart of the machine.
 * Source: systemd.exec(5), `StateDirectory=`; XDG Base Directory Specification, `XDG_STATE_HOME`.
 */
function defaultFolder(env: Environment): string {
  const [service = ""] = (env["STATE_DIRECTORY"] ?? "").split(":");
  if (service !== "") return join(service, "acme");
  if (process.getuid?.() === 0) return "/var/lib/docker-api-gateway/acme";
  const home = env["HOME"] ?? "";
  const state = env["XDG_STATE_HOME"] || (home === "" ? "" : join(home, ".local/state"));
  if (state !== "") return join(state, "docker-api-gateway/acme");
  throw usage("--acme needs a folder: there is no HOME", "give --acme-dir a folder that lasts");
}

function usage(message: string, hint?: string): GatewayError {
  return new GatewayError("usage", message, { hint });
}
