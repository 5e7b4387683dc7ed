// Which sockets in the kernel's list are those of gateways.

import { expect, test } from "bun:test";
import { listeningSockets } from "../../src/api/finder.ts";

const TABLE = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 42001 /run/docker-api-gateway/haproxy.gateway.sock
0000000000000000: 00000002 00000000 00010000 0001 01 42002 /run/docker-api-gateway/haproxy.admin.sock
0000000000000000: 00000003 00000000 00000000 0001 03 42003 /run/docker-api-gateway/haproxy.gateway.sock
0000000000000000: 00000003 00000000 00000000 0001 03 42004 /run/gone/haproxy.gateway.sock
0000000000000000: 00000002 00000000 00010000 0001 01 42005 @abstract.gateway.sock
0000000000000000: 00000002 00000000 00010000 0001 01 42006 relative.gateway.sock
0000000000000000: 00000002 00000000 00010000 0001 01 42007
0000000000000000: 00000002 00000000 00010000 0001 01 42008 /srv/edge.gateway.sock
`;

test("those at which somebody listens, by their names, each once", () => {
  expect(listeningSockets(TABLE)).toEqual([
    "/run/docker-api-gateway/haproxy.gateway.sock",
    "/srv/edge.gateway.sock",
  ]);
  expect(listeningSockets("")).toEqual([]);
});
