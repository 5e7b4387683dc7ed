// Templates: what is escaped, what goes into maps, and what is an error.

import { describe, expect, test } from "bun:test";
import { UnsafeValueError } from "../../src/template/escape.ts";
import { compileTemplate, isOwnConfig } from "../../src/template/compile.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { errorOptions, toContext } from "../../src/template/context.ts";
import { titleOf } from "../../src/routing/intent.ts";
import { route } from "../../src/routing/routing.ts";
import { NO_CHOICE } from "../../src/routing/certificates.ts";
import {
  container,
  failureOf,
  HOST,
  NO_CERTIFICATES,
  ROUTING,
  SETTINGS,
  snapshot,
} from "../lab/make.ts";

const HEADER = "# Written by docker-api-gateway: what is changed here is overwritten.\n";

function render(text: string, data: object = {}, partials: Record<string, string> = {}) {
  const template = compileTemplate({ name: "my.hbs", text }, partials);
  const { config, assets } = template.render(data, (file) => `/etc/x.${file}`);
  const maps = Object.fromEntries(
    Object.entries(assets).map(([path, asset]) => [path, asset.text]),
  );
  expect(config).toStartWith(HEADER);
  return { config: config.slice(HEADER.length), maps };
}

const ODD = `it's "a" $b #c`;
const QUOTED = String.raw`'it'\''s "a" $b #c'`;

test.each([
  ["{{a}}", { a: ODD }, QUOTED],
  ["{{{a}}}", { a: ODD }, ODD],
  ["{{&a}}", { a: ODD }, ODD],
  ["{{a.b}}", { a: { b: ODD } }, QUOTED],
  ["{{a}}", { a: "plain" }, "plain"],
  ["{{a}}", { a: "" }, "''"],
  ["{{{a}}}", { a: "" }, ""],
  ["{{a}}", { a: null }, "''"],
  ["{{a}}{{b}}{{c}}", { a: 1, b: true, c: 0 }, "1true0"],
  ["{{a}}", { a: "<b>&" }, "'<b>&'"],
  [
    "{{#each a}}{{this}} {{@index}} {{../b}};{{/each}}",
    { a: ["x y"], b: "z's" },
    String.raw`'x y' 0 'z'\''s';`,
  ],
  ["{{#each a as |item|}}{{item.b}}{{/each}}", { a: [{ b: "c d" }] }, "'c d'"],
  [
    "{{#each a as |outer|}}{{#each ../b}}{{outer.x}}{{y}};{{/each}}{{/each}}{{#each b}}{{y}}{{/each}}",
    { a: [{ x: 1 }, { x: 2 }], b: [{ y: 3 }, { y: 4 }] },
    "13;14;23;24;34",
  ],
  [
    "{{#with a as |outer|}}{{#if outer.x}}{{#each outer.b}}{{outer.x}}{{y}};{{/each}}{{/if}}{{/with}}",
    { a: { x: 1, b: [{ y: 3 }] } },
    "13;",
  ],
  ["{{#if a}}{{b}}{{else}}{{c}}{{/if}}", { a: 0, b: "no", c: "y s" }, "'y s'"],
  ["{{#with a}}{{b}} {{@root.c}}{{/with}}", { a: { b: "1 2" }, c: "3 4" }, "'1 2' '3 4'"],
  ["{{lower a}}", { a: "A B" }, "'a b'"],
  ["{{{lower a}}}", { a: "A B" }, "a b"],
  ["{{concat (lower a) b}}", { a: "A ", b: "B" }, "'a B'"],
  ["{{lookup a b}}", { a: { x: "y z" }, b: "x" }, "'y z'"],
  ['{{"lit eral"}}', {}, "'lit eral'"],
  ["{{> part}}", { a: "b c" }, "<'b c'>"],
  ["{{> part a='d e'}}", {}, "<'d e'>"],
  ["{{! no word }}{{a.length}}", { a: [1, 2] }, "2"],
])("%s of %j", (text, data, expected) => {
  expect(render(text, data, { part: "<{{a}}>" }).config).toBe(expected);
});

