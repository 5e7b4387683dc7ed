// Stands between the gateway and HAProxy's socket: keeps what is said, and may come in between.

import { createConnection, createServer, type Socket } from "node:net";

export interface Recorder {
  /** The path to connect to instead. */
  socket: string;
  /** What was sent on each connection. */
  sent: string[];
  /** Called with all that was sent so far on a connection; its end is waited for before that is passed on. */
  onSent: (text: string) => void | Promise<void>;
  /** From now on connections are taken, and nothing is passed on or answered. */
  silence(): void;
  close(): Promise<void>;
}

/** Listens beside HAProxy's socket, and passes everything on. */
export async function startRecorder(to: string): Promise<Recorder> {
  const open = new Set<Socket>();
  let silent = false;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const index = recorder.sent.push("") - 1;
    open.add(client);
    client.on("close", () => open.delete(client));
    if (silent) return;
    const haproxy = createConnection({ path: to, allowHalfOpen: true });
    open.add(haproxy);
    haproxy.on("close", () => open.delete(haproxy));
    let passing = Promise.resolve();
    client.on("data", (chunk: Buffer) => {
      recorder.sent[index] += chunk.toString();
      const held = recorder.onSent(recorder.sent[index] ?? "");
      passing = passing.then(() => held).then(() => void haproxy.write(chunk));
    });
    client.on("end", () => void passing.then(() => haproxy.end()));
    haproxy.pipe(client);
    client.on("error", () => haproxy.destroy());
    haproxy.on("error", () => client.destroy());
  });
  const recorder: Recorder = {
    socket: `${to}.r`,
    sent: [],
    onSent: () => {},
    silence: () => {
      silent = true;
    },
    close: async () => {
      for (const socket of open) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(recorder.socket, listening.resolve);
  await listening.promise;
  return recorder;
}
