// Which file of src/ may import which: imports go down only, and what decides does nothing else.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

const SRC = join(import.meta.dir, "../../src");

interface Row {
  /** Files without their ending, or whole folders. */
  readonly files: readonly string[];
  /** The rows that it may import, besides itself. */
  readonly mayImport: readonly string[];
  /** Whether it only decides: no file, no socket, no process, no clock, no environment. */
  readonly pure: boolean;
}

function row(files: string, mayImport: string, pure = false): Row {
  return { files: files.split(" "), mayImport: mayImport.split(" ").filter(Boolean), pure };
}

/** From the bottom to the top. */
const ROWS: Readonly<Record<string, Row>> = {
  bottom: row("errors log async model memo difference assembly order version table process", ""),
  // One thing each: an image's name, a label, a word, a flag.
  things: row("image labels words escape options flags", "bottom", true),
  // HAProxy's own language, its files and what it can be told: the folder haproxy/ speaks it too.
  // It knows nothing of Docker, of routes and of templates.
  language: row("haproxy-config binds server-lines map-plan operations", "bottom", true),
  deciding: row(
    "address placement service hosts routing helpers template-rewriter render view section-plan plan " +
      "desired report explain ending",
    "bottom things language",
    true,
  ),
  docker: row("docker/", "bottom"),
  haproxy: row("haproxy/", "bottom language"),
  doing: row(
    "machine layout listeners free lock notify templates drafts setup written apply newcomers reader gateway command releases " +
      "program-file elf",
    "bottom things language deciding docker haproxy",
  ),
  commands: row(
    "commands/ help manual completion completion/ unit main",
    "bottom things language deciding docker haproxy doing",
  ),
  // What makes the program and is no part of it.
  building: row("build release release/", "bottom doing"),
};

/** What a file that only decides must not touch, and how it would. */
const DOES: readonly (readonly [RegExp, string])[] = [
  [/(?<!#)\bprocess\./, "the process and its environment"],
  [/\bBun\./, "what Bun can do to the machine"],
  [/\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bTemporal\./, "the clock"],
  [/\bMath\.random\b|\bcrypto\./, "chance"],
  [/\bset(?:Timeout|Interval|Immediate)\b|\bqueueMicrotask\b/, "time"],
  [/\bfetch\(|\bnew WebSocket\b/, "the network"],
];
/** The system's modules that only compute; of node:net what reads addresses. */
const COMPUTING = ["node:path", "node:util"];
const ADDRESSES = ["BlockList", "isIP", "isIPv4", "isIPv6"];

interface Source {
  readonly name: string;
  /** Without comments. */
  readonly code: string;
  /** Other files of src/. */
  readonly imports: readonly string[];
  /** Packages and the system's modules, with the names taken from them. */
  readonly modules: readonly (readonly [module: string, names: string])[];
}

const sources = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
  .map(readSource);

function readSource(file: string): Source {
  const code = readFileSync(join(SRC, file), "utf8")
    .replaceAll(/\/\*[^]*?\*\//g, "")
    .replaceAll(/(^|\s)\/\/.*$/gm, "");
  const found = [
    ...code.matchAll(/\b(?:import|export)\b([^"';]*?)\bfrom\s+"([^"]+)"|\bimport\(\s*"([^"]+)"/g),
  ];
  const all = found.map(
    ([, names = "", path = "", dynamic = ""]) => [path || dynamic, names] as const,
  );
  return {
    name: file.slice(0, -".ts".length),
    code,
    imports: all
      .filter(([path]) => /^\..*\.ts$/.test(path))
      .map(([path]) => normalize(join(dirname(file), path)).slice(0, -".ts".length)),
    modules: all.filter((each) => !each[0].startsWith(".")),
  };
}

function rowOf(name: string): string {
  const folder = `${name.split("/")[0]}/`;
  const found = Object.entries(ROWS).filter(([, { files }]) =>
    files.includes(name.includes("/") ? folder : name),
  );
  return found.map(([title]) => title).join(" and ");
}

test("every file has its row", () => {
  const lost = sources.map(({ name }) => name).filter((name) => !(rowOf(name) in ROWS));
  expect(lost).toEqual([]);
});

describe.each(sources.map((source) => [source.name, source] as const))("%s", (name, source) => {
  const title = rowOf(name);
  const { mayImport = [], pure = false } = ROWS[title] ?? {};

  test("imports only what is below", () => {
    const wrong = source.imports.filter(
      (other) => rowOf(other) !== title && !mayImport.includes(rowOf(other)),
    );
    expect(wrong).toEqual([]);
  });

  if (pure) {
    test("only decides", () => {
      const touched = DOES.filter(([pattern]) => pattern.test(source.code)).map(([, what]) => what);
      expect(touched).toEqual([]);
      const system = source.modules.filter(([module]) => /^(node|bun):/.test(module));
      const doing = system.filter(([module, names]) => {
        if (module !== "node:net") return !COMPUTING.includes(module);
        return names
          .replaceAll(/[{}\s]/g, "")
          .split(",")
          .some((each) => !ADDRESSES.includes(each));
      });
      expect(doing).toEqual([]);
    });
  }

  if (name !== "main" && title !== "building") {
    test("leaves the console and the exit to main", () => {
      const uses = source.code.match(
        /\bconsole\.\w+|(?<!#)\bprocess\.(?:exit|exitCode|stdout|stderr|stdin|argv)\b/g,
      );
      expect(uses ?? []).toEqual([]);
    });
  }
});

test("nothing imports itself by a detour", () => {
  const importsOf = new Map(sources.map(({ name, imports }) => [name, imports]));
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) circles.push([...way.slice(way.indexOf(name)), name].join(" -> "));
    if (way.includes(name) || done.has(name)) return;
    for (const other of importsOf.get(name) ?? []) visit(other, [...way, name]);
    done.add(name);
  };
  for (const { name } of sources) visit(name, []);
  expect(circles).toEqual([]);
});

test("only docker/ knows the Engine's JSON", () => {
  const knowing = sources.filter(({ modules }) =>
    modules.some(([module]) => module === "dockerode"),
  );
  expect(knowing.map(({ name }) => name).filter((name) => !name.startsWith("docker/"))).toEqual([]);
});

test("the imports are really read", () => {
  const plan = sources.find(({ name }) => name === "plan");
  expect(plan?.imports).toContain("haproxy-config");
  const address = sources.find(({ name }) => name === "address");
  expect(address?.modules.map(([module]) => module)).toEqual(["node:net"]);
});
