// How a release travels: over TLS and never away from it, through servers that fall silent.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { linkSync, readdirSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { readRelease } from "../../src/cli/service/releases.ts";
import { openDir, run } from "./commands.ts";
import { NAME, runInstaller, versionIn } from "./installer.ts";
import { buildVersion, KIND, releaseFiles, tinyProgram } from "./programs.ts";
import { startReleaseServer, type ReleaseServer } from "./server.ts";

const NEXT = "99.1.0";

let plain: ReleaseServer;
let program: string;
let secure: { readonly url: string; readonly authority: string; stop(): Promise<void> };
/** Where the TLS server sends those that ask it; undefined: it passes on what the plain one has. */
let away: string | undefined;

beforeAll(async () => {
  plain = await startReleaseServer();
  plain.add(NEXT, releaseFiles(NEXT, tinyProgram(NEXT)));
  program = await buildVersion(manifest.version);
  secure = await startTls();
});
afterAll(async () => {
  await secure.stop();
  await plain.stop();
});

test("upgrade and install.sh take a release over TLS", async () => {
  away = undefined;
  const dir = installed();
  expect(await upgrade(dir)).toMatchObject({ status: 0, stderr: "" });
  expect(await versionIn(dir)).toContain(NEXT);
  for (const loader of ["curl", "wget"]) {
    const other = openDir("install");
    expect(await install(other, loader)).toMatchObject({ status: 0, stderr: "" });
    expect(await versionIn(other)).toContain(NEXT);
  }
});

test("neither is led away from TLS", async () => {
  away = plain.url;
  const dir = installed();
  const upgraded = await upgrade(dir);
  expect(upgraded.stderr).toContain(`it leads to ${plain.url}`);
  expect(upgraded.status).toBe(14);
  const other = openDir("install");
  expect((await install(other, "curl")).status).toBe(1);
  expect(readdirSync(other)).toEqual([]);
});

test("neither trusts a server whose certificate nobody vouches for", async () => {
  away = undefined;
  const dir = installed();
  const { status, stderr } = await run([join(dir, NAME), "upgrade", `--releases=${secure.url}`]);
  expect(stderr).toContain("certificate");
  expect(status).toBe(14);
  const other = openDir("install");
  expect((await runInstaller(other, secure.url)).status).toBe(1);
  expect(readdirSync(other)).toEqual([]);
});

test("a server that falls silent is given up", async () => {
  plain.fault("SHA256SUMS", "stall");
  const { signal } = new AbortController();
  const reading = readRelease(plain.url, KIND, undefined, { signal, stallMs: 100 });
  expect(await reading.catch(String)).toContain("the server sends nothing any more");
  plain.fault("SHA256SUMS", undefined);
});

function installed(): string {
  const dir = openDir("bin");
  linkSync(program, join(dir, NAME));
  return dir;
}

function upgrade(dir: string) {
  return run([join(dir, NAME), "upgrade", `--releases=${secure.url}`], {
    env: { NODE_EXTRA_CA_CERTS: secure.authority },
  });
}

function install(dir: string, loader: string) {
  const trust = { CURL_CA_BUNDLE: secure.authority, WGETRC: `${secure.authority}.wgetrc` };
  return runInstaller(dir, secure.url, { loader, env: trust });
}

/** A server that speaks TLS, with a certificate that is its own authority. */
async function startTls(): Promise<typeof secure> {
  const folder = openDir("tls");
  const [key, authority] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const made = await run([
    ..."openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1".split(
      " ",
    ),
    ..."-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout".split(" "),
    key,
    "-out",
    authority,
  ]);
  if (made.status !== 0) throw new Error(made.stderr);
  await Bun.write(`${authority}.wgetrc`, `ca_certificate = ${authority}\n`);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { key: Bun.file(key), cert: Bun.file(authority) },
    fetch: async (request) => {
      const path = new URL(request.url).pathname.replace(/^\/releases/, "");
      if (away !== undefined) return Response.redirect(away + path);
      return new Response(await (await fetch(plain.url + path)).bytes());
    },
  });
  return {
    url: `https://127.0.0.1:${server.port}/releases`,
    authority,
    stop: () => server.stop(true),
  };
}
