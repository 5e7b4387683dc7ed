// Each configuration in the documents' blocks is one: labels are read by the program's own reader, HAProxy takes
// what is HAProxy's, Prometheus what is Prometheus's, and a template is one of those that are tested.

import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { cached } from "../lab/cache.ts";
import { haproxyProgram, haproxyVersions } from "../lab/haproxy.ts";
import { labDir, sweep } from "../lab/leftovers.ts";
import { problemsOf } from "./labels.ts";
import { blocksOf, readPages, ROOT, type Block } from "./page.ts";

/** The languages of blocks, and what tries them. */
const LANGUAGES: Readonly<Record<string, string>> = {
  console: "commands.test.ts",
  yaml: "this file",
  haproxy: "this file, and test/e2e/documents runs it",
  handlebars: "this file and test/golden",
  json: "this file, and test/e2e/api and access-log compare it",
  text: "nothing: drawings, and what programs print",
};

const dir = labDir("r");
afterAll(() => sweep(dir));

test("every block is of a language that something tries", () => {
  const blocks = readPages().flatMap((page) => page.blocks);
  const unknown = blocks.filter(({ language }) => !Object.hasOwn(LANGUAGES, language));
  expect(unknown.map(({ place, language }) => `${place}: ${language}`)).toEqual([]);
  for (const language of Object.keys(LANGUAGES)) {
    expect(blocks.some((block) => block.language === language)).toBe(true);
  }
});

/** The blocks of a language, for `test.each`. */
function placed(language: string): (readonly [place: string, block: Block])[] {
  return blocksOf(language).map((block) => [block.place, block] as const);
}

type Labels = Readonly<Record<string, unknown>> | readonly string[];

/** What the documents show in YAML. */
interface Shown {
  readonly services?: Readonly<
    Record<string, { readonly labels?: Labels; readonly deploy?: { readonly labels?: Labels } }>
  >;
  /** Of one container, as `explain --as-labels` prints them. */
  readonly labels?: Labels;
  /** Of Prometheus. */
  readonly scrape_configs?: unknown;
}

/** Labels as compose takes them, each as `docker run --label` has it. A value must be a text there. */
function assignments(labels: Labels): readonly string[] {
  if (Array.isArray(labels)) return labels.map(String);
  return Object.entries(labels).map(([name, value]) => {
    if (typeof value !== "string") throw new Error(`${name} needs quotes: it is no text in YAML`);
    return `${name}=${value}`;
  });
}

/** @throws Error if nothing knows such a file */
function problemsOfYaml(text: string): readonly string[] {
  const shown: Shown = parse(text);
  const containers = [
    ...Object.values(shown.services ?? {}).flatMap(({ labels, deploy }) => [
      labels,
      deploy?.labels,
    ]),
    shown.labels,
  ].filter((labels) => labels !== undefined);
  if (containers.length > 0) return containers.flatMap((each) => problemsOf(assignments(each)));
  if (shown.scrape_configs === undefined) throw new Error("nothing tries such a file");
  return problemsOfPrometheus(text);
}

/** What Prometheus' own tool finds wrong with a configuration. */
function problemsOfPrometheus(text: string): readonly string[] {
  const file = join(dir, "prometheus.yml");
  writeFileSync(file, text);
  const tool = join(cached("prometheus"), "usr/bin/promtool");
  const { exitCode, stderr } = Bun.spawnSync([tool, "check", "config", file]);
  return exitCode === 0 ? [] : [stderr.toString()];
}

describe("YAML", () => {
  test.each(placed("yaml"))("%s", (_, { text }) => expect(problemsOfYaml(text)).toEqual([]));

  test.each([
    ["a label that does not exist", "services: { a: { labels: { gateway.hots: a.example.com } } }"],
    ["a wrong value", 'services: { a: { labels: ["gateway.port=x"] } }'],
    ["what is wrong for Prometheus", "scrape_configs: [{ job_nam: x }]"],
  ])("finds %s", (_, text) => expect(problemsOfYaml(text)).not.toEqual([]));

  test.each([
    ["a value that compose refuses", "services: { a: { labels: { gateway.strip: false } } }"],
    ["a file that nothing knows", "a: b"],
  ])("finds %s", (_, text) => expect(() => problemsOfYaml(text)).toThrow());
});

describe.each(haproxyVersions())("HAProxy %s takes", (version) => {
  test.each(placed("haproxy"))("%s", (_, { text }) => {
    const config = join(dir, "haproxy.cfg");
    // The group of Docker's socket need not exist where this runs.
    writeFileSync(config, `${text.replace(" group docker", "")}\n`);
    const checked = Bun.spawnSync([haproxyProgram(version), "-c", "-f", config]);
    expect(checked.stderr.toString()).not.toMatch(/ALERT|WARNING/);
    expect(checked.exitCode).toBe(0);
  });
});

test.each(placed("handlebars"))("the template in %s is one that is tested", (_, { text }) => {
  const golden = join(ROOT, "test/golden");
  const tested = readdirSync(golden, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("/template.hbs"))
    .map((name) => readFileSync(join(golden, name), "utf8").trimEnd());
  expect(tested).toContain(text);
});

test.each(placed("json"))("the JSON in %s is JSON", (_, { text }) => {
  // Each line of the access log is an object of its own.
  const isLines = text.split("\n").every((line) => line.startsWith("{") && line.endsWith("}"));
  for (const each of isLines ? text.split("\n") : [text])
    expect(() => JSON.parse(each)).not.toThrow();
});
