// An authority that makes certificates by ACME (RFC 8555): the account there, and orders from the first
// request to the certificate. The library is loaded with the first of them.

import type { Authorization, Client, Order } from "acme-client";
import { pause } from "../lib/async.ts";
import type { Logger } from "../lib/log.ts";
import type { Answers } from "./answers.ts";
import { recordName, runDnsCommand } from "./dns-command.ts";
import { failureOf, Failure, parseProblem, Refused, toFailure } from "./failure.ts";
import { parseBundle, type AcmeFolder, type OpenOrder } from "./folder.ts";
import { createTransport } from "./transport.ts";
import type { Wish } from "./wishes.ts";

/** Which authority is asked, and how. */
export interface AuthorityOptions {
  /** The address of the person who answers for the certificates. */
  readonly email: string;
  /** The URL of its directory. */
  readonly directory: string;
  /** The key of an account that it knows already (RFC 8555, section 7.3.4); undefined: it needs none. */
  readonly binding: { readonly kid: string; readonly hmacKey: string } | undefined;
  /** The certificates of a private authority's own CA, in PEM. */
  readonly ca: string | undefined;
  /** The command that proves names by DNS-01; undefined: they are proved by HTTP-01. */
  readonly dns: readonly string[] | undefined;
}

type Library = typeof import("acme-client");
/** What an order has beside what the library knows. */
type AnyOrder = Order & { readonly error?: unknown };
/** A proof that was shown, and how it is taken away again. */
type Hide = () => Promise<void>;

/** The pauses between two looks at what the authority does, in milliseconds. The last one stays. */
const LOOKS = [200, 500, 1_000, 2_000, 3_000];
/** An authority proves a name, and makes a certificate, within seconds. In milliseconds. */
const LIMIT = 180_000;

export class Authority {
  #library: Promise<Library> | undefined;
  #client: Promise<Client> | undefined;
  /** The host of its directory, for messages. */
  readonly host: string;

  /** @param ending aborted when the gateway ends */
  constructor(
    private readonly options: AuthorityOptions,
    private readonly folder: AcmeFolder,
    private readonly answers: Answers,
    private readonly ending: AbortSignal,
    private readonly log: Logger,
  ) {
    this.host = new URL(options.directory).host;
  }

  /**
   * Has a certificate made. An order that an earlier gateway left is gone on with.
   * @param replaces stands for the certificate that is renewed (RFC 9773, section 4.1); undefined: none
   * @returns the key, the certificate and its chain, in PEM
   * @throws Failure
   */
  async order(wish: Wish, replaces: string | undefined): Promise<string> {
    try {
      return await this.#tryOrder(wish, replaces);
    } catch (error) {
      if (!isOfAccount(error)) throw toFailure(error, this.host);
      this.log.warn(`${this.host} does not know the account any more: a new one is made`);
    }
    this.folder.dropAccount(this.options.directory, this.options.email);
    this.folder.closeOrder(wish.file);
    this.#client = undefined;
    try {
      return await this.#tryOrder(wish, replaces);
    } catch (error) {
      throw toFailure(error, this.host);
    }
  }

  /**
   * Reads a resource that needs no account, such as what the authority says of a renewal.
   * @returns undefined if the authority has no such resource
   * @throws Refused, or an error of the connection
   */
  async read(
    resource: string,
    path: string,
  ): Promise<{ data: unknown; retryAfter: string | undefined } | undefined> {
    const { axios } = await this.#load();
    const directory = await axios.get<Record<string, unknown>>(this.options.directory);
    const url = directory.data[resource];
    if (typeof url !== "string") return undefined;
    const { data, headers } = await axios.get<unknown>(`${url.replace(/\/$/, "")}/${path}`);
    const retryAfter: unknown = headers["retry-after"];
    return { data, retryAfter: typeof retryAfter === "string" ? retryAfter : undefined };
  }

