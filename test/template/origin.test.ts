// Servers as templates see them: only a label that HAProxy's files may refuse knows its origin.

import { expect, test } from "bun:test";
import type { Server } from "../../src/model.ts";
import { originsOf, traceLabels, withoutOrigins } from "../../src/template/origin.ts";

const SERVER: Server = {
  name: "s",
  container: "c",
  id: "1",
  address: "172.17.0.2",
  port: 80,
  disabled: false,
  why: "",
  backup: false,
  second: false,
  weight: "",
  maxconn: "",
  labels: { fine: "x" },
  image: "foo",
  stopTimeout: 10_000,
  startedAt: "",
  holders: [],
};

function server(labels: Readonly<Record<string, string>>): Server {
  return { ...SERVER, labels };
}

test("a server without a label that files may refuse stays the same object", () => {
  const simple = server({ fine: "x#y", other: "it's" });
  expect(traceLabels(simple)).toBe(simple);
});

test("a label that files may refuse knows its origin", () => {
  const { fine, note } = traceLabels(server({ fine: "x", note: "a b" })).labels;
  expect([fine, withoutOrigins(note)]).toEqual(["x", "a b"]);
  expect(originsOf(fine)).toEqual([]);
  expect(originsOf(note)).toEqual([{ id: "1", label: "note", text: "a b" }]);
});

test.each(["", "#a", "a b", "a\tb", "a\nb", "a\0b"])("files may refuse %j", (text) => {
  expect(originsOf(traceLabels(server({ text })).labels["text"])).toHaveLength(1);
});
