// The files from what Docker has: one odd container costs only itself, and time is no change.

import { describe, expect, test } from "bun:test";
import { makeDesired, type DesiredSettings } from "../../src/gateway/desired.ts";
import type { Container } from "../../src/model.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import { sameFiles } from "../../src/plan/plan.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { container, failureOf, HOST, ROUTING, snapshot } from "../lab/make.ts";

const SETTINGS: DesiredSettings = {
  routing: ROUTING,
  template: { listen: ["*:80"], domain: "", ports: [8000, 80] },
  haproxy: {
    version: "3.4.7",
    user: "",
    group: "",
    chroot: "",
    statsSocket: "/x/admin.sock",
    stateFile: "/x/state",
    log: [],
  },
  mapPath: (name) => `/x/${name}.map`,
};

function make(text: string, containers: readonly Container[], time = "then") {
  const template = compileTemplate({ name: "my.hbs", text }, PARTIALS);
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
        reason: `its label note ${breaks}`,
        optedOut: false,
      },
    ]);
    expect(model.services.map(({ name }) => `/${name}`)).toEqual(["/good"]);
  });

  test("every one of them", () => {
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

  test("not where the template does not write it", () => {
    const { config, model } = make(SERVERS.replace("BODY", "{{label this 'fine' '-'}}"), [
      bad,
      good,
    ]);
    expect(config).toBe("bad x;good -;");
    expect(model.rejections).toEqual([]);
  });

  test("what is written raw is the template's own affair", () => {
    expect(make(SERVERS.replace("BODY", "{{{labels.note}}}"), [bad]).config).toBe("bad one\ntwo;");
  });

  test("in a map, where a blank is too much already", () => {
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

test("a line break that is no container's fails the template, not the program", () => {
  const { message } = failureOf("template", () => make("{{concat 'a\nb'}}", [container("c")]));
  expect(message).toBe(
    String.raw`Cannot render the template: the value "a\nb" has a line break, which no HAProxy configuration can hold`,
  );
});

test("and a label that says the same does not hide that", () => {
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
