// Makes the documents in an archive: texts, completions, manual page and licences.

import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { Documents } from "./archive.ts";
import { productionPackages } from "./packages.ts";
import { run } from "./run.ts";

const COMPLETIONS = {
  bash: "docker-api-gateway.bash",
  zsh: "_docker-api-gateway",
  fish: "docker-api-gateway.fish",
} as const;
/** Says what Bun is made of. It is in the package of Bun's types. */
const BUN_LICENCE = "node_modules/bun-types/docs/project/license.mdx";

/** Makes all documents that are in the archive beside the program. */
export async function documents(root: string): Promise<Documents> {
  const printed = (...words: readonly string[]): Promise<string> =>
    run([process.execPath, "src/main.ts", ...words], root);
  const completions = Object.entries(COMPLETIONS).map(
    async ([shell, name]) => [`completions/${name}`, await printed("completion", shell)] as const,
  );
  const texts = ["LICENSE", "README.md", "CHANGELOG.md", ...pages(root)].map(
    (name) => [name, readFileSync(join(root, name), "utf8")] as const,
  );
  return {
    ...Object.fromEntries(texts),
    ...Object.fromEntries(await Promise.all(completions)),
    "man/docker-api-gateway.8": await printed("man"),
    "THIRD-PARTY-LICENSES": thirdPartyLicences(root),
  };
}

/** The pages that the README leads to, and the files that these name, but pictures that are no text. */
export function pages(root: string): readonly string[] {
  return readdirSync(join(root, "docs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.endsWith(".png"))
    .toSorted();
}

/** The licences of all that is compiled into the program. They require to be passed on with it. */
function thirdPartyLicences(root: string): string {
  const parts = productionPackages(root).map(({ name, version }) => {
    const text = licenceIn(join(root, "node_modules", name));
    if (text === undefined) throw new Error(`Cannot find the licence of ${name}`);
    return [`${name} ${version}`, text] as const;
  });
  const bun = readFileSync(join(root, BUN_LICENCE), "utf8");
  return [...parts, ["Bun and what is linked into it", bun] as const]
    .map(([title, text]) => `${title}\n${"=".repeat(title.length)}\n\n${text.trim()}\n`)
    .join("\n\n");
}

/** Some packages have it in a file of its own, others at the end of what they say of themselves. */
function licenceIn(folder: string): string | undefined {
  const names = readdirSync(folder);
  const read = (pattern: RegExp): string | undefined => {
    const name = names.find((each) => pattern.test(each));
    return name === undefined ? undefined : readFileSync(join(folder, name), "utf8");
  };
  return (
    read(/^licen[cs]e/i) ?? /^(?:#+ *)?licen[cs]e\b.*$[^]*/im.exec(read(/^readme/i) ?? "")?.[0]
  );
}