test("one escaping does not reach another template", () => {
  const first = compileTemplate({ name: "1", text: "{{a}}" }, {});
  const second = compileTemplate({ name: "2", text: "{{#map 'm'}}{{a}} x{{/map}}{{a}}" }, {});
  for (let round = 0; round < 2; round++) {
    expect(second.render({ a: "a'b" }, beside)).toEqual({
      config: `${HEADER}'a'\\''b'`,
      assets: { "/m.map": { kind: "map", text: "a'b x\n" } },
    });
    expect(first.render({ a: "c d" }, beside).config).toBe(`${HEADER}'c d'`);
  }
});

test("a part that is in the configuration and in a map is escaped for each", () => {
  const list = "{{#each list}}{{a}} 1\n{{/each}}";
  const text = "{{> list}}{{#map 'm'}}{{> list}}{{/map}}{{> list}}";
  expect(render(text, { list: [{ a: "it's" }] }, { list })).toEqual({
    config: "'it'\\''s' 1\n'it'\\''s' 1\n",
    maps: { "/etc/x.m.map": "it's 1\n" },
  });
});

function beside(file: string): string {
  return `/${file}`;
}

test("its own configurations are known again by their first line", () => {
  const template = compileTemplate({ name: "x", text: "global\n" }, {});
  expect(isOwnConfig(template.render({}, String).config)).toBe(true);
  expect(isOwnConfig("global\n")).toBe(false);
  expect(isOwnConfig(`global\n${HEADER}`)).toBe(false);
});

describe("maps", () => {
  test("are files beside the configuration, without indentation and empty lines", () => {
    const text = `map({{mapPath "routes"}})
{{#map "routes"}}

  {{#each routes}}
    {{key}} {{backend}}
  {{/each}}
{{/map}}
end`;
    const routes = [
      { key: "/a/", backend: "a" },
      { key: "/it's/", backend: "b|2" },
    ];
    expect(render(text, { routes })).toEqual({
      config: "map(/etc/x.routes.map)\nend",
      maps: { "/etc/x.routes.map": "/a/ a\n/it's/ b|2\n" },
    });
  });

  test("without entries are empty files", () => {
    const text = `{{mapPath "m"}}{{#map "m"}}{{#each none}}x{{/each}}{{/map}}`;
    expect(render(text, { none: [] }).maps).toEqual({ "/etc/x.m.map": "" });
  });

  test("may be named after they are made", () => {
    const text = `{{#map "m"}}a b{{/map}}{{mapPath "m"}}`;
    expect(render(text).config).toBe("/etc/x.m.map");
  });

  test("are beside scripts, which stay as they are", () => {
    const text = `{{scriptPath "s"}}{{#script "s"}}  local ms = {{ms}}\n\nend\n{{/script}}{{#map "s"}}a b{{/map}}`;
    expect(render(text, { ms: 500 })).toEqual({
      config: "/etc/x.s.lua",
      maps: { "/etc/x.s.lua": "  local ms = 500\n\nend\n", "/etc/x.s.map": "a b\n" },
    });
    const unsafe = () => render(`{{#script "s"}}{{name}}{{/script}}`, { name: 'x" .. y' });
    expect(unsafe).toThrow(UnsafeValueError);
    expect(() => render(`{{scriptPath "s"}}{{#map "s"}}{{/map}}`)).toThrow(
      'no {{#script "s"}} makes the script "s"',
    );
  });

  test.each([
    [`{{mapPath "m"}}`, 'no {{#map "m"}} makes the map "m"'],
    [`{{mapPath "a/b"}}`, 'the name of a map is of letters, digits, "_" and "-", not a/b'],
    [`{{#map "../x"}}{{/map}}`, 'the name of a map is of letters, digits, "_" and "-", not ../x'],
  ])("%s is an error", (text, state) => {
    const { message } = failureOf("template", () => render(text));
    expect(message).toBe(`Cannot render template "my.hbs": ${state}`);
  });
});

