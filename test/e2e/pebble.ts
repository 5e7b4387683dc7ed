// Let's Encrypt's small ACME server for tests, with a DNS of its own: see test/lab/setup pebble.

import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { join } from "node:path";
import { axios, Client } from "acme-client";
import { cached } from "../lab/cache.ts";
import { connect, eventually } from "../lab/http.ts";
import { freePort } from "../lab/ports.ts";
import { makeCertificates } from "./certificates.ts";

export interface PebbleOptions {
  /** How long its certificates are valid, in seconds. */
  readonly validity?: number;
  /** The key that an account needs, as `KID:HMAC`. */
  readonly binding?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The port of its DNS; any by default. */
  readonly dnsPort?: number;
}

/** The names for which it makes no certificates. */
export const BLOCKED = "blocked.test";

export class Pebble {
  #children: Bun.Subprocess[] = [];

  private constructor(
    private readonly dir: string,
    private readonly port: number,
    private readonly dns: number,
    private readonly dnsManagement: number,
  ) {}

  /**
   * @param dir where its files are
   * @param httpPort where it looks for the answers to HTTP-01
   */
  static async start(dir: string, httpPort: number, options: PebbleOptions = {}): Promise<Pebble> {
    makeCertificates(dir);
    const ports = [];
    while (ports.length < 3) ports.push(await freePort());
    const [port = 0, freeDns = 0, dnsManagement = 0] = ports;
    const dns = options.dnsPort ?? freeDns;
    const [kid = "", hmac = ""] = options.binding?.split(":") ?? [];
    const pebble = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: "",
      certificate: join(dir, "server.pem"),
      privateKey: join(dir, "server-key.pem"),
      httpPort,
      tlsPort: 1,
      domainBlocklist: [BLOCKED],
      retryAfter: { authz: 1, order: 1 },
      certificateValidityPeriod: options.validity ?? 7_776_000,
      externalAccountBindingRequired: kid !== "",
      ...(kid === "" ? {} : { externalAccountMACKeys: { [kid]: hmac } }),
    };
    writeFileSync(join(dir, "pebble.json"), JSON.stringify({ pebble }));
    const made = new Pebble(dir, port, dns, dnsManagement);
    await made.run(options.env);
    return made;
  }

  /** Starts it, or starts it anew: it remembers nothing of before. */
  async run(env: PebbleOptions["env"] = {}): Promise<void> {
    const bin = join(cached("pebble"), "usr/bin");
    const silent = ["-http01", "-https01", "-tlsalpn01", "-doh", "-defaultIPv6"];
    this.#spawn("pebble-challtestsrv", [
      join(bin, "pebble-challtestsrv"),
      `-management=127.0.0.1:${this.dnsManagement}`,
      `-dns01=127.0.0.1:${this.dns}`,
      "-defaultIPv4=127.0.0.1",
      ...silent.map((name) => `${name}=`),
    ]);
    const words = ["-config", join(this.dir, "pebble.json"), "-dnsserver", `127.0.0.1:${this.dns}`];
    this.#spawn("pebble", [join(bin, "pebble"), ...words], {
      PEBBLE_VA_NOSLEEP: "1",
      PEBBLE_WFE_NONCEREJECT: "0",
      PEBBLE_AUTHZREUSE: "0",
      ...env,
    });
    for (const port of [this.port, this.dnsManagement]) {
      await eventually(async () => (await connect({ port })).close());
    }
  }

  #spawn(name: string, words: string[], env: PebbleOptions["env"] = {}): void {
    const log = Bun.file(join(this.dir, `${name}.log`));
    this.#children.push(
      Bun.spawn(words, { stdin: "ignore", stdout: log, stderr: log, env: { ...env } }),
    );
  }

  get flags(): string[] {
    return [
      `--acme-directory=https://127.0.0.1:${this.port}/dir`,
      `--acme-ca=${join(this.dir, "ca.pem")}`,
    ];
  }

  /** What it has said. */
  log(): string {
    return readFileSync(join(this.dir, "pebble.log"), "utf8");
  }

  /** Gives a name a CAA record. */
  async allow(host: string, issuer: string): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${this.dnsManagement}/add-caa`, {
      method: "POST",
      body: JSON.stringify({ host: `${host}.`, policies: [{ tag: "issue", value: issuer }] }),
    });
    if (!answer.ok) throw new Error(`Cannot add a CAA record: status ${answer.status}`);
  }

  /** A command for --acme-dns, which says what it does in a file beside it. */
  dnsCommand(): string {
    const path = join(this.dir, "dns");
    writeFileSync(
      path,
      `#!${process.execPath}
const [action, name, value] = process.argv.slice(2);
require("node:fs").appendFileSync("${path}.log", action + " " + name + "\\n");
const host = name + ".";
const answer = await fetch("http://127.0.0.1:${this.dnsManagement}/" + (action === "set" ? "set-txt" : "clear-txt"), {
  method: "POST",
  body: JSON.stringify({ host, value }),
});
process.exit(answer.ok ? 0 : 1);
`,
    );
    chmodSync(path, 0o755);
    return path;
  }

  /** Deactivates the account of a folder, as its owner may. */
  async deactivate(folder: string): Promise<void> {
    const name = readdirSync(folder).find((each) => each.startsWith("account-")) ?? "";
    const { key, url } = JSON.parse(readFileSync(join(folder, name), "utf8")) as {
      key: string;
      url: string;
    };
    axios.defaults.httpsAgent = new Agent({ ca: readFileSync(join(this.dir, "ca.pem")) });
    const directoryUrl = `https://127.0.0.1:${this.port}/dir`;
    await new Client({ directoryUrl, accountKey: key, accountUrl: url }).updateAccount({
      status: "deactivated",
    });
  }

  /** Starts it anew, to look for answers at another port. */
  async lookAt(httpPort: number): Promise<void> {
    const path = join(this.dir, "pebble.json");
    const config = JSON.parse(readFileSync(path, "utf8")) as { pebble: { httpPort: number } };
    config.pebble.httpPort = httpPort;
    writeFileSync(path, JSON.stringify(config));
    await this.stop();
    await this.run();
  }

  /** Stops it for a while, so that it answers nobody; false: it goes on. */
  pause(isPaused: boolean): void {
    for (const child of this.#children) child.kill(isPaused ? "SIGSTOP" : "SIGCONT");
  }

  /** Ends it. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map((child) => child.exited));
    this.#children = [];
  }
}
