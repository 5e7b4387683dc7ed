// Which requests are kept as failed, in both forms of the access log.

import { expect, test } from "bun:test";
import { Failures } from "../../src/gateway/access-log/failures.ts";
import { LineReader } from "../../src/gateway/access-log/lines.ts";
import type { AccessLogFormat } from "../../src/template/access-log.ts";

function json(status: number, letters: string, path = "/a"): string {
  const request = { method: "GET", path, service: "shop", container: "shop-1", status };
  const head = JSON.stringify({ time: 1_795_924_159.577, ...request, total_ms: 12 }).slice(0, -1);
  return `${head},"cause":"${letters}"}\n`;
}

function common(status: number, letters: string, path = "/a"): string {
  const time = "29/Nov/2026:10:20:30 +0100";
  const escaped = JSON.stringify(path).slice(1, -1);
  return `10.0.0.1 - - [${time}] "GET ${escaped} HTTP/1.1" ${status} 9 "x/" "shop" "shop-1" 12 "${letters}"\n`;
}

/** What is kept of lines as HAProxy writes them. */
function keptOf(format: AccessLogFormat, lines: readonly string[]) {
  const failures = new Failures(format);
  new LineReader(format, (line) => failures.note(line)).read(Buffer.from(lines.join("")));
  return failures.last;
}

test.each([
  ["json", json, 1_795_924_159_577],
  ["common", common, Date.parse("2026-11-29T09:20:30Z")],
] as const)("%s: what failed is kept, with words for the reason", (format, line, at) => {
  const kept = keptOf(format, [
    line(200, "--"),
    line(403, "LR"),
    line(502, "SH", '/a"b'),
    line(200, "CD"),
    line(-1, "CH"),
  ]);
  const request = { at, method: "GET", service: "shop", container: "shop-1", ms: 12 };
  expect(kept).toEqual([
    {
      ...request,
      path: '/a"b',
      status: 502,
      cause: "the container closed the connection before its answer",
    },
    { ...request, path: "/a", status: -1, cause: "the client went away before the answer" },
  ]);
});

test("the last 200 are kept", () => {
  const lines = Array.from({ length: 300 }, (_, index) => json(503, "sQ", `/${index}`));
  const kept = keptOf("json", lines);
  expect([kept.length, kept[0]?.path, kept.at(-1)?.path]).toEqual([200, "/100", "/299"]);
});
