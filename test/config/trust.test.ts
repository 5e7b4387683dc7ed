// What maps say of whom HAProxy trusts, and what of it counts no more.

import { expect, test } from "bun:test";
import { distrusted } from "../../src/config/trust.ts";
import type { Files } from "../../src/model.ts";

function files(maps: Readonly<Record<string, string>>): Files {
  const assets = Object.entries(maps).map(([path, text]) => [path, { kind: "map", text }] as const);
  return { config: "", assets: Object.fromEntries(assets) };
}

const OPTIONS = "a:cors =*\na:mtls =one\nb:mtls =two\n";
const TRUST = "* =all\n.example.com =one\n";

test.each<[string, Record<string, string>, string[]]>([
  ["nothing changes", { "/o": OPTIONS, "/t": TRUST }, []],
  ["a rule of another kind", { "/o": OPTIONS.replace("=*", "=x"), "/t": TRUST }, []],
  [
    "a route trusts others",
    { "/o": OPTIONS.replace("=two", "=three"), "/t": TRUST },
    ["/o b:mtls"],
  ],
  ["a route asks no more", { "/o": "b:mtls =two\n", "/t": TRUST }, ["/o a:mtls"]],
  ["hosts trust others", { "/o": OPTIONS, "/t": "* =other\n.example.com =two\n" }, ["/t *"]],
  [
    "one more host asks",
    { "/o": OPTIONS, "/t": `* =more\n.a =one\n.example.com =one\n` },
    ["/t *"],
  ],
  ["nobody asks any more", {}, ["/o a:mtls", "/o b:mtls", "/t *"]],
])("%s", (_, after, expected) => {
  const found = distrusted(files({ "/o": OPTIONS, "/t": TRUST }), files(after));
  expect(found.map(({ map, key }) => `${map} ${key}`)).toEqual(expected);
});

test("before the first files nobody was trusted", () => {
  expect(distrusted(undefined, files({ "/o": OPTIONS }))).toEqual([]);
});
