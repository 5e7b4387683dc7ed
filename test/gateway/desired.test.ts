// The files from what Docker has: one odd container costs only itself, and time is no change.

import { describe, expect, test } from "bun:test";
import { makeDesired, type DesiredSettings } from "../../src/gateway/desired.ts";
import type { Container } from "../../src/model.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import { createRouter } from "../../src/routing/routing.ts";
import { sameFiles } from "../../src/plan/plan.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { Authority } from "../lab/authority.ts";
import { container, failureOf, HOST, SETTINGS, snapshot } from "../lab/make.ts";

function make(text: string, containers: readonly Container[], time = "then") {
  const template = compileTemplate({ name: "my.hbs", text }, { ...PARTIALS, piece: "{{text}}" });
  const { model, files } = makeDesired(snapshot(containers), HOST, SETTINGS, template, () => time);
  const [, config = ""] = /^#[^\n]*\n([^]*)$/.exec(files.config) ?? [];
  return { model, files, config };
}

const SERVERS = "{{#each backends}}{{#each servers}}{{container}} BODY;{{/each}}{{/each}}";

describe("a container with a label that the template cannot write is left out", () => {
  const bad = container("bad", { labels: { fine: "x", note: "one\ntwo" } });
  const good = container("good", { image: "good", labels: { note: "three" } });
  const breaks = "has a line break, which no HAProxy configuration can hold";

  test.each([
    ["as it is", "{{label this 'note'}}", "good three;"],
    ["by its own name", "{{labels.note}}", "good three;"],
    ["joined to something", "{{concat '<' (label this 'note') '>'}}", "good '<three>';"],
    ["in another case", "{{upper (label this 'note')}}", "good THREE;"],
  ])("%s", (_, body, expected) => {
    const { config, model } = make(SERVERS.replace("BODY", body), [bad, good]);
    expect(config).toBe(expected);
    expect(model.rejections).toEqual([
      {
        id: bad.id,
        container: "bad",
        image: bad.image,
        kind: "template",
        reason: `its label note ${breaks}`,
        expected: false,
        ending: false,
      },
    ]);
    expect(model.services.map(({ name }) => `/${name}`)).toEqual(["/good"]);
  });

  test("several containers are left out", () => {
    const worse = container("worse", { image: "good", labels: { note: "a\0b" } });
    const { config, model } = make(SERVERS.replace("BODY", "{{label this 'note'}}"), [
      bad,
      good,
      worse,
    ]);
    expect(config).toBe("good three;");
    expect(model.rejections.map((rejection) => rejection.container).toSorted()).toEqual([
      "bad",
      "worse",
    ]);
  });

  test("a container stays if the template does not write the label", () => {
    const { config, model } = make(SERVERS.replace("BODY", "{{label this 'fine' '-'}}"), [
      bad,
      good,
    ]);
    expect(config).toBe("bad x;good -;");
    expect(model.rejections).toEqual([]);
  });

  test("a label that is written raw is not checked", () => {
    expect(make(SERVERS.replace("BODY", "{{{labels.note}}}"), [bad]).config).toBe("bad one\ntwo;");
  });

  test("in a map a blank is enough", () => {
    const text = `{{#map "m"}}{{#each backends}}{{#each servers}}
      {{container}} {{label this "note" "-"}}
    {{/each}}{{/each}}{{/map}}`;
    const blank = container("blank", { image: "blank", labels: { note: "a b" } });
    const { files, model } = make(text, [blank, good]);
    expect(files.assets).toEqual({ "/x/m.map": { kind: "map", text: "good three\n" } });
    expect(model.rejections.map(({ reason }) => reason)).toEqual([
      "its label note cannot be a word of a map file",
    ]);
  });
});

