// Makes the bill of materials of a release (CycloneDX): npm's own, made reproducible, and Bun.

import { kindOf } from "../kind.ts";
import { BUN_VERSION, KINDS } from "./runtimes.ts";
import { productionPackages } from "./packages.ts";
import { run } from "./run.ts";

/** The parts of npm's output that are changed here. */
interface Bom {
  serialNumber?: string;
  metadata: { timestamp: string; tools?: unknown; component: Record<string, unknown> };
  components: Record<string, unknown>[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

/**
 * Lists what the programs are made of, as JSON.
 * @param time when the release was made, in seconds since 1970
 */
export async function billOfMaterials(
  root: string,
  version: string,
  time: number,
): Promise<string> {
  const text = await run(
    ["npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only"],
    root,
  );
  const bom = JSON.parse(text) as Bom;
  keepOnly(
    bom,
    new Set(productionPackages(root).map(({ name, version: own }) => `${name}@${own}`)),
  );
  // npm adds a serial number, its version and the time, which differ each time.
  delete bom.serialNumber;
  delete bom.metadata.tools;
  bom.metadata.timestamp = new Date(time * 1000).toISOString();
  const ref = `docker-api-gateway@${version}`;
  Object.assign(bom.metadata.component, { type: "application", name: "docker-api-gateway" });
  bom.components.push(...KINDS.map(toComponent));
  bom.dependencies
    .find((each) => each.ref === ref)
    ?.dependsOn.push(...KINDS.map((kind) => bunRef(kind.package)));
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}

/**
 * Takes out what is only there for development. npm's `--omit dev` also takes out a package of the program
 * that a package for development may have, too.
 */
function keepOnly(bom: Bom, packages: ReadonlySet<string>): void {
  const isKept = (ref: unknown): boolean => packages.has(String(ref));
  const own = bom.metadata.component["bom-ref"];
  bom.components = bom.components.filter((each) => isKept(each["bom-ref"]));
  bom.dependencies = bom.dependencies
    .filter(({ ref }) => ref === own || isKept(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter(isKept) }));
}

/** The Bun in the program for a kind of machine. */
function toComponent(kind: (typeof KINDS)[number]): Record<string, unknown> {
  const [, sum = ""] = kind.integrity.split("-");
  return {
    "bom-ref": bunRef(kind.package),
    type: "platform",
    name: kind.package,
    version: BUN_VERSION,
    scope: "required",
    description: `The runtime in the program for ${kindOf(kind.target)}`,
    purl: `pkg:npm/${kind.package.replace("@", "%40")}@${BUN_VERSION}`,
    hashes: [{ alg: "SHA-512", content: Buffer.from(sum, "base64").toString("hex") }],
    licenses: [{ license: { id: "MIT" } }],
  };
}

function bunRef(name: string): string {
  return `${name}@${BUN_VERSION}`;
}