test.each([
  ["{{a}}", "a\nb"],
  ["{{a}}", "a\rb"],
  ["{{lower a}}", "a\0b"],
  ["{{#map 'm'}}{{a}}{{/map}}", "a b"],
  ["{{#map 'm'}}{{a}}{{/map}}", "#a"],
])("%s refuses %j", (text, a) => {
  let caught: unknown;
  try {
    render(text, { a });
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(UnsafeValueError);
  expect((caught as UnsafeValueError).value).toBe(a);
});

test.each<[string, object, string]>([
  ["\n {{adress}}", {}, '"adress" is not defined (line 2, column 4)'],
  ["{{{adress}}}", {}, '"adress" is not defined (line 1, column 4)'],
  ["{{a.b}}", { a: {} }, '"a.b" is not defined (line 1, column 3)'],
  ["{{a.b.c}}", { a: {} }, "a name before a dot is not defined"],
  ["{{#each a}}\n{{b}}{{/each}}", { a: [{}] }, '"b" is not defined (line 2, column 3)'],
  [
    "{{#each a as |item|}}{{item.b}}{{/each}}",
    { a: [{}] },
    '"item.b" is not defined (line 1, column 24)',
  ],
  ["{{#each backend}}x{{/each}}", {}, '"backend" is not defined (line 1, column 9)'],
  ["{{@nothing}}", {}, '"@nothing" is not defined (line 1, column 3)'],
  ["{{constructor}}", {}, '"constructor" is not defined (line 1, column 3)'],
  ["{{> part}}", {}, '"inner" is not defined (line 1, column 4)'],
  ["{{> nothing}}", {}, "The partial nothing could not be found"],
  ["{{lowr 'x'}}", {}, '"lowr" is not defined (line 1, column 3)'],
  ["{{a}}", { a: {} }, "a {{value}} is an object"],
  ["{{a}}", { a: [1] }, "a {{value}} is a list, use {{#each}} or {{join}}"],
])("%j of %j cannot be rendered", (text, data, state) => {
  const failure = failureOf("template", () => render(text, data, { part: "<{{inner}}>" }));
  expect(failure.message).toBe(`Cannot render template "my.hbs": ${state}`);
  expect(failure.hint).toBe("docker-api-gateway template prints a built-in one to compare with");
});

test("what does not parse says where, with Handlebars' own lines", () => {
  const { message, lines } = failureOf("template", () => render("a\n{{#if x}}\nb"));
  expect(message).toBe('Cannot parse template "my.hbs": Parse error on line 3');
  expect(lines[0]).toBe("a{{#if x}}b");
});

test("a part that does not parse is named", () => {
  const { message } = failureOf("template", () => render("", {}, { part: "{{#if}" }));
  expect(message).toStartWith('Cannot parse template "part": ');
});

test.each([
  ["{{#each a}}{{this}};{{/each}}", { a: { x: "1 2", y: "3" } }, "'1 2';3;"],
  ["{{#each a}}{{@key}}={{this}};{{/each}}", { a: { x: "1 2", y: "3" } }, "x='1 2';y=3;"],
  ["{{#each a}}{{this}};{{else}}none{{/each}}", { a: [] }, "none"],
  ["{{#each a}}{{this}};{{/each}}", { a: null }, ""],
])("a list may be an object, empty or nothing: %s", (text, data, expected) => {
  expect(render(text, data).config).toBe(expected);
});

test("the built-in template makes the text of a service and of a route once", () => {
  const containers = [container("one"), container("two", { image: "two" })];
  const model = route(snapshot(containers), HOST, ROUTING);
  const options = { ...SETTINGS.template, ...errorOptions([]), challenges: [] };
  const context = toContext(model, options, SETTINGS.haproxy, () => "", titleOf, {
    ...NO_CHOICE,
    ...NO_CERTIFICATES.files,
  });
  let reads = 0;
  const counting = <T extends object>(item: T, key: keyof T): T =>
    Object.defineProperty({ ...item }, key, {
      enumerable: true,
      get() {
        reads++;
        return item[key];
      },
    });
  const counted = Object.defineProperties({}, Object.getOwnPropertyDescriptors(context));
  Object.defineProperties(counted, {
    backends: { value: context.backends.map((each) => counting(each, "profile")) },
    routes: { value: context.routes.map((each) => counting(each, "key")) },
  });
  const template = compileTemplate({ name: "path", text: TEMPLATES.path }, PARTIALS);
  const first = template.render(counted, SETTINGS.pathOf);
  expect(reads).toBeGreaterThan(3);
  const before = reads;
  expect(template.render(counted, SETTINGS.pathOf)).toEqual(first);
  expect(reads).toBe(before);
});
