// HAProxy's messages, by containers and routes.

import { expect, test } from "bun:test";
import { Words } from "../../src/gateway/words.ts";
import { route } from "../../src/routing/routing.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const web = container("web-1");
const two = container("two-1", {
  image: "two",
  attachments: [at("bridge", "172.17.0.3")],
  labels: { "gateway.host": "two.example.com", "gateway.path": "/a,/b" },
});
const model = route(snapshot([web, two]), HOST, ROUTING);
/** The second service runs under the name of a backend that was kept in reserve. */
const words = new Words((backend) => (backend === "two" ? "_spare_3" : backend));

/** `ID` stands for the first container's ID in HAProxy, `ID2` for the second one's. */
function inWords(message: string): string {
  const ids = message.replaceAll("ID2", two.id.slice(0, 12)).replaceAll("ID", web.id.slice(0, 12));
  return words.of(ids, model);
}

const TWO = "http://two.example.com/a, http://two.example.com/b";

test.each([
  ["Server foo:bar/ID is DOWN, reason: x.", "container web-1 (/foo/bar) is DOWN, reason: x."],
  ["Server foo:bar/ID:80 is UP", "container web-1 (/foo/bar, port 80) is UP"],
  ["Server _spare_3/ID2 is UP", `container two-1 (${TWO}) is UP`],
  ["Server two/ID2 is UP", `container two-1 (${TWO}) is UP`],
  ["'server foo:bar/ID' : bad", "'server of container web-1 (/foo/bar)' : bad"],
  [
    'No such server. (in "set server _spare_3/ID2 weight 1")',
    `No such server. (in "set server of container two-1 (${TWO}) weight 1")`,
  ],
  ["Backup Server foo:bar/_wait is UP", "the waiting room of /foo/bar is UP"],
  ["backend 'foo:bar' has no server available!", "/foo/bar has no server available!"],
  ["Proxy _spare_3 stopped (x).", `${TWO} stopped (x).`],
  [
    "config : parsing [/run/x/haproxy.cfg:199]: the hash algorithm used for this password takes 23 milliseconds to verify, which can have devastating performance and stability impacts. Please hash this password using a lighter algorithm (one that is compatible with web usage).",
    "a password of a label takes 23 ms to check, in which that thread of HAProxy does nothing else: one that mkpasswd -m sha-512 has made takes 1 ms",
  ],
])("%j is told by container and route", (message, expected) => {
  expect(inWords(message)).toBe(expected);
});

test.each([
  [
    "1 active and 1 backup servers online. 0 sessions requeued, 0 total in queue.",
    "1 of the service's servers is up",
  ],
  [
    "2 active and 0 backup servers left. 3 sessions active, 0 requeued, 0 remaining in queue.",
    "2 of the service's servers are up",
  ],
  [
    "0 active and 1 backup servers left. Running on backup. 0 sessions active, 0 requeued, 0 remaining in queue.",
    "no other is up, so requests wait",
  ],
  [
    "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
    "no other is up",
  ],
])("what is left: %j", (left, expected) => {
  expect(
    inWords(`Server foo:bar/ID is DOWN, reason: Layer4 timeout, check duration: 2000ms. ${left}`),
  ).toBe(`container web-1 (/foo/bar) is DOWN: its port does not answer in time; ${expected}`);
});

test.each([
  [
    'DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms.',
    "DOWN: its port does not answer; no other is up",
  ],
  [
    'DOWN, reason: Layer4 connection problem, info: "ECONNREFUSED returned by OS (Connection refused)", check duration: 0ms.',
    "DOWN: its port does not answer; no other is up",
  ],
  [
    'DOWN, reason: Layer7 wrong status, code: 503, info: "Service, \\"away\\"", check duration: 1ms.',
    "DOWN: its check is answered 503; no other is up",
  ],
  [
    "DOWN, reason: Layer7 timeout, check duration: 2000ms.",
    "DOWN: its check is not answered in time; no other is up",
  ],
  [
    "UP, reason: Layer7 check passed, code: 200, check duration: 2ms.",
    "UP: its check is answered 200; no other is up",
  ],
  // What is not known stays as it is.
  ['DOWN, reason: Agent, info: "x".', 'DOWN, reason: Agent, info: "x"; no other is up'],
])("why: %s", (reason, expected) => {
  const left = "0 active and 0 backup servers left. 0 sessions active, 0 requeued.";
  expect(inWords(`Server foo:bar/ID is ${reason} ${left}`)).toBe(
    `container web-1 (/foo/bar) is ${expected}`,
  );
});

test("a container that is gone keeps its ID, and what is not known keeps its name", () => {
  expect(inWords("Server foo:bar/0123456789ab is UP")).toBe(
    "container 0123456789ab (/foo/bar) is UP",
  );
  expect(inWords("Server _spare_9/0123456789ab is UP")).toBe("container 0123456789ab is UP");
  expect(inWords("Server _spare_9/_wait is UP")).toBe(
    "the waiting room of a route that is gone is UP",
  );
  for (const message of [
    "Server mine/0123456789ab is UP",
    "cannot read /var/lib/docker/0123456789ab",
    "parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword 'servr' in 'backend' section",
    "backend mine has no server available!",
  ]) {
    expect(inWords(message)).toBe(message);
  }
});
