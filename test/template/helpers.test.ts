// Every helper of the templates with an example, and what it says of a wrong use.

import { expect, test } from "bun:test";
import { HELPERS } from "../../src/template/helpers.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import { failureOf } from "../lab/make.ts";

function render(text: string, data: object): string {
  const { config } = compileTemplate({ name: "t", text }, {}).render(data, (name) => name);
  return config.slice(config.indexOf("\n") + 1);
}

const DATA = {
  port: 80,
  name: "Web",
  empty: "",
  none: [],
  ports: [8000, 80],
  names: ["b", "a", "C"],
  haproxy: { version: "3.4.7" },
  repository: "foo/bar/baz",
  server: { container: "web-1", labels: { weight: "5", blank: "", odd: "a b" } },
  Guests: [
    { FriendlyName: "b", ID: "1", weight: 10 },
    { FriendlyName: "a", ID: "2", weight: 9 },
    { FriendlyName: "b", ID: "3", weight: 100 },
  ],
};

const EXAMPLES: readonly (readonly [string, string])[] = [
  ["{{eq port 80}} {{eq port '80'}} {{#if (eq name 'Web')}}yes{{/if}}", "true false yes"],
  ["{{ne port 80}} {{ne port 81}}", "false true"],
  ["{{lt port 81}} {{lt port 80}}", "true false"],
  ["{{gt port 79}} {{gt port 80}} {{#if (gt ports.length 1)}}many{{/if}}", "true false many"],
  [
    "{{and port name}} {{and port empty}} {{and port none}} {{and port name name}}",
    "true false false true",
  ],
  ["{{or empty name}} {{or empty none}} {{or empty none port}}", "true false true"],
  ["{{not empty}} {{not none}} {{not port}}", "true true false"],
  ["{{atLeast haproxy.version '3.4'}} {{atLeast haproxy.version '3.10'}}", "true false"],
  [
    "{{atLeast '2.6' '2.6.0'}} {{atLeast '2.6.12' '2.6.9'}} {{atLeast '2.6' '3.0'}}",
    "true true false",
  ],
  ["{{add port 1}} {{add @root.port -1}}", "81 79"],
  [
    "{{default empty 'x'}} {{default none 'x'}} {{default port 'x'}} {{default nothing 'x'}}",
    "x x 80 x",
  ],
  ["{{{join ports ', '}}} {{join ports ','}} {{join none ','}}", "8000, 80 8000,80 ''"],
  [
    "{{replace repository '/' '-'}} {{replace port '0' ''}} {{replace name 'x' 'y'}}",
    "foo-bar-baz 8 Web",
  ],
  ["{{lower name}} {{upper name}}", "web WEB"],
  ["{{concat 'be-' name '-' port}}", "be-Web-80"],
  ["{{#each (sort names)}}{{this}}{{/each}}", "Cab"],
  ["{{#each (sort ports)}}{{this}} {{/each}}", "80 8000 "],
  ["{{#each (sort Guests 'FriendlyName')}}{{ID}}{{/each}}", "213"],
  ["{{#each (sort Guests 'weight')}}{{ID}}{{/each}}", "213"],
  [
    "{{#group Guests 'FriendlyName'}}{{key}}: {{#each items}}{{ID}} {{/each}}{{/group}}",
    "a: 2 b: 1 3 ",
  ],
  ["{{#group none 'x'}}x{{/group}}", ""],
  ["{{label server 'weight'}} {{label server 'odd'}} {{label server 'blank' '1'}}", "5 'a b' ''"],
  ["{{label server 'nothing'}} {{label server 'nothing' '100'}}", "'' 100"],
  ["{{#each Guests}}{{label this 'x' 'y'}}{{/each}}", "yyy"],
];

test.each(EXAMPLES)("%s", (text, expected) => {
  // What is empty as a value is a word in quotes.
  expect(render(text, DATA)).toBe(expected);
});

test("every helper has an example", () => {
  const text = EXAMPLES.map(([example]) => example).join();
  const without = Object.keys(HELPERS).filter((name) => !new RegExp(`[{(#]${name}\\b`).test(text));
  expect(without).toEqual([]);
});

test("a label is never taken from an object's own properties", () => {
  expect(
    render("{{label server 'constructor' 'no'}} {{label server '__proto__' 'no'}}", DATA),
  ).toBe("no no");
});

test.each([
  ["{{lower nothing}}", 'helper "lower" wants a text, not nothing (is the name right?)'],
  ["{{upper ports}}", 'helper "upper" wants a text, not a list'],
  ["{{replace server 'a' 'b'}}", 'helper "replace" wants a text, not an object'],
  [
    "{{replace name nothing 'b'}}",
    'helper "replace" wants a text, not nothing (is the name right?)',
  ],
  ["{{join name ','}}", 'helper "join" wants a list, not a string'],
  ["{{join nothing ','}}", 'helper "join" wants a list, not nothing (is the name right?)'],
  [
    "{{#each (sort nothing)}}{{/each}}",
    'helper "sort" wants a list, not nothing (is the name right?)',
  ],
  [
    "{{#group nothing 'x'}}{{/group}}",
    'helper "group" wants a list, not nothing (is the name right?)',
  ],
  ["{{atLeast haproxy '3.0'}}", 'helper "atLeast" wants a text, not an object'],
  ["{{label server nothing}}", 'helper "label" wants a text, not nothing (is the name right?)'],
])("%s is an error", (text, state) => {
  const { message } = failureOf("template", () => render(text, DATA));
  expect(message).toBe(`Cannot render template "t": ${state}`);
});