  async #tryOrder(wish: Wish, replaces: string | undefined): Promise<string> {
    const { crypto } = await this.#load();
    this.#client ??= this.#openAccount();
    // The next one asks again, if it fails.
    const client = await this.#client.catch((error: unknown) => {
      this.#client = undefined;
      throw error;
    });
    let { order, open } = await this.#begin(client, wish, replaces);
    if (order.status === "pending") order = await this.#prove(client, order);
    if (order.status === "ready") {
      const [, csr] = await crypto.createCsr({ altNames: [...wish.names] }, open.key);
      order = await client.finalizeOrder(order, csr);
    }
    order = await this.#await(order, () => client.getOrder(order), ["processing", "ready"]);
    if (order.status !== "valid") throw orderFailure(order);
    const chain = await client.getCertificate(order);
    const bundle = `${open.key.trim()}\n${chain.trim()}\n`;
    if (parseBundle(bundle) === undefined) {
      this.folder.closeOrder(wish.file);
      throw new Failure("authority", `${this.host} made a certificate that is of no use`);
    }
    return bundle;
  }

  /** Goes on with an order, or begins one. Its key is on disk before the authority makes the certificate. */
  async #begin(
    client: Client,
    { file, names }: Wish,
    replaces: string | undefined,
  ): Promise<{ order: AnyOrder; open: OpenOrder }> {
    const { directory } = this.options;
    const account = client.getAccountUrl();
    const left = this.folder.openOrder(file);
    const isOurs = left?.directory === directory && left.account === account;
    if (left !== undefined && isOurs && left.names.join() === names.join()) {
      const order = await findOrder(client, left.url);
      if (order !== undefined) return { order, open: left };
    }
    this.folder.closeOrder(file);
    const identifiers = names.map((value) => ({ type: "dns", value }));
    const order = await this.#newOrder(client, identifiers, replaces);
    const { crypto } = await this.#load();
    const key = (await crypto.createPrivateEcdsaKey("P-256")).toString();
    const open = { directory, account, url: order.url, names, key };
    await this.folder.keepOrder(file, open);
    return { order, open };
  }

  async #newOrder(
    client: Client,
    identifiers: { type: string; value: string }[],
    replaces: string | undefined,
  ): Promise<AnyOrder> {
    if (replaces === undefined) return client.createOrder({ identifiers });
    const renewal: Parameters<Client["createOrder"]>[0] & { replaces: string } = {
      identifiers,
      replaces,
    };
    try {
      return await client.createOrder(renewal);
    } catch (error) {
      // It may be replaced already, or not be known there: that it is a renewal only helps.
      const isAboutIt =
        error instanceof Refused && ["alreadyReplaced", "malformed"].includes(error.problem.type);
      if (!isAboutIt) throw error;
      return client.createOrder({ identifiers });
    }
  }

  /** Proves all names of an order. What was shown for that is taken away again. */
  async #prove(client: Client, order: AnyOrder): Promise<AnyOrder> {
    const shown: Hide[] = [];
    try {
      for (const authorization of await client.getAuthorizations(order)) {
        if (authorization.status !== "pending") continue;
        await this.#show(client, authorization, shown);
      }
      const proved = await this.#await(order, () => client.getOrder(order), ["pending"]);
      if (proved.status === "invalid") await this.#explainInvalid(client, order);
      return proved;
    } finally {
      for (const hide of shown) {
        await hide().catch((error: unknown) => this.log.failure(error, "it stays", "warn"));
      }
    }
  }

  /** Shows the proof for a name, and has the authority look at it. */
  async #show(client: Client, authorization: Authorization, shown: Hide[]): Promise<void> {
    const { identifier, challenges } = authorization;
    const { dns } = this.options;
    const type = dns === undefined ? "http-01" : "dns-01";
    const challenge = challenges.find((each) => each.type === type);
    if (challenge === undefined) {
      throw new Failure(
        "refused",
        `${this.host} does not prove ${identifier.value} by ${type.toUpperCase()}`,
        dns === undefined ? "give --acme-dns a command" : undefined,
      );
    }
    const text = await client.getChallengeKeyAuthorization(challenge);
    if (dns === undefined) {
      shown.push(() => Promise.resolve(this.answers.take(challenge.token)));
      await this.answers.put(challenge.token, text);
    } else {
      const record = { name: recordName(identifier.value), value: text };
      // It may have done half of it.
      shown.push(() => runDnsCommand(dns, "unset", record));
      await runDnsCommand(dns, "set", record);
    }
    // An earlier gateway may have had it looked at already.
    if (challenge.status === "pending") await client.completeChallenge(challenge);
  }

  /** @throws Failure that names the name which could not be proved */
  async #explainInvalid(client: Client, order: AnyOrder): Promise<void> {
    const authorizations = await client.getAuthorizations(order);
    const found = authorizations.find(({ status }) => status === "invalid");
    const failed = found?.challenges.find(({ error }) => error !== undefined);
    if (found === undefined || failed === undefined) return;
    const { outcome, message, hint } = failureOf(parseProblem(failed.error));
    throw new Failure(outcome, `${found.identifier.value}: ${message}`, hint);
  }

  /** Looks again and again until the order has another status. @throws Failure if that takes too long */
  async #await(
    order: AnyOrder,
    look: () => Promise<AnyOrder>,
    busy: readonly string[],
  ): Promise<AnyOrder> {
    const until = Date.now() + LIMIT;
    let now = order;
    for (let looks = 0; busy.includes(now.status); looks++) {
      if (Date.now() > until) {
        throw new Failure("authority", `${this.host} takes longer than ${LIMIT / 60_000} minutes`);
      }
      await pause(LOOKS[Math.min(looks, LOOKS.length - 1)] ?? 0, this.ending);
      this.ending.throwIfAborted();
      now = await look();
    }
    return now;
  }

  /** The account of before, or a new one. */
  async #openAccount(): Promise<Client> {
    const library = await this.#load();
    const { directory: directoryUrl, email, binding } = this.options;
    const known = this.folder.account(directoryUrl, email);
    if (known !== undefined && known.url !== "") {
      return new library.Client({ directoryUrl, accountKey: known.key, accountUrl: known.url });
    }
    const key = known?.key ?? (await library.crypto.createPrivateEcdsaKey("P-256")).toString();
    // Before it is known there: with the same key it is the same account (RFC 8555, section 7.3.1).
    await this.folder.keepAccount(directoryUrl, email, { url: "", key });
    const client = new library.Client({
      directoryUrl,
      accountKey: key,
      ...(binding === undefined ? {} : { externalAccountBinding: binding }),
    });
    await client.createAccount({ termsOfServiceAgreed: true, contact: [`mailto:${email}`] });
    await this.folder.keepAccount(directoryUrl, email, { url: client.getAccountUrl(), key });
    this.log.info(
      `${this.host} has an account for ${email} now, whose key is in ${this.folder.path}`,
    );
    return client;
  }

  #load(): Promise<Library> {
    this.#library ??= import("acme-client").then((library) => {
      const { axios } = library;
      // One library serves one authority.
      axios.defaults.adapter = createTransport(this.options.ca, this.ending);
      axios.defaults.headers.common["User-Agent"] = "docker-api-gateway";
      return library;
    });
    return this.#library;
  }
}

/** An order that was left; undefined if the authority does not know it, or it is over. */
async function findOrder(client: Client, url: string): Promise<AnyOrder | undefined> {
  try {
    const order: AnyOrder = await client.getOrder(asOrder(url));
    return order.status === "invalid" ? undefined : order;
  } catch (error) {
    if (error instanceof Refused && error.status < 500 && error.status !== 429) return undefined;
    throw error;
  }
}

/** The library takes a whole order, and reads its URL alone. */
function asOrder(url: string): Order {
  return { url, status: "pending", identifiers: [], authorizations: [], finalize: "" };
}

function orderFailure({ status, error }: AnyOrder): Failure {
  if (error !== undefined) return failureOf(parseProblem(error));
  return new Failure("refused", `the order is ${status}, without a reason`);
}

/** Whether the authority does not take the account: it is gone, or was deactivated. */
function isOfAccount(error: unknown): boolean {
  if (!(error instanceof Refused)) return false;
  const { type, detail } = error.problem;
  return (
    type === "accountDoesNotExist" ||
    (["unauthorized", "malformed"].includes(type) && /account/i.test(detail))
  );
}
