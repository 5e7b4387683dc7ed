// How metrics are written: as Prometheus' description of its text format has them.

import { expect, test } from "bun:test";
import { Histogram, labelText, metricText, sampleLine } from "../../src/lib/prometheus.ts";

test("names, labels and values, with what is special escaped", () => {
  const metric = {
    name: "a_total",
    type: "counter",
    help: "back\\slash\nline",
    labels: [],
  } as const;
  const labels = labelText({ one: 'quote " back \\ line \n', two: "" });
  expect(metricText(metric, [sampleLine(metric, { labels, value: 1.5 })])).toBe(
    "# HELP a_total back\\\\slash\\nline\n# TYPE a_total counter\n" +
      'a_total{one="quote \\" back \\\\ line \\n",two=""} 1.5\n',
  );
  expect(sampleLine(metric, { labels: "", value: 0 })).toBe("a_total 0\n");
});

test("a metric without samples is not there", () => {
  expect(metricText({ name: "a", type: "gauge", help: "h", labels: [] }, [])).toBe("");
});

test("a histogram counts each duration in its bucket and all longer ones", () => {
  const histogram = new Histogram([0.1, 1]);
  for (const seconds of [0.1, 0.5, 0.75, 9]) histogram.observe(seconds);
  expect(
    histogram.samples('how="x"').map((each) => [each.suffix, each.labels, each.value]),
  ).toEqual([
    ["_bucket", 'how="x",le="0.1"', 1],
    ["_bucket", 'how="x",le="1"', 3],
    ["_bucket", 'how="x",le="+Inf"', 4],
    ["_sum", 'how="x"', 10.35],
    ["_count", 'how="x"', 4],
  ]);
});
