// What is told of odd answers, and how often, by what HAProxy says at each look.

import { beforeEach, expect, test } from "bun:test";
import { Observations } from "../../src/gateway/observations.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { Container, Model } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const db = container("db", { image: "acme/db", startedAt: "1" });
const wiki = container("wiki", { image: "acme/wiki", startedAt: "1" });
const CONTAINERS = [db, wiki];

const model = (containers: readonly Container[]): Model =>
  route(snapshot(containers), HOST, ROUTING);
const nameOf = ({ id }: Container): string => id.slice(0, 12);

/** What HAProxy says next. */
let said: {
  /** How many answers of status 5xx clients got. */
  errors: number;
  /** How many answers of the server of db were broken. */
  failures: number;
  /** How often the server of wiki led a client in a circle. */
  circles: number;
  /** How many requests were refused; all came from one client and were too large. */
  refused: number;
};
let asked: string[];
let observations: Observations;

beforeEach(() => {
  said = { errors: 0, failures: 0, circles: 0, refused: 0 };
  asked = [];
  observations = new Observations((line) => Promise.resolve(answer(line)));
});

function answer(line: string): string {
  asked.push(line);
  const { errors, failures, circles, refused } = said;
  const answers: Record<string, string[]> = {
    "show stat -1 1 -1": [
      "# pxname,svname,dresp,ereq,hrsp_5xx",
      `_http,FRONTEND,0,${refused},${errors}`,
      "other,FRONTEND,0,0,0",
      "tcp,FRONTEND,0,,",
    ],
    "show stat -1 4 -1": [
      "# pxname,svname,status,hrsp_2xx,eresp",
      `acme:db,${nameOf(db)},UP,0,${failures}`,
      `acme:wiki,${nameOf(wiki)},UP,9,1`,
    ],
    "show errors -1 response": [
      "Total events captured on [28/Nov/2026:13:26:20.055] : 14",
      " ",
      "[28/Nov/2026:13:26:14.480] backend acme:db (#5): invalid response",
      `  frontend _http (#2), server ${nameOf(db)} (#1), event #1, src 127.0.0.1:59916`,
      "  buffer starts at 0 (including 0 out), 16311 free,",
      "  ",
      String.raw`  00000  J\x00\x00\x00\n`,
    ],
    "show errors -1 request": [
      "Total events captured on [28/Nov/2026:14:12:23.454] : 1",
      " ",
      "[28/Nov/2026:14:12:23.453] frontend _http (#2): invalid request",
      `  backend <NONE> (#-1), server <NONE> (#-1), event #${refused}, src 2001:db8::7:55346`,
      "  buffer starts at 0 (including 0 out), 64 free,",
      "  len 36800, wraps at 36816, error at position 36800",
      "  H1 msg state MSG_HDR_VAL(22), H1 msg flags 0x00001414",
      "  ",
      String.raw`  00000  GET /x HTTP/1.1\r\n`,
    ],
    "show table _http": [
      "# table: _http, type: string, size:10240, used:1",
      ...(circles === 0
        ? []
        : [`0x55d: key=${nameOf(wiki)} use=0 exp=3599 shard=0 conn_cnt=${circles}`]),
    ],
  };
  return `${answers[line]?.join("\n") ?? `nobody knows what "${line}" means`}\n\n`;
}

/** What is new, each as its container and what is odd. */
async function look(containers: readonly Container[] = CONTAINERS): Promise<string[]> {
  const changes = await observations.look(model(containers));
  return changes.map((change) =>
    "container" in change ? `${change.container} ${change.answers}` : `large from ${change.client}`,
  );
}

const restarted = ({ startedAt, ...rest }: Container): Container => ({
  ...rest,
  startedAt: `${startedAt}0`,
});

