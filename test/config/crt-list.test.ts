// Lists of certificates, as files have them and as HAProxy shows them.

import { expect, test } from "bun:test";
import { certificateOf, listLines, shownLines } from "../../src/config/crt-list.ts";

test("lines without comments, with single blanks", () => {
  const text = "# all\n/a.pem\n\n  /b.pem  [alpn h2   verify required ] b.org   *.b.org\n";
  const lines = ["/a.pem", "/b.pem [alpn h2 verify required] b.org *.b.org"];
  expect(listLines(text)).toEqual(lines);
  expect(lines.map(certificateOf)).toEqual(["/a.pem", "/b.pem"]);
});

test("a running list has numbers", () => {
  const answer =
    "# /x/list\n/a.pem:1\n/b.pem:12 [alpn h2\0 verify required] b.org\n/c:d.pem:3 c.org\n\n";
  expect(shownLines(answer)).toEqual([
    { line: "/a.pem", number: "1" },
    { line: "/b.pem [alpn h2 verify required] b.org", number: "12" },
    { line: "/c:d.pem c.org", number: "3" },
  ]);
});