describe("the label that is blamed is the one that was written", () => {
  const breaks = "has a line break, which no HAProxy configuration can hold";
  const note = `its label note ${breaks}`;
  /** Two labels, of which one is a part of the other, in one container and in another. */
  const whole = container("whole", { labels: { part: "b\nc", note: "a b\nc d", blank: "" } });
  const part = container("part", { image: "part", labels: { note: "b\nc", other: "a b\nc d" } });
  const same = container("same", { image: "same", labels: { twin: "b\nc", other: "B\nC" } });
  const all = [whole, part, same];

  test.each<[string, string, Readonly<Record<string, string>>]>([
    ["the longer of two", "{{label this 'note' '-'}}", { whole: note, part: note }],
    ["the shorter", "{{label this 'part' '-'}}", { whole: `its label part ${breaks}` }],
    ["one that another has too", "{{label this 'twin' '-'}}", { same: `its label twin ${breaks}` }],
    ["in another case", "{{lower (label this 'twin' '-')}}", { same: `its label twin ${breaks}` }],
    [
      "within a text",
      "{{concat 'x' (upper (label this 'part' '-')) 'y'}}",
      { whole: `its label part ${breaks}` },
    ],
    [
      "by its place",
      "{{#each labels}}{{#if (eq @key 'part')}}{{this}}{{/if}}{{/each}}",
      { whole: `its label part ${breaks}` },
    ],
    [
      "as what a block is about",
      "{{#with (label this 'note')}}{{this}}{{/with}}",
      { whole: note, part: note },
    ],
    [
      "by a part of the template",
      "{{> piece text=(label this 'note' '-')}}",
      { whole: note, part: note },
    ],
    [
      "looked up",
      "{{#if (label this 'part')}}{{lookup labels 'part'}}{{/if}}",
      { whole: `its label part ${breaks}` },
    ],
    [
      "the one that was chosen",
      "{{default (label this 'blank') (label this 'part' '-')}}",
      { whole: `its label part ${breaks}` },
    ],
    ["not one that was mended", "{{replace (label this 'note' '-') '\n' ' '}}", {}],
    ["not one that was only compared", "{{eq (label this 'note' '-') 'b\nc'}}", {}],
    ["not one that was only asked for", "{{#if (label this 'note')}}yes{{/if}}", {}],
  ])("%s", (_, body, expected) => {
    const { model, config } = make(SERVERS.replace("BODY", body), all);
    const reasons = model.rejections.map((rejection) => [rejection.container, rejection.reason]);
    expect(Object.fromEntries(reasons)).toEqual(expected);
    for (const { name } of all) {
      expect(config.includes(`${name} `)).toBe(expected[name] === undefined);
    }
  });

  const word = "cannot be a word of a map file";
  test.each<[string, string, Readonly<Record<string, string>>]>([
    ["an empty one", "blank", { one: `its label blank ${word}` }],
    ["a comment", "hash", { one: `its label hash ${word}` }],
    ["one that is not alone with its blank", "blanks", { two: `its label blanks ${word}` }],
    ["none that is fine", "fine", {}],
  ])("in a map: %s", (_, label, expected) => {
    const one = container("one", { labels: { blank: "", hash: "#x", other: "a b", empty: "" } });
    const two = container("two", { image: "two", labels: { blanks: "a b", fine: "#" } });
    const three = container("three", { image: "three", labels: { empty: "", more: "a b" } });
    const text = `{{#map "m"}}{{#each backends}}{{#each servers}}
      x {{#if (eq container "CONTAINER")}}{{label this "LABEL" "-"}}{{else}}-{{/if}}
    {{/each}}{{/each}}{{/map}}`;
    const [holder = ""] = Object.keys(expected);
    const { model } = make(text.replace("LABEL", label).replace("CONTAINER", holder), [
      one,
      two,
      three,
    ]);
    const reasons = model.rejections.map((rejection) => [rejection.container, rejection.reason]);
    expect(Object.fromEntries(reasons)).toEqual(expected);
  });

  test("in a map: of two unsafe labels, the one that default chose", () => {
    const text = `{{#map "m"}}{{#each backends}}{{#each servers}}
      x {{default (label this "blank") (label this "note")}}
    {{/each}}{{/each}}{{/map}}`;
    const { model } = make(text, [container("one", { labels: { blank: "", note: "a b" } })]);
    expect(model.rejections.map(({ reason }) => reason)).toEqual([`its label note ${word}`]);
  });

  test("a line break that the template itself puts beside a label is the template's", () => {
    const text = SERVERS.replace("BODY", "{{concat (label this 'other' '-') '\n'}}");
    const odd = container("odd", { labels: { other: "a b" } });
    const { code } = failureOf("template", () => make(text, [odd]));
    expect(code).toBe("template");
  });

  test("the same labels at every call, though other results are reused", () => {
    const text = SERVERS.replace("BODY", "{{label this 'note' '-'}}");
    const template = compileTemplate({ name: "my.hbs", text }, {});
    const router = createRouter();
    for (let round = 0; round < 3; round++) {
      const { model } = makeDesired(snapshot(all), HOST, SETTINGS, template, String, router);
      expect(model.rejections.map(({ container: name }) => name).toSorted()).toEqual([
        "part",
        "whole",
      ]);
    }
  });
});

