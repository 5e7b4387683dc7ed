// What becomes of HAProxy's lines, wherever a chunk of them ends.

import { expect, test } from "bun:test";
import { causeOf } from "../../src/gateway/access-log/causes.ts";
import { LineReader } from "../../src/gateway/access-log/lines.ts";

const json = (cause: string): string => `{"time":1.234,"path":"/ö","cause":"${cause}"}`;
const GIVEN = [
  json("--"),
  json("SC"),
  "",
  "12 events dropped",
  json("--"),
  "1 event dropped",
  json("K-"),
];
const EXPECTED = [
  json("--"),
  json("the container refused the connection"),
  json("--"),
  json("the request was ended by hand or as its container goes"),
];

test.each([1, 2, 3, 7, 50, 1000])("in chunks of %i bytes", (size) => {
  const reader = new LineReader("json");
  const bytes = Buffer.from(`${GIVEN.join("\n")}\n${json("--").slice(0, 9)}`);
  let text = "";
  let [count, lost] = [0, 0];
  for (let start = 0; start < bytes.length; start += size) {
    const read = reader.read(bytes.subarray(start, start + size));
    text += Buffer.concat(read.text).toString();
    count += read.count;
    lost += read.lost;
  }
  expect(text).toBe(`${EXPECTED.join("\n")}\n`);
  expect([count, lost]).toEqual([EXPECTED.length, 13]);
});

const common = (cause: string): string =>
  `1.2.3.4 - - [x] "GET / HTTP/1.1" 200 1 "/" "a" "b" 3 "${cause}"\n`;

test("in the common form", () => {
  const { text, count } = new LineReader("common").read(Buffer.from(common("--") + common("cD")));
  expect(Buffer.concat(text).toString()).toBe(
    common("--") + common("the client took or sent nothing for too long"),
  );
  expect(count).toBe(2);
});

test("what is not known keeps its letters", () => {
  expect(causeOf("X?")).toBe("X?");
  expect(causeOf("S?")).toBe("the container closed the connection");
});
