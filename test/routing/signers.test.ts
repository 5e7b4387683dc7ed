// Certificates of those who sign, and lists of what is revoked, that have expired or are missing: who is kept out is
// told.

import { expect, test } from "bun:test";
import { route } from "../../src/routing/routing.ts";
import { withFiles } from "../../src/routing/settings/files.ts";
import { withSigners } from "../../src/routing/settings/signers.ts";
import type { LabelFile, Model } from "../../src/model.ts";
import { Authority } from "../lab/authority.ts";
import { labels } from "../lab/labels.ts";
import { container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const DAY = 24 * 3_600_000;

const authority = await Authority.make();
const stranger = await Authority.make("Other CA");
const FILES: Readonly<Record<string, LabelFile>> = {
  "/ca": { text: authority.root },
  "/two": { text: authority.root + stranger.root },
  "/crl": { text: await authority.revoked() },
};

function model(own: Record<string, string>): Model {
  const web = container("web", { labels: labels({ host: "shop.example.com", ...own }) });
  const made = route(snapshot([web]), HOST, ROUTING);
  return withFiles(made, (path) => FILES[path] ?? { problem: "none" }, "gateway.");
}

const ENDING = "nobody with a certificate of that authority gets in until there is a new one";

test("a list that has expired", () => {
  const made = model({ "mtls.ca": "/ca", "mtls.crl": "/crl" });
  expect(withSigners(made, Date.now())).toBe(made);
  const later = Date.now() + 31 * DAY;
  const { services, warnings } = withSigners(made, later);
  const problem = expect.stringMatching(
    new RegExp(
      `gateway\\.mtls\\.crl="/crl": its list of Tests Test CA expired on 20..-..-..: ${ENDING}$`,
    ),
  );
  expect(warnings).toEqual([problem]);
  expect(services[0]?.fileProblems).toEqual([problem]);
  // It is told once, and makes nothing anew.
  expect(withSigners(made, later + DAY).services[0]).toBe(services[0] as never);
});

test("an authority whose own certificate has expired", () => {
  const made = model({ "mtls.ca": "/ca" });
  const { warnings } = withSigners(made, Date.now() + 401 * DAY);
  expect(warnings).toEqual([
    expect.stringMatching(
      new RegExp(`gateway\\.mtls\\.ca="/ca": Tests Test CA expired on 20..-..-..: ${ENDING}$`),
    ),
  ]);
});

test("an authority without a list", () => {
  const made = model({ "mtls.ca": "/two", "mtls.crl": "/crl" });
  expect(withSigners(made, Date.now()).warnings).toEqual([
    `service foo/bar (container web): label gateway.mtls.crl="/crl": it has no list of Tests Other CA: ${ENDING}`,
  ]);
});

test("where nobody looks at lists, all is the same object", () => {
  const made = model({ "mtls.ca": "/ca" });
  expect(withSigners(made, Date.now())).toBe(made);
});