test("templates treat a label with blanks as any other text", () => {
  const labels = { note: "it's B", empty: "" };
  const only = [container("one", { labels })];
  const cases = [
    ["{{label this 'note'}}", String.raw`'it'\''s B'`],
    ["{{{label this 'note'}}}", "it's B"],
    ["{{{labels.note}}} {{labels.note.length}}", "it's B 6"],
    ["{{eq labels.note \"it's B\"}} {{ne labels.note 'x'}}", "true true"],
    ["{{and labels.note port}} {{or labels.empty false}} {{not labels.empty}}", "true false true"],
    ["{{#if labels.empty}}full{{else}}empty{{/if}}{{#if labels.note}} full{{/if}}", "empty full"],
    ["{{#unless labels.empty}}empty{{/unless}}", "empty"],
    ["{{#with labels.empty}}full{{else}}empty{{/with}}", "empty"],
    ["{{#with labels.note}}{{this}}{{/with}}", String.raw`'it'\''s B'`],
    ["{{#each labels.note}}letter{{else}}none{{/each}}", "none"],
    ["{{#each labels}}{{@key}}={{{this}}};{{/each}}", "note=it's B;empty=;"],
    ["{{#labels.note}}{{this}}{{/labels.note}}", String.raw`'it'\''s B'`],
    ["{{default labels.empty 'x'}} {{default labels.note 'x'}}", String.raw`x 'it'\''s B'`],
    ["{{lower labels.note}}{{{upper labels.note}}}", String.raw`'it'\''s b'IT'S B`],
    ["{{replace labels.note \"it's \" ''}}", "B"],
    ["{{labels.empty}}", "''"],
    ["{{#group ../servers 'container'}}{{key}}{{/group}}", "one"],
    ["{{{lookup labels 'note'}}}", "it's B"],
  ] as const;
  for (const [body, expected] of cases) {
    const text = `{{#each backends}}{{#each servers}}${body}{{/each}}{{/each}}`;
    expect([body, make(text, only).config]).toEqual([body, expected]);
  }
});

test("a map line that is only a label is written as its text", () => {
  const text = `{{#map "m"}}{{#each backends}}{{#each servers}}{{{labels.note}}}{{/each}}{{/each}}{{/map}}`;
  const { files } = make(text, [container("one", { labels: { note: "a b" } })]);
  expect(files.assets["/x/m.map"]?.text).toBe("a b\n");
  expect(
    make("{{#each backends}}{{#each servers}}{{{labels.note}}}{{/each}}{{/each}}", [
      container("one", { labels: { note: "a b" } }),
    ]).config,
  ).toBe("a b");
});

test("a line break of the template itself is a failure of the template", () => {
  const { message } = failureOf("template", () => make("{{concat 'a\nb'}}", [container("c")]));
  expect(message).toBe(
    String.raw`Cannot render the template: the value "a\nb" has a line break, which no HAProxy configuration can hold`,
  );
});

test("it is the template's failure even if a label has the same text", () => {
  const same = container("same", { labels: { note: "a\nb" } });
  const { code } = failureOf("template", () => make("{{concat 'a\nb'}}", [same]));
  expect(code).toBe("template");
});

describe("the built-in templates", () => {
  test.each(Object.entries(TEMPLATES))("%s writes no label at all", (_, text) => {
    const evil = container("evil", { labels: { a: "x\nglobal\n  daemon" } });
    const { model, config } = make(text, [evil]);
    expect(model.rejections).toEqual([]);
    expect(config).not.toContain("daemon");
  });
});

