// The workflows: what they may do, what they use, and their own steps run here with a GitHub that is played.

import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { openDir, run, SYSTEM_PATH } from "./commands.ts";

const FOLDER = join(import.meta.dir, "../../.github/workflows");

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
  readonly name?: string;
}
interface Job {
  readonly needs?: readonly string[];
  readonly permissions?: Readonly<Record<string, string>>;
  readonly "timeout-minutes"?: number;
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly concurrency: { readonly group: string };
  readonly jobs: Readonly<Record<string, Job>>;
}

const NAMES = ["ci.yml", "release.yml"];

test("there are these and no others", () => {
  expect(readdirSync(FOLDER).toSorted()).toEqual(NAMES);
});

describe.each(NAMES)("%s", (name) => {
  const text = readFileSync(join(FOLDER, name), "utf8");
  const workflow = Bun.YAML.parse(text) as Workflow;
  const jobs = Object.values(workflow.jobs);
  const steps = jobs.flatMap((job) => job.steps);

  test("may only read, but where a job says more", () => {
    expect(workflow.permissions).toEqual({ contents: "read" });
    const more = Object.entries(workflow.jobs).flatMap(([job, { permissions }]) =>
      permissions === undefined ? [] : [[job, permissions]],
    );
    const publish = { contents: "write", "id-token": "write", attestations: "write" };
    expect(more).toEqual(name === "release.yml" ? [["publish", publish]] : []);
  });

  test("is started by nothing that runs others' code with rights", () => {
    const starts = name === "ci.yml" ? ["push", "pull_request"] : ["push"];
    expect(Object.keys(workflow.on)).toEqual(starts);
    expect(text).not.toContain("secrets.");
  });

  test("pins every action by a commit, with its version beside it", () => {
    const uses = [...text.matchAll(/uses: (.*)$/gm)].map(([, what = ""]) => what);
    expect(uses.length).toBe(steps.filter((step) => step.uses !== undefined).length);
    for (const what of uses)
      expect(what).toMatch(/^actions\/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    // One version of each.
    const pins = new Set(uses);
    expect(pins.size).toBe(new Set([...pins].map((what) => what.split("@")[0])).size);
  });

  test("leaves no token in a checkout", () => {
    const checkouts = steps.filter((step) => step.uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBeGreaterThan(0);
    for (const step of checkouts) expect(step.with?.["persist-credentials"]).toBe(false);
  });

  test("ends every job some time, and only one run of a kind goes on", () => {
    for (const job of jobs) expect(job["timeout-minutes"]).toBeNumber();
    expect(workflow.concurrency.group).toContain("github.ref");
  });

  test("puts nothing of GitHub's into its scripts, which are right for bash", async () => {
    for (const { run: script } of steps) {
      if (script === undefined) continue;
      expect(script).not.toContain("${{");
      expect(await run(["bash", "-n"], { input: script })).toEqual({
        status: 0,
        stdout: "",
        stderr: "",
      });
      const [, command] = /npm (?:run )?([a-z:]+)/.exec(script) ?? [];
      if (command !== undefined) expect(Object.keys(manifest.scripts)).toContain(command);
    }
  });
});

describe("the steps that make the release", () => {
  const { jobs } = Bun.YAML.parse(readFileSync(join(FOLDER, "release.yml"), "utf8")) as Workflow;
  const scripts = (jobs["publish"]?.steps ?? []).flatMap(({ run: script }) => script ?? []);

  /** Runs the scripts as GitHub does, up to the first that fails. */
  async function publish(folder: string, tag: string): Promise<readonly string[]> {
    const tools = openDir("gh");
    writeFileSync(join(tools, "gh"), `#!/bin/sh\nprintf '%s\\n' "$@" >${folder}/said\n`, {
      mode: 0o755,
    });
    for (const script of scripts) {
      const { status, stdout, stderr } = await run(["bash", "-e", "-c", script], {
        cwd: folder,
        env: {
          PATH: `${tools}:${SYSTEM_PATH}`,
          GITHUB_REF_NAME: tag,
          GITHUB_OUTPUT: join(folder, "output"),
        },
      });
      if (status !== 0) throw new Error(stdout + stderr);
    }
    return readFileSync(join(folder, "said"), "utf8").trimEnd().split("\n");
  }

  const options = ["--verify-tag", "--title", "v2.1.0", "--notes-file", "release-notes.md"];
  const files = ["SHA256SUMS", "docker-api-gateway-2.1.0.cdx.json", "install.sh"].map(
    (name) => `release/${name}`,
  );

  test("give it all files and the notes", async () => {
    const folder = await arrive();
    const said = await publish(folder, "v2.1.0");
    expect(said).toEqual(["release", "create", "v2.1.0", ...options, ...files]);
    expect(readFileSync(join(folder, "output"), "utf8")).toBe(
      "path=release/docker-api-gateway-2.1.0.cdx.json\n",
    );
  });

  test("mark a candidate as such", async () => {
    expect(await publish(await arrive(), "v2.1.0-rc.1")).toContain("--prerelease");
  });

  test("end where the other machine made something else", async () => {
    const folder = await arrive();
    writeFileSync(join(folder, "again/SHA256SUMS"), "other\n");
    expect(await publish(folder, "v2.1.0").catch(String)).toContain("other");
  });

  test("end where a file did not arrive whole", async () => {
    const folder = await arrive();
    writeFileSync(join(folder, "release/install.sh"), "inst");
    expect(await publish(folder, "v2.1.0").catch(String)).toContain("install.sh: FAILED");
  });

  test("come after all else", () => {
    expect(jobs["publish"]?.needs).toEqual(["test", "build", "again"]);
  });
});

/** What the downloads leave: the files, and the checksums that the other machine made. */
async function arrive(): Promise<string> {
  const folder = openDir("publish");
  mkdirSync(join(folder, "release"));
  mkdirSync(join(folder, "again"));
  writeFileSync(join(folder, "release-notes.md"), "New.\n");
  for (const name of ["docker-api-gateway-2.1.0.cdx.json", "install.sh"])
    writeFileSync(join(folder, "release", name), name);
  const { stdout } = await run(["sh", "-c", "sha256sum *"], { cwd: join(folder, "release") });
  writeFileSync(join(folder, "release/SHA256SUMS"), stdout);
  writeFileSync(join(folder, "again/SHA256SUMS"), stdout);
  return folder;
}
