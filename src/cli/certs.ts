// `docker-api-gateway certs`: which certificate each name has, and what is wrong with it. `certs renew NAME` has
// the authority make one anew.

import {
  certificatesDocument,
  type CertificateRow,
  type CertificatesDocument,
} from "../api/certificates.ts";
import type { GatewayClient } from "../api/client.ts";
import { pause } from "../lib/async.ts";
import { GatewayError } from "../lib/errors.ts";
import { formatDuration, formatTable } from "../lib/text.ts";
import { ASK_FLAGS, askedGateway, runningGateway } from "./asked-gateway.ts";
import { httpsBeside, modelBeside } from "./beside.ts";
import type { Command, CommandIo } from "./command.ts";
import { GATEWAY_FLAGS } from "./gateway-flags.ts";
import { parseOptions, type Options } from "./options.ts";
import { preparePaths } from "./setup.ts";

/** An authority takes seconds, and minutes at worst. In milliseconds. */
const RENEWAL_PATIENCE = 200_000;
/** How often it is asked how far it is, in milliseconds. */
const LOOK_EVERY = 500;

export const certsCommand: Command = {
  name: "certs",
  description: "Show which certificate each host has, until when, and what is wrong; or renew one",
  flags: {
    json: { type: "boolean", description: "as JSON, for programs" },
    ...ASK_FLAGS,
    ...GATEWAY_FLAGS,
  },
  argument: {
    name: "action",
    description: "renew: have the authority of --acme make a certificate anew",
    required: false,
    choices: ["renew"],
  },
  more: { name: "name", description: "the host of that one", required: false, names: "hosts" },
  examples: [
    ["docker-api-gateway certs", "a table, what is wrong first"],
    ["docker-api-gateway certs renew shop.example.com", "now, whatever its age"],
    [
      "docker-api-gateway certs --json | jq -r '.certificates[] | select(.daysLeft < 14) | .name'",
      "those that end soon",
    ],
  ],
  async run(words, io) {
    const { argument: action, more: name, values } = words;
    const { json, gateway: _, ...raw } = values;
    const options = parseOptions(raw);
    if (action !== undefined) {
      const host = hostOf(action, name);
      await renew(host, await runningGateway(values, io.env), io);
      return 0;
    }
    const gateway = await askedGateway(words, io);
    const document = await (gateway?.certificates() ?? readBeside(options, io));
    io.write(
      json === true
        ? `${JSON.stringify(document, undefined, 2)}\n`
        : toText(document, io.isTerminal ? io.screen().columns : Infinity, Date.now()),
    );
    return 0;
  },
};

function hostOf(action: string, name: string | undefined): string {
  if (action !== "renew") {
    throw new GatewayError("usage", `Cannot ${action} certificates: there is no such action`, {
      hint: "such as: docker-api-gateway certs renew shop.example.com",
    });
  }
  if (name !== undefined) return name.toLowerCase();
  throw new GatewayError("usage", "Cannot run certs renew: NAME is missing", {
    hint: "such as: docker-api-gateway certs renew shop.example.com",
  });
}

/**
 * Has a certificate made anew, and waits for that.
 * @throws GatewayError `gateway` if the authority makes none
 */
async function renew(name: string, gateway: GatewayClient, io: CommandIo): Promise<void> {
  const { end } = io.signals();
  const { names, authority } = await gateway.renew(name);
  io.note(`${authority} is asked for a certificate for ${names.join(", ")} ...`);
  const until = Date.now() + RENEWAL_PATIENCE;
  while (!end.aborted) {
    const { certificates } = await gateway.certificates();
    const row = certificates.find((each) => each.name === name);
    if (row === undefined || !row.underway) {
      if (row?.problem === "") break;
      throw new GatewayError(
        "gateway",
        `Cannot renew "${name}": ${row?.problem ?? "its route is gone"}`,
      );
    }
    if (Date.now() > until) {
      throw new GatewayError("gateway", `Cannot renew "${name}": ${authority} still works on it`, {
        hint: "docker-api-gateway logs -f tells what becomes of it",
      });
    }
    await pause(LOOK_EVERY, end);
  }
  if (!end.aborted) io.write(`${authority} has made it: it is served within 2 s\n`);
}

/** Works it out from the flags. The hosts of routes are there where Docker answers. */
async function readBeside(options: Options, io: CommandIo): Promise<CertificatesDocument> {
  const { output } = preparePaths(options.haproxy, io.env);
  const https = await httpsBeside(options, io.env, output);
  const log = io.logger({ ...options.log, level: "error" });
  const model = await modelBeside(options, output, io.env, log);
  if (model === undefined)
    io.note("hint: Docker does not answer, so hosts without a certificate are not told");
  return certificatesDocument(https, model?.services ?? [], Date.now());
}

function toText(
  { https, certificates, warnings }: CertificatesDocument,
  columns: number,
  now: number,
): string {
  if (!https) return "Nothing is served by HTTPS. --certs or --acme begins it.\n";
  const below = warnings.map((each) => `warning: ${each}\n`);
  const cells = certificates.map((row) => [
    row.name,
    sourceOf(row),
    row.issuer || "-",
    row.daysLeft ?? "-",
    renewalOf(row, now),
    row.problem || "-",
  ]);
  const head = ["HOST", "CERTIFICATE", "ISSUER", "DAYS", "RENEWAL", "PROBLEM"];
  const table =
    cells.length === 0 ? "There is no certificate yet.\n" : formatTable(head, cells, columns);
  return [table, ...(below.length === 0 ? [] : ["\n"]), ...below].join("");
}

/** Where the certificate comes from that clients see. */
function sourceOf({ source, path, authority, match }: CertificateRow): string {
  if (source === "none") return "refused";
  if (source === "self-signed") return source;
  const from = source === "acme" ? authority : path;
  return match === "default" ? `${from} (default)` : from;
}

function renewalOf({ source, renewal, underway }: CertificateRow, now: number): string {
  if (underway) return "now";
  if (renewal === null) return source === "file" ? "not here" : "-";
  const seconds = (Date.parse(renewal) - now) / 1_000;
  return seconds <= 0 ? "now" : `in ${formatDuration(seconds)}`;
}
