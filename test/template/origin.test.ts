// Servers as templates see them: only a label that files may refuse knows where it comes from.

import { expect, test } from "bun:test";
import type { Server } from "../../src/model.ts";
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

function server(labels: Readonly<Record<string, string>>): Server {
  return { ...SERVER, labels };
}

test("one without a label that files may refuse is itself", () => {
  const simple = server({ fine: "x#y", other: "it's" });
  expect(traceLabels(simple)).toBe(simple);
});

test("one with such a label is another, which knows where it comes from", () => {
  const { fine, note } = traceLabels(server({ fine: "x", note: "a b" })).labels;
  expect([fine, plain(note)]).toEqual(["x", "a b"]);
  expect(originsOf(fine)).toEqual([]);
  expect(originsOf(note)).toEqual([{ id: "1", label: "note", text: "a b" }]);
});

test.each(["", "#a", "a b", "a\tb", "a\nb", "a\0b"])("files may refuse %j", (text) => {
  expect(originsOf(traceLabels(server({ text })).labels["text"])).toHaveLength(1);
});
