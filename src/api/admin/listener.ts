// Where --admin listens: at a port, or at a unix socket.

import { refusal, type Handler } from "../api.ts";
import { ApiSocket } from "../socket.ts";
import { errorMessage, GatewayError, systemCode } from "../../lib/errors.ts";
import { whyNotFree } from "../../lib/listeners.ts";
import type { Logger } from "../../lib/log.ts";

/** An address of --admin. */
export type AdminAddress =
  | {
      readonly kind: "tcp";
      /** `*` or an IP address, IPv6 in brackets. */
      readonly host: string;
      readonly port: number;
    }
  | { readonly kind: "unix"; readonly path: string };

/** Requests have no body. In bytes. */
const LARGEST_BODY = 4_096;
/** A stream of changes has a comment every 15 s. In seconds. */
const IDLE = 40;

/** Answers at an address. Before there is a gateway, it says so. */
export class AdminListener {
  #handler: Handler = async () => refusal(503, "starting", "the gateway is starting");
  #server: Bun.Server<undefined> | undefined;
  #socket: ApiSocket | undefined;

  private constructor(private readonly address: AdminAddress) {}

  /**
   * Begins to listen.
   * @param group the number of the group that may use a unix socket, too
   * @throws GatewayError `config` if it cannot
   */
  static async open(
    address: AdminAddress,
    group: number | undefined,
    log: Logger,
  ): Promise<AdminListener> {
    const listener = new AdminListener(address);
    await listener.#open(group, log);
    return listener;
  }

  /** The unix socket, which may have to be made again; undefined: it is a port. */
  get socket(): ApiSocket | undefined {
    return this.#socket;
  }

  /** Has requests answered. */
  answer(handler: Handler): void {
    this.#handler = handler;
  }

  /** Ends all answers. */
  async close(): Promise<void> {
    await this.#server?.stop(true);
    await this.#socket?.close();
  }

  async #open(group: number | undefined, log: Logger): Promise<void> {
    const { address } = this;
    const fetch: Handler = (request) => this.#handler(request);
    if (address.kind === "unix") {
      const socket = new ApiSocket(address.path, fetch, group, log);
      try {
        await socket.listen();
      } catch (error) {
        throw cannotListen(`unix:${address.path}`, errorMessage(error), "name another --admin");
      }
      this.#socket = socket;
      return;
    }
    const { host, port } = address;
    try {
      this.#server = Bun.serve({
        hostname: host === "*" ? "0.0.0.0" : host.replace(/^\[(.*)\]$/, "$1"),
        port,
        fetch,
        maxRequestBodySize: LARGEST_BODY,
        idleTimeout: IDLE,
      });
    } catch (error) {
      throw await whyNot(`${host}:${port}`, error);
    }
  }
}

async function whyNot(address: string, error: unknown): Promise<GatewayError> {
  if (systemCode(error) === "EACCES") {
    return cannotListen(address, "ports below 1024 are root's", "name a higher port with --admin");
  }
  const conflict = await whyNotFree(address, () => false);
  const problem = conflict?.problem ?? errorMessage(error);
  return cannotListen(address, problem, "end that program, or name another --admin");
}

function cannotListen(address: string, problem: string, hint: string): GatewayError {
  return new GatewayError("config", `Cannot listen on "${address}" for --admin: ${problem}`, {
    hint,
  });
}
