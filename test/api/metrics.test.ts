// What is made of HAProxy's counters: by service and container, whatever HAProxy calls them.

import { expect, test } from "bun:test";
import { readCounted, type Place } from "../../src/api/metrics/haproxy.ts";
import { readAll } from "../../src/haproxy/runtime/stats.ts";
import type { Container } from "../../src/model.ts";
import { route } from "../../src/routing/routing.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const HEAD =
  "# pxname,svname,type,status,last_chk,scur,qcur,stot,hrsp_2xx,hrsp_5xx,rtime,econ,wretr,bin,";

async function linesOf(rows: readonly string[], places: readonly Place[]): Promise<string> {
  const cells = await readAll(() => Promise.resolve([HEAD, ...rows].join("\n")));
  const { lines, waiting } = await readCounted(cells, places, () => Promise.resolve());
  return [...[...lines.values()].flat(), `waiting ${waiting}\n`].join("");
}

/** The line of a backend, with three requests under way. */
function rowOf(backend: string): string {
  return `${backend},BACKEND,1,UP,,3,0,7,6,1,12,5,2,10,`;
}

/** A service as it is decided for these containers. */
function serviceOf(...containers: readonly Container[]): Place["service"] {
  const [service] = route(snapshot(containers), HOST, ROUTING).services;
  if (service === undefined) throw new Error("no service");
  return service;
}

test("a spare backend has the name of its service, and the servers of a container are one", async () => {
  const service = serviceOf(container("web-1", { image: "acme/web:1", exposed: [] }));
  const [first, second] = service.servers.map(({ name }) => name);
  expect(second).toBeDefined();
  const text = await linesOf(
    [
      "_http,FRONTEND,0,OPEN,,5,,9,7,2,,,,100,",
      `_spare_7,${first},2,DOWN,"""L4CON"", refused, by it",1,0,3,2,1,0,5,0,1,`,
      `_spare_7,${second},2,UP 1/3,"Layer7 check passed",2,1,4,4,0,250,0,2,9,`,
      "_spare_7,_wait,2,MAINT,,0,0,0,0,0,0,0,0,0,",
      "_spare_7,BACKEND,1,UP,,3,1,7,6,1,12,5,2,10,",
      "_spare_8,BACKEND,1,UP,,99,99,99,99,99,99,99,99,99,",
    ],
    [{ service, backend: "_spare_7" }],
  );
  const both = 'service="acme/web",container="web-1"';
  for (const line of [
    'responses_total{code="2xx"} 7',
    'service_responses_total{service="acme/web",code="5xx"} 1',
    'service_mean_response_time_seconds{service="acme/web"} 0.012',
    `container_responses_total{${both},code="2xx"} 6`,
    `container_errors_total{${both},kind="connection"} 5`,
    `container_retries_total{${both}} 2`,
    `container_mean_response_time_seconds{${both}} 0.25`,
    `container_current_sessions{${both}} 3`,
    `container_up{${both}} 1`,
  ]) {
    expect(text).toContain(`\ndocker_api_gateway_${line}\n`.slice(line.startsWith("resp") ? 1 : 0));
  }
  expect(text).not.toMatch(/_spare|_wait|99/);
  expect(text).toEndWith("\nwaiting 0\n");
});

test("while requests wait for a container, all that are under way do", async () => {
  const service = { ...serviceOf(container("web-1")), hold: "waiting" as const };
  const row = rowOf("b");
  expect(await linesOf([row], [{ service, backend: "b" }])).toEndWith("\nwaiting 3\n");
});

test("where bytes are forwarded there are no answers", async () => {
  const service = serviceOf(container("web-1"));
  const row = "b,BACKEND,1,UP,,3,0,7,,,12,5,2,10,";
  const text = await linesOf([row], [{ service, backend: "b" }]);
  expect(text).toContain("service_sessions_total");
  expect(text).not.toContain("service_responses_total");
});

test("two services that look alike are told apart", async () => {
  const one = serviceOf(container("web-1"));
  const two = { ...one, backend: "other" };
  const text = await linesOf(
    [rowOf("b"), rowOf("c")],
    [
      { service: one, backend: "b" },
      { service: two, backend: "c" },
    ],
  );
  const found = [...text.matchAll(/service_sessions_total\{(.*)\}/g)].map(
    ([, labels = ""]) => labels,
  );
  expect(new Set(found).size).toBe(2);
});
