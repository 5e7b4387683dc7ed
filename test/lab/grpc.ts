// A gRPC server and its client, without generated code: messages are texts.

import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServiceDefinition,
  type ServiceError,
  type UntypedServiceImplementation,
  type ServerUnaryCall,
  type sendUnaryData,
  type ServerReadableStream,
  type ServerWritableStream,
  type ServerDuplexStream,
} from "@grpc/grpc-js";

const SERVICE = "/acme.Echo";

function toBytes(text: string): Buffer {
  return Buffer.from(text);
}

function toText(bytes: Buffer): string {
  return bytes.toString();
}

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `${SERVICE}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: toBytes,
    requestDeserialize: toText,
    responseSerialize: toBytes,
    responseDeserialize: toText,
  };
}

/** The service: what each method does is said in `IMPLEMENTATION`. */
const DEFINITION: ServiceDefinition = {
  say: method("Say", false, false),
  fail: method("Fail", false, false),
  count: method("Count", false, true),
  join: method("Join", true, false),
  chat: method("Chat", true, true),
};

type Call = ServerUnaryCall<string, string>;
type Callback = sendUnaryData<string>;

const IMPLEMENTATION: UntypedServiceImplementation = {
  /** Answers what was said, with its metadata, and with a trailer. */
  say: (call: Call, callback: Callback) => {
    const said = call.metadata.get("x-said").join();
    const trailer = new Metadata();
    trailer.set("x-trailer", "there");
    callback(null, `${call.request} ${said}`, trailer);
  },
  fail: (_: Call, callback: Callback) => {
    const metadata = new Metadata();
    metadata.set("x-why", "because");
    callback({ code: status.NOT_FOUND, details: "there is none: é", metadata });
  },
  /** Answers as many messages as it is asked for, 10 ms apart, and fails in the end if that is odd. */
  count: (call: ServerWritableStream<string, string>) => {
    const last = Number(call.request);
    const next = (number: number): void => {
      if (number <= last) {
        call.write(String(number));
        setTimeout(() => next(number + 1), 10);
      } else if (last % 2 === 0) call.end();
      else call.emit("error", { code: status.OUT_OF_RANGE, details: "odd" });
    };
    next(1);
  },
  join: (call: ServerReadableStream<string, string>, callback: Callback) => {
    const all: string[] = [];
    call.on("data", (text: string) => void all.push(text));
    call.on("end", () => callback(null, all.join("+")));
  },
  chat: (call: ServerDuplexStream<string, string>) => {
    call.on("data", (text: string) => void call.write(`re: ${text}`));
    call.on("end", () => call.end());
  },
};

/** A running server. */
export interface GrpcServer {
  readonly port: number;
  stop(): void;
}

export async function startGrpc(): Promise<GrpcServer> {
  const server = new Server();
  server.addService(DEFINITION, IMPLEMENTATION);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port, stop: () => server.forceShutdown() };
}

/** How a call ended. */
export interface Outcome {
  readonly messages: readonly string[];
  readonly code: number;
  readonly details: string;
  readonly trailers: Readonly<Record<string, unknown>>;
}

/** A client of that service. */
export class GrpcClient {
  readonly #client: Client;

  /** @param authority the host that it asks for */
  constructor(port: number, authority: string) {
    this.#client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
      "grpc.default_authority": authority,
      "grpc.enable_retries": 0,
    });
  }

  say(text: string, said = ""): Promise<Outcome> {
    return this.#unary("Say", text, said);
  }

  fail(): Promise<Outcome> {
    return this.#unary("Fail", "please", "");
  }

  #unary(name: string, text: string, said: string): Promise<Outcome> {
    const metadata = new Metadata();
    metadata.set("x-said", said);
    return new Promise((resolve) => {
      const messages: string[] = [];
      let failure: ServiceError | null = null;
      const call = this.#client.makeUnaryRequest(
        `${SERVICE}/${name}`,
        toBytes,
        toText,
        text,
        metadata,
        (error, answer) => {
          failure = error;
          if (answer !== undefined) messages.push(answer);
        },
      );
      call.on("status", ({ code, details, metadata: trailers }) => {
        setImmediate(() =>
          resolve({ messages, code: failure?.code ?? code, details, trailers: trailers.getMap() }),
        );
      });
    });
  }

  count(last: number): Promise<Outcome> {
    const call = this.#client.makeServerStreamRequest(
      `${SERVICE}/Count`,
      toBytes,
      toText,
      String(last),
    );
    return outcomeOf(call);
  }

  join(texts: readonly string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const messages: string[] = [];
      const call = this.#client.makeClientStreamRequest(
        `${SERVICE}/Join`,
        toBytes,
        toText,
        (_, answer) => {
          if (answer !== undefined) messages.push(answer);
        },
      );
      call.on("status", ({ code, details, metadata }) => {
        setImmediate(() => resolve({ messages, code, details, trailers: metadata.getMap() }));
      });
      for (const text of texts) call.write(text);
      call.end();
    });
  }

  /** Sends each text when the one before has been answered. */
  chat(texts: readonly string[]): Promise<Outcome> {
    const call = this.#client.makeBidiStreamRequest(`${SERVICE}/Chat`, toBytes, toText);
    const left = [...texts];
    const next = (): void => {
      const text = left.shift();
      if (text === undefined) call.end();
      else call.write(text);
    };
    call.on("data", next);
    next();
    return outcomeOf(call);
  }

  close(): void {
    this.#client.close();
  }
}

function outcomeOf(
  call: ReturnType<Client["makeServerStreamRequest"]> | ReturnType<Client["makeBidiStreamRequest"]>,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const messages: string[] = [];
    call.on("data", (text: string) => void messages.push(text));
    call.on("error", () => {});
    call.on("status", ({ code, details, metadata }) => {
      setImmediate(() => resolve({ messages, code, details, trailers: metadata.getMap() }));
    });
  });
}