describe("the fields of the program of 2018", () => {
  const one = container("one", { image: "reg:5000/foo/bar:1.2", exposed: [] });
  const two = container("two", { image: "foo/bar" });

  test("one guest for each container, whatever its candidate ports", () => {
    const text = "{{#each Guests}}{{Name}} {{FriendlyName}} {{ID}} {{IP}}\n{{/each}}";
    expect(make(text, [two, one]).config).toBe(
      `reg:5000/foo/bar:1.2 reg_5000_foo_bar_1_2 ${one.id.slice(0, 12)} 172.17.0.2\n` +
        `foo/bar foo_bar ${two.id.slice(0, 12)} 172.17.0.2\n`,
    );
  });

  test("Time is a field, and by itself no change", () => {
    const [early, late] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"];
    const text = "# made at {{Time}}\n{{> global}}";
    const [before, after] = [make(text, [one], early), make(text, [one], late)];
    expect(before.config).toStartWith(`# made at ${early}\nglobal\n`);
    expect(after.config).toStartWith(`# made at ${late}\nglobal\n`);
    expect(sameFiles(before.files, after.files)).toBe(true);
  });
});

function made(
  text: string,
  containers: readonly Container[],
  isOwn = true,
  settings: DesiredSettings = SETTINGS,
) {
  const template = compileTemplate({ name: "/my.hbs", text, isOwn }, {});
  const { model } = makeDesired(snapshot(containers), HOST, settings, template, () => "then");
  return {
    served: model.services.map(({ name }) => name),
    rejections: Object.fromEntries(model.rejections.map((each) => [each.container, each.reason])),
  };
}

describe("a template of one's own that does not heed who is kept out", () => {
  const ROUTES = "{{#each routes}}{{key}};{{/each}}";
  const MARKED = "{{#each routes}}{{key}}{{#if mark}} {{mark}}{{/if}};{{/each}}";
  const web = container("web", { labels: { "gateway.allow": "10.0.0.0/8" } });
  const open = container("open", { image: "open", labels: { "gateway.body": "1k" } });

  test.each(["allow", "deny", "auth"])("does not serve what has %s", (label) => {
    const value = label === "auth" ? `bob:$6$saltsalt$${"x".repeat(86)}` : "10.0.0.0/8";
    const kept = { ...web, labels: { [`gateway.${label}`]: value } };
    expect(made(ROUTES, [kept, open])).toEqual({
      served: ["open"],
      rejections: {
        web: `label gateway.${label} keeps somebody out of /foo/bar, and template /my.hbs does not heed it: it would let everybody in (see "mark" in docs/templates.md)`,
      },
    });
  });

  test("does not serve what has a wrong one, or has it on a further route", () => {
    const wrong = { ...web, labels: { "gateway.deny": "x" } };
    const further = container("further", {
      image: "further",
      labels: { "gateway.route.a.path": "/a", "gateway.route.a.deny": "::/0" },
    });
    const { served, rejections } = made(ROUTES, [wrong, further, open]);
    expect(served).toEqual(["open"]);
    expect(rejections["web"]).toStartWith("label gateway.deny keeps somebody out of /foo/bar, ");
    expect(rejections["further"]).toStartWith(
      "label gateway.route.a.deny keeps somebody out of /a",
    );
  });

  test("does not serve what asks for certificates and names no authorities to HAProxy", async () => {
    const { root } = await Authority.make();
    const labels = {
      "gateway.host": "a.example.com",
      "gateway.mtls": "required",
      "gateway.mtls.ca": "/ca.pem",
    };
    const read = () => ({ text: root });
    const tls = {
      listen: ["*:443"],
      profile: "modern",
      strictSni: false,
      redirect: true,
      http3: false,
    } as const;
    const settings = {
      ...SETTINGS,
      template: { ...SETTINGS.template, tls },
      labelFiles: { areUsed: true, begin: () => undefined, haveChanged: () => false, read },
    };
    const served = (text: string): string[] =>
      made(text, [{ ...web, labels }, open], true, settings).served;
    expect(served(ROUTES)).toEqual(["open"]);
    expect(served(MARKED)).toEqual(["open"]);
    const named = "{{#each tls.cas}}{{#ca name}}{{text}}{{/ca}}{{caPath name}}{{/each}}";
    expect(served(MARKED + named)).toEqual(["foo/bar", "open"]);
  });

  test("serves it with the mark, and the built-in ones need none", () => {
    const all = { served: ["foo/bar", "open"], rejections: {} };
    expect(made(MARKED, [web, open])).toEqual(all);
    expect(made(ROUTES, [web, open], false)).toEqual(all);
  });
});
