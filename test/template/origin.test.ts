// Backends as templates see them: only what files may refuse is another object, and the same each time.

import { expect, test } from "bun:test";
import type { Backend, Server } from "../../src/model.ts";
import { originsOf, plain, traceLabels } from "../../src/template/origin.ts";

const SERVER: Server = {
  name: "s",
  container: "c",
  id: "1",
  address: "172.17.0.2",
  port: 80,
  disabled: false,
  why: "",
  backup: false,
  labels: { fine: "x" },
  image: "foo",
  stopTimeout: 10_000,
};

function backend(...labels: Readonly<Record<string, string>>[]): Backend {
  const servers = labels.map((each) => ({ ...SERVER, labels: each }));
  return { name: "b", repository: "foo", path: "/foo", hosts: [], servers };
}

test("one without a label that files may refuse is itself", () => {
  const simple = backend({}, { fine: "x#y", other: "it's" });
  expect(traceLabels(simple)).toBe(simple);
});

test("one with such a label is another, the same each time, so that templates remember it", () => {
  const odd = backend({ fine: "x" }, { fine: "x", note: "a b" });
  const traced = traceLabels(odd);
  expect(traceLabels(odd)).toBe(traced);
  expect(traced.servers[0]).toBe(odd.servers[0] as Server);
  const { fine, note } = traced.servers[1]?.labels ?? {};
  expect([fine, plain(note)]).toEqual(["x", "a b"]);
  expect(originsOf(fine)).toEqual([]);
  expect(originsOf(note)).toEqual([{ id: "1", label: "note", text: "a b" }]);
});

test.each(["", "#a", "a b", "a\tb", "a\nb", "a\0b"])("files may refuse %j", (text) => {
  expect(originsOf(traceLabels(backend({ text })).servers[0]?.labels["text"])).toHaveLength(1);
});
