// A user with a browser of its own, who notes all that goes wrong in it.

import { createHash, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { chromium, type BrowserContext, type Page, type Response } from "playwright-core";
import type { Gateway } from "../e2e/gateway.ts";
import { labDir } from "../lab/leftovers.ts";
import { cached } from "../lab/cache.ts";

/** As a user types it. It is a name, as browsers take addresses for something special. */
export const HOST = "gateway.test";

/** Where HTTPS is served, and who issues its certificates: a browser knows no authority of tests. */
interface Secure {
  readonly port: number;
  readonly issuer: string;
}

export class Visitor {
  /** What failed: requests, answers of 400 and above, errors in the console and in scripts. */
  readonly problems: string[] = [];
  /** Which application answered at which path, `NAME METHOD PATH`. */
  readonly answers: string[] = [];
  /** Where it asked for something, `http://HOST:PORT`. */
  readonly asked = new Set<string>();

  private constructor(
    private readonly context: BrowserContext,
    readonly origin: string,
    readonly page: Page,
  ) {
    context.on("request", (request) => this.asked.add(new URL(request.url()).origin));
    context.on("response", (response) => this.#note(response));
    context.on("requestfailed", (request) => {
      this.problems.push(`${request.url()}: ${request.failure()?.errorText}`);
    });
    context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) this.problems.push(message.text());
    });
    context.on("weberror", (error) => this.problems.push(error.error().message));
  }

  /** Starts a browser that has never been anywhere, for what a gateway serves. */
  static arrive(gateway: Gateway, secure?: Secure): Promise<Visitor> {
    const origin =
      secure === undefined ? `http://${HOST}:${gateway.port}` : `https://${HOST}:${secure.port}`;
    const args =
      secure === undefined ? [] : [`--ignore-certificate-errors-spki-list=${pinOf(secure.issuer)}`];
    return Visitor.#start(origin, args);
  }

  /**
   * Starts a browser that has never been anywhere, for the page at an address of `--admin`.
   * @param password what its user types where a password is asked for
   */
  static watch(origin: string, password?: string): Promise<Visitor> {
    const httpCredentials = password === undefined ? undefined : { username: "ops", password };
    return Visitor.#start(origin, [], { ...(httpCredentials && { httpCredentials }) });
  }

  static async #start(
    origin: string,
    args: readonly string[],
    options: Parameters<typeof chromium.launchPersistentContext>[1] = {},
  ): Promise<Visitor> {
    const root = cached("chromium");
    const dir = labDir("b");
    // The fonts beside it, whatever this machine has: without any there is no text to click.
    const fonts = join(dir, "fonts.conf");
    await Bun.write(
      fonts,
      `<fontconfig><dir>${root}/usr/share/fonts</dir><cachedir>${dir}/fonts</cachedir></fontconfig>`,
    );
    const context = await chromium.launchPersistentContext(join(dir, "profile"), {
      executablePath: join(root, "usr/lib/chromium/chromium-headless-shell"),
      args: [`--host-resolver-rules=MAP ${HOST} 127.0.0.1, MAP *.${HOST} 127.0.0.1`, ...args],
      env: { HOME: dir, FONTCONFIG_FILE: fonts },
      ...options,
    });
    const page = context.pages()[0] ?? (await context.newPage());
    return new Visitor(context, origin, page);
  }

  /** Opens a path of the host in a tab, and waits until all of the page is there. */
  async open(path: string, tab = this.page): Promise<void> {
    await tab.goto(this.origin + path, { waitUntil: "networkidle" });
  }

  /** The path that the address bar shows, with the query. */
  get path(): string {
    const { pathname, search } = new URL(this.page.url());
    return pathname + search;
  }

  /** The cookies of the browser, as `NAME PATH`. */
  async cookies(): Promise<string[]> {
    return (await this.context.cookies()).map(({ name, path }) => `${name} ${path}`);
  }

  /** The colour of an element, which its stylesheet has set. */
  color(selector: string): Promise<string> {
    return this.page.evaluate(`getComputedStyle(document.querySelector("${selector}")).color`);
  }

  /** Opens another tab. What happens there is noted, too. */
  tab(): Promise<Page> {
    return this.context.newPage();
  }

  async leave(): Promise<void> {
    await this.context.close();
  }

  #note(response: Response): void {
    const request = response.request();
    const where = `${request.method()} ${response.url().replace(this.origin, "")}`;
    if (response.status() >= 400) this.problems.push(`${where}: ${response.status()}`);
    const name = response.headers()["x-application"];
    if (name !== undefined) this.answers.push(`${name} ${where}`);
  }
}

/** A browser trusts whatever has a certificate of this key in its chain. */
function pinOf(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).digest("base64");
}
