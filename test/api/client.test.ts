// What a command says where the gateway that it asks goes away.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { GatewayClient } from "../../src/api/client.ts";
import { failure } from "../lab/folder.ts";
import { labDir } from "../lab/leftovers.ts";

const HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

test("one that hangs up in the middle of its changes", async () => {
  const path = join(labDir("api"), "gateway.sock");
  const listener = Bun.listen({
    unix: path,
    socket: {
      data: (socket) => {
        socket.write(HEAD);
        setTimeout(() => socket.terminate(), 50);
      },
    },
  });
  const client = new GatewayClient(path);
  const follow = async (): Promise<void> => {
    for await (const change of client.follow("-", new AbortController().signal)) void change;
  };
  expect(await failure(follow())).toMatchObject({
    message: `Cannot ask the gateway at "${path}": it hung up`,
    hint: "it may have been started anew",
  });
  listener.stop(true);
  expect(await failure(follow())).toMatchObject({
    message: `Cannot ask the gateway at "${path}": nobody answers there`,
  });
});
