// src/api/metrics tells Prometheus what the gateway and its HAProxy count. This file puts all of it together:
// own.ts has what the gateway knows itself, haproxy.ts what HAProxy counts. No library does it: prom-client takes
// three times as long or more for the numbers of 1,000 services, while the loop would wait, and it counts by itself
// what HAProxy has counted already.

import { certificatesDocument } from "../certificates.ts";
import type { Subject } from "../api.ts";
import { HAPROXY_METRICS, readCounted, type Counted, type Place } from "./haproxy.ts";
import { OWN_METRICS, ownLines } from "./own.ts";
import type { Latency } from "./latency.ts";
import { readAll } from "../../haproxy/runtime/stats.ts";
import { breathe } from "../../lib/async.ts";
import { GatewayError } from "../../lib/errors.ts";
import { metricText, type Metric } from "../../lib/prometheus.ts";

/** HAProxy answers within milliseconds, but it may hang. Less than Prometheus waits. In milliseconds. */
const HAPROXY_PATIENCE = 2_000;

/** All metrics that there are. */
export const METRICS: readonly Metric[] = [...OWN_METRICS, ...HAPROXY_METRICS];

/** Makes the function that reads all metrics, as Prometheus takes them. */
export function createMetrics(subject: Subject, latency: Latency): () => Promise<string> {
  let reading: Promise<string> | undefined;
  // HAProxy takes few connections at a time: who asks at the same time gets the same answer.
  return () => (reading ??= read(subject, latency).finally(() => (reading = undefined)));
}

async function read(subject: Subject, latency: Latency): Promise<string> {
  const places = placesOf(subject);
  const counted = await countedBy(subject, places);
  const state = subject.state();
  const waiting = counted?.waiting ?? 0;
  const { certificates } = certificatesDocument(
    subject.https(),
    state.applied?.services ?? [],
    Date.now(),
  );
  const own = ownLines({
    state,
    version: subject.facts.version,
    started: subject.facts.started,
    answers: counted !== undefined,
    waiting,
    certificates,
    latency,
  });
  let text = "";
  for (const metric of METRICS) {
    text += metricText(
      metric,
      [own, counted?.lines].flatMap((lines) => lines?.get(metric) ?? []),
    );
    await breathe();
  }
  return text;
}

/** Undefined: HAProxy does not answer. */
async function countedBy(subject: Subject, places: readonly Place[]): Promise<Counted | undefined> {
  try {
    const { ask } = subject.running(AbortSignal.timeout(HAPROXY_PATIENCE));
    return await readCounted(await readAll(ask), places, breathe);
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

/** The services with the names that their backends have in HAProxy. */
function placesOf(subject: Subject): readonly Place[] {
  const { applied } = subject.state();
  return (applied?.services ?? []).map((service) => ({
    service,
    backend: subject.runningName(service.backend),
  }));
}
