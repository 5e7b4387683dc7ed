// Stands between the gateway and HAProxy's socket. It records the commands and can delay them.

import { createConnection, createServer, type Socket } from "node:net";

export interface Recorder {
  /** The path of the recorder's own socket. */
  socket: string;
  /** The commands on each connection, in the order of the connections. */
  sent: string[];
  /** Called with all commands so far on a connection. The last one waits until this has ended. */
  onSent: (text: string) => void | Promise<void>;
  /** From now on new connections are accepted, but nothing is passed on or answered. */
  silence(): void;
  close(): Promise<void>;
}

/** Listens beside HAProxy's socket `to` and passes everything on. */
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
    let passedOn = Promise.resolve();
    client.on("data", (chunk: Buffer) => {
      recorder.sent[index] += chunk.toString();
      const mayPass = recorder.onSent(recorder.sent[index] ?? "");
      passedOn = passedOn.then(() => mayPass).then(() => void haproxy.write(chunk));
    });
    client.on("end", () => void passedOn.then(() => haproxy.end()));
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
