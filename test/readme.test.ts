// What the README says is so: its flags, its helpers, its exit statuses, its examples.

import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GATEWAY_FLAGS } from "../src/cli/gateway-flags.ts";
import { EXIT_STATUS } from "../src/lib/errors.ts";
import { HELPERS } from "../src/template/helpers.ts";
import { haproxyProgram, haproxyVersions } from "./lab/haproxy.ts";
import { labDir, sweep } from "./lab/leftovers.ts";

const root = join(import.meta.dir, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const dir = labDir("r");

afterAll(() => sweep(dir));

describe("the README", () => {
  test.each(Object.keys(GATEWAY_FLAGS))("has the flag --%s in its table", (flag) => {
    expect(readme).toMatch(new RegExp(`^\\| \`--${flag}[ \`]`, "m"));
  });

  test("has no flag that does not exist", () => {
    const flags = [...readme.matchAll(/^\| `--([a-z0-9-]+)/gm)].map(([, flag]) => flag ?? "");
    expect(flags.toSorted()).toEqual(Object.keys(GATEWAY_FLAGS).toSorted());
  });

  test.each([...Object.keys(HELPERS), "map", "mapPath", "script", "scriptPath"])(
    "has the helper %s",
    (helper) => {
      expect(readme).toMatch(new RegExp(`^\\|[^|]*\`${helper}\`[^|]*\\|`, "m"));
    },
  );

  test.each(Object.values(EXIT_STATUS))("has the exit status %i", (status) => {
    expect(readme).toMatch(new RegExp(`^\\| ${status} \\|`, "m"));
  });

  test("shows the old template as it is tested", () => {
    const template = readFileSync(join(root, "test/golden/old-template/template.hbs"), "utf8");
    expect(block("handlebars")).toBe(template.trimEnd());
  });

  test.each(haproxyVersions())("shows a socket proxy that HAProxy %s takes", (version) => {
    const config = join(dir, "proxy.cfg");
    // The group of Docker's socket need not exist where this runs.
    writeFileSync(config, `${block("haproxy").replace(" group docker", "")}\n`);
    const checked = Bun.spawnSync([haproxyProgram(version), "-c", "-f", config]);
    expect(checked.stderr.toString()).not.toMatch(/ALERT|WARNING/);
    expect(checked.exitCode).toBe(0);
  });
});

/** The first block of a language. */
function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)\n\`\`\`$`, "m").exec(readme);
  if (found?.[1] === undefined) throw new Error(`the README has no block of ${language}`);
  return found[1];
}
