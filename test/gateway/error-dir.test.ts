// The pages for the gateway's own errors: what is refused at the start, and what changes later.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorDir } from "../../src/gateway/error-dir.ts";
import { labDir } from "../lab/leftovers.ts";
import { failureOf } from "../lab/make.ts";

let dir: string;

beforeEach(() => {
  dir = labDir("errors");
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string | Uint8Array): void {
  writeFileSync(join(dir, name), text);
}

const answersOf = (pages: ErrorDir) => pages.read().pages.map(({ answer }) => answer);

test("a page of HTML is an answer", () => {
  write("404.html", "<p>é</p>");
  write("503.html", "later");
  expect(answersOf(new ErrorDir(dir))).toEqual([
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 9\r\n\r\n<p>é</p>",
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/html; charset=utf-8\r\nRetry-After: 5\r\n" +
      "Content-Length: 5\r\n\r\nlater",
  ]);
});

test.each([
  [
    "as HAProxy's own",
    "HTTP/1.0 502 Oh\r\nCache-Control: no-cache\r\nConnection: close\r\n\r\n<p>\n",
  ],
  ["with bare line ends", "HTTP/1.0 502\nCache-Control:no-cache\nContent-Length: 99\n\n<p>\n"],
])("a whole answer is taken as it is, its length is counted: %s", (_, text) => {
  write("502.http", text);
  expect(answersOf(new ErrorDir(dir))).toEqual([
    "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-cache\r\n" +
      "Content-Length: 4\r\n\r\n<p>\n",
  ]);
});

test("what a rule says itself is not said twice", () => {
  write("429.http", "HTTP/1.1 429 No\nRetry-After: 1\nX-A: 5%\nContent-Type: text/plain\n\nslow");
  expect(new ErrorDir(dir).read().pages[0]).toMatchObject({
    contentType: "text/plain",
    headers: " hdr X-A 5%%",
  });
});

test("other files are somebody else's", () => {
  write("README", "");
  write("style.css", "");
  write("503.html~", "");
  expect(answersOf(new ErrorDir(dir))).toEqual([]);
  expect(answersOf(new ErrorDir(undefined))).toEqual([]);
});

test.each<[string, string | Uint8Array, string]>([
  ["418.html", "tea", "the gateway never answers 418"],
  ["503.html", "", "it is empty"],
  ["503.html", "x".repeat(32_001), "it is larger than 32000 bytes"],
  ["503.html", "x".repeat(99_000), "it is larger than 32000 bytes"],
  ["503.html", new Uint8Array([0xff]), "it is no text in UTF-8"],
  ["503.http", "<h1>Sorry</h1>", "no empty line ends its headers"],
  ["503.http", "<h1>\n\nSorry", "it does not begin with a line such as HTTP/1.1 503 Sorry"],
  ["503.http", "HTTP/1.1 500 No\n\n", "its first line has the status 500"],
  ["503.http", "HTTP/1.1 503 No\nX\n\n", '"X" is no header'],
  ["503.http", "HTTP/1.1 503 No\nX: \u0007\n\n", '"X: \\u0007" is no header'],
  ["503.http", "HTTP/1.1 503 No\nTransfer-Encoding: chunked\n\n0\n", "it has a Transfer-Encoding"],
  [
    "503.http",
    `HTTP/1.1 503 No\nX: ${"x".repeat(2_000)}\n\n`,
    "its headers are larger than 2000 bytes",
  ],
])("%s is refused at the start: %#", (name, text, problem) => {
  write(name, text);
  const { message, hint } = failureOf("usage", () => new ErrorDir(dir));
  expect(message).toBe(`Cannot use --error-dir "${dir}": ${name}: ${problem}`);
  expect(hint).toContain("there are pages for 400, 401, 403, 404,");
});

test("so are two pages for one status, and a folder that is not there", () => {
  write("503.html", "a");
  write("503.http", "HTTP/1.1 503 No\n\n");
  expect(failureOf("usage", () => new ErrorDir(dir)).message).toEndWith(
    "503.http: there is 503.html, too, and only one can be used",
  );
  rmSync(dir, { recursive: true });
  expect(failureOf("usage", () => new ErrorDir(dir)).message).toEndWith("there is no such folder");
  write("../file", "");
  expect(failureOf("usage", () => new ErrorDir(join(dir, "../file"))).message).toEndWith(
    "there is no such folder",
  );
});

test("a folder in the place of a page is refused", () => {
  mkdirSync(join(dir, "503.html"));
  expect(failureOf("usage", () => new ErrorDir(dir)).message).toEndWith("503.html: it is no file");
});

test("a change is seen, and one that is of no use changes nothing", () => {
  write("503.html", "one");
  const pages = new ErrorDir(dir);
  const first = pages.read();
  expect(pages.hasChanged()).toBe(false);
  expect(pages.read()).toBe(first);
  write("503.html", "another");
  expect(pages.hasChanged()).toBe(true);
  expect(answersOf(pages)[0]).toEndWith("another");
  expect(pages.hasChanged()).toBe(false);
  const second = pages.read();
  write("500.html", "");
  expect(pages.read()).toEqual({
    pages: second.pages,
    warnings: [`--error-dir "${dir}": 500.html: it is empty; the pages before it are used on`],
  });
  expect(pages.read().pages).toBe(second.pages);
  rmSync(dir, { recursive: true });
  expect(pages.read().warnings).toEqual([
    `--error-dir "${dir}": there is no such folder; the pages before it are used on`,
  ]);
  expect(pages.hasChanged()).toBe(false);
  mkdirSync(dir);
  expect(pages.read()).toEqual({ pages: [], warnings: [] });
});
