// What doctor says of an authority, with one that is played.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { judgeCertificates } from "../../src/cli/doctor/certificates.ts";
import { checkAuthority, checkNames } from "../../src/cli/doctor/authority.ts";
import type { AuthorityRow, CertificateRow } from "../../src/api/certificates.ts";
import type { CheckDocument } from "../../src/api/self-check.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { makeCertificates } from "../e2e/certificates.ts";
import { labDir, sweep } from "../lab/leftovers.ts";

const dir = labDir("authority");
let server: Bun.Server<undefined>;
let ca: string;
let ahead = 0;
let directory: object = {};

beforeAll(() => {
  makeCertificates(dir);
  const read = (name: string): string => readFileSync(join(dir, name), "utf8");
  ca = read("ca.pem");
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: read("server.pem"), key: read("server-key.pem") },
    fetch: () =>
      Response.json(directory, { headers: { date: new Date(Date.now() + ahead).toUTCString() } }),
  });
});

afterAll(async () => {
  await server.stop(true);
  sweep(dir);
});

function asked(more: object = {}) {
  const url = `https://127.0.0.1:${server.port}/dir`;
  return { directory: url, ca, binding: undefined, dns: undefined, ...more };
}

/** What is found first. */
const first = async (more = {}, listen = ["*:80"]): Promise<string> => {
  const { level, lines } = await checkAuthority(asked(more), listen);
  return `${level} ${lines[0]?.replace(/127\S+/, "CA")}`;
};

test("a clock that is off, a port that is another one, an account that needs a key", async () => {
  expect(await first()).toBe("ok CA answers, and this machine's clock is right");
  ahead = 3_700_000;
  expect(await first()).toBe("failure this machine's clock is 1 h behind that of CA");
  ahead = -7_300_000;
  expect(await first()).toBe("failure this machine's clock is 2 h ahead of that of CA");
  ahead = 0;
  expect(await first({}, ["*:8080"])).toBe(
    "warning CA asks at port 80, and HAProxy listens at *:8080",
  );
  expect(await first({ dns: ["/srv/dns"] }, ["*:8080"])).toMatch(/^ok/);
  directory = { meta: { externalAccountRequired: true } };
  expect(await first()).toBe("failure CA makes an account only for a key that it knows");
  expect(await first({ binding: { kid: "a", hmacKey: "b" } })).toMatch(/^ok/);
  directory = {};
  expect(await first({ ca: undefined })).toMatch(/^failure CA cannot be asked: .*not trusted/);
  expect(await first({ directory: "https://127.0.0.1:1/" })).toMatch(
    /^failure CA cannot be asked: nothing listens there/,
  );
});

/** Where an address of a name leads. */
const address = (text: string, problem = "", unreachable = false) => {
  const type = text.includes(":") ? ("AAAA" as const) : ("A" as const);
  return { address: text, type, problem, unreachable };
};

test("names whose addresses lead elsewhere: IPv4 and IPv6 apart", async () => {
  const answers: Record<string, CheckDocument> = {
    "here.test": { addresses: [address("192.0.2.1"), address("2001:db8::1", "no way", true)] },
    "six.test": { addresses: [address("192.0.2.1"), address("2001:db8::7", "nginx answers")] },
    "away.test": { addresses: [address("192.0.2.9", "nothing listens there")] },
    "far.test": { addresses: [address("192.0.2.8", "it cannot be reached", true)] },
  };
  const check = (name: string): Promise<CheckDocument> => {
    const found = answers[name];
    if (found !== undefined) return Promise.resolve(found);
    throw new GatewayError("usage", `Cannot check where "${name}" leads: it has no address`);
  };
  const names = ["here.test", "six.test", "away.test", "far.test", "none.test"];
  const { level, lines } = await checkNames(names, asked(), (name) => {
    return Promise.resolve(name).then(check);
  });
  expect(level).toBe("warning");
  // Where this runs there may be no DNS.
  expect(lines.filter((line) => line.includes(".test") && !line.includes("CAA"))).toEqual([
    "six.test: its AAAA record does not lead here: at 2001:db8::7, nginx answers, but its A record does",
    "away.test: its A record does not lead here: at 192.0.2.9, nothing listens there",
    "far.test: its A record does not lead here: at 192.0.2.8, it cannot be reached",
    "none.test: it has no address",
  ]);
  expect((await checkNames([], asked(), check)).level).toBe("ok");
});

/** A host with its certificate. */
const row = (name: string, more: Partial<CertificateRow> = {}): CertificateRow => ({
  name,
  routed: true,
  match: "exact",
  source: "file",
  path: `/c/${name}.pem`,
  authority: "",
  key: "ec",
  issuer: "",
  names: [name],
  notBefore: null,
  notAfter: null,
  daysLeft: 40,
  renewal: null,
  underway: false,
  problem: "",
  ...more,
});

/** What is found of these. */
const judge = (
  certificates: CertificateRow[],
  warnings: string[] = [],
  authorities: AuthorityRow[] = [],
) => judgeCertificates({ https: true, certificates, authorities, warnings });

test("certificates: what is wrong is told once", () => {
  expect(judge([row("a.org"), row("b.org", { daysLeft: 9 })])).toEqual({
    level: "ok",
    lines: ["each host has one, and the first ends in 9 days"],
  });
  expect(judge([])).toMatchObject({ level: "ok" });
  const soon = row("a.org", { daysLeft: 2, problem: "it ends soon: renew it" });
  const none = row("b.org", { path: "", daysLeft: null, problem: "no certificate is for it" });
  expect(judge([soon, none], ["/c/a.org.pem (a.org) expires on 2026-12-01: renew it"])).toEqual({
    level: "warning",
    lines: [
      "not all is right with them",
      "/c/a.org.pem (a.org) expires on 2026-12-01: renew it",
      "b.org: no certificate is for it",
      "explain https://HOST tells more",
    ],
  });
  expect(judge([row("a.org", { daysLeft: -1, problem: "it is too old" })]).level).toBe("failure");
});

test("certificates: those who sign the ones of clients", () => {
  const staff: AuthorityRow = {
    name: "Staff CA",
    routes: ["https://a.org/", "https://b.org/", "https://c.org/", "https://d.org/"],
    path: "/ca",
    notAfter: "2027-01-01T00:00:00.000Z",
    daysLeft: 30,
    revoked: "",
    nextList: null,
    problem: "",
    refused: false,
  };
  const of = (more: Partial<AuthorityRow>) =>
    judge([row("a.org", { daysLeft: 9 })], [], [{ ...staff, ...more }]);
  expect(of({}).lines).toEqual([
    "each host has one, and the first ends in 9 days; clients show those of Staff CA",
  ]);
  expect(of({ problem: "it ends soon" })).toEqual({
    level: "warning",
    lines: [
      "not all is right with them",
      "Staff CA, for clients of https://a.org/, https://b.org/, https://c.org/ and 1 more: it ends soon",
      "explain https://HOST tells more",
    ],
  });
  expect(of({ problem: "it has expired", refused: true }).level).toBe("failure");
});