test("thousands of servers are not looked at as long as no client got an error", async () => {
  const cheap = ["show stat -1 1 -1", "show table _http"];
  expect(await look()).toEqual([]);
  expect(asked).toEqual(cheap);
  Object.assign(said, { errors: 3, failures: 1 });
  expect(await look()).toEqual(["db foreign"]);
  expect(asked.slice(2)).toEqual([
    "show stat -1 1 -1",
    "show stat -1 4 -1",
    "show errors -1 response",
    "show table _http",
  ]);
  asked.length = 0;
  expect(await look()).toEqual([]);
  expect(asked).toEqual(cheap);
});

test("a change says where it is", async () => {
  said.circles = 1;
  expect(await observations.look(model(CONTAINERS))).toEqual([
    {
      event: "odd answers",
      answers: "circle",
      route: "/acme/wiki",
      server: "172.17.0.2:8000",
      container: "wiki",
      id: wiki.id,
    },
  ]);
});

test("it is told once, however often it happens", async () => {
  Object.assign(said, { errors: 1, failures: 1, circles: 1 });
  expect(await look()).toEqual(["db foreign", "wiki circle"]);
  Object.assign(said, { errors: 9, failures: 9, circles: 9 });
  expect(await look()).toEqual([]);
});

test("after another start it is told again once it happens again", async () => {
  Object.assign(said, { errors: 1, failures: 1, circles: 1 });
  await look();
  const again = CONTAINERS.map(restarted);
  expect(await look(again)).toEqual([]);
  Object.assign(said, { errors: 2, failures: 2 });
  expect(await look(again)).toEqual(["db foreign"]);
  said.circles = 2;
  expect(await look(again)).toEqual(["wiki circle"]);
  expect(await look(again)).toEqual([]);
});

test("when it started becomes known later: that is no other start", async () => {
  const early = CONTAINERS.map((each) => ({ ...each, startedAt: "" }));
  Object.assign(said, { errors: 1, failures: 1, circles: 1 });
  expect(await look(early)).toEqual(["db foreign", "wiki circle"]);
  Object.assign(said, { errors: 2, failures: 2, circles: 2 });
  expect(await look()).toEqual([]);
  Object.assign(said, { errors: 3, failures: 3, circles: 3 });
  expect(await look()).toEqual([]);
  expect(await look(CONTAINERS.map(restarted))).toEqual(["db foreign", "wiki circle"]);
});

test("a reload makes HAProxy forget, which is not told either", async () => {
  Object.assign(said, { errors: 5, failures: 5, circles: 5 });
  await look();
  Object.assign(said, { errors: 0, failures: 0, circles: 0 });
  expect(await look()).toEqual([]);
  Object.assign(said, { errors: 1, failures: 1, circles: 1 });
  expect(await look()).toEqual([]);
});

test("a request that is too large is told once for each look that finds another one", async () => {
  said.refused = 1;
  expect(await look()).toEqual(["large from 2001:db8::7"]);
  expect(await look()).toEqual([]);
  said.refused = 9;
  expect(await look()).toEqual(["large from 2001:db8::7"]);
});

test("after a reload what looks the same is another one", async () => {
  said.refused = 1;
  expect(await look()).toEqual(["large from 2001:db8::7"]);
  observations.restart();
  expect(await look()).toEqual(["large from 2001:db8::7"]);
  expect(await look()).toEqual([]);
});

test("what is served no more is not told of", async () => {
  Object.assign(said, { errors: 1, failures: 1, circles: 1 });
  expect(await look([])).toEqual([]);
  expect(await look([db])).toEqual(["db foreign"]);
});

test("HAProxy that cannot be asked is a failure, and what it says later counts", async () => {
  const failure = new GatewayError("haproxy", "it hangs");
  let fails = true;
  observations = new Observations((line) =>
    fails && line === "show errors -1 response"
      ? Promise.reject(failure)
      : Promise.resolve(answer(line)),
  );
  Object.assign(said, { errors: 1, failures: 1 });
  expect(await look().catch((error: unknown) => error)).toBe(failure);
  fails = false;
  expect(await look()).toEqual(["db foreign"]);
});
