// Why a server is down, in words: by what its check found, and what labels ask for.

import { expect, test } from "bun:test";
import { describeCheck } from "../../src/gateway/checks.ts";

const TLS = { scheme: "https", "https.verify": "true", "https.sni": "a.org" };

test.each([
  ["", {}, "it was not checked yet"],
  ["L4CON", {}, "its port does not answer"],
  ["L4TOUT", { check: "/x" }, "its port does not answer"],
  [
    "L7STS",
    { check: "/x" },
    "its check, GET /x, is answered 404, and 200-399 is wanted (label gateway.check.status)",
  ],
  [
    "L7STS",
    { check: "/x", "check.status": "204" },
    "its check, GET /x, is answered 404, and 204 is wanted (label gateway.check.status)",
  ],
  ["L7TOUT", { check: "/x" }, "its check, GET /x, is not answered in time (label gateway.check)"],
  ["L7RSP", { check: "/x" }, "its port answers, but its check, GET /x, is not answered by HTTP"],
  ["L6TOUT", { scheme: "https" }, "its port answers, but not by TLS (label gateway.scheme)"],
  [
    "L6RSP",
    { scheme: "h2" },
    "its port does not speak TLS, though label gateway.scheme=h2 says so",
  ],
  [
    "L6RSP",
    TLS,
    "its port does not speak TLS, or its certificate is not one for a.org (label gateway.https.sni) from a CA that this machine trusts",
  ],
  [
    "L6RSP",
    { ...TLS, "https.ca": "/srv/ca.pem" },
    "its port does not speak TLS, or its certificate is not one for a.org (label gateway.https.sni) from a CA in /srv/ca.pem (label gateway.https.ca)",
  ],
  ["PROCERR", {}, "its port answers, but not as it should (HAProxy: PROCERR)"],
])("%s with %j", (check, settings, text) => {
  const asked = { settings, prefix: "gateway." };
  expect(describeCheck({ check, checkedStatus: 404 }, asked)).toBe(text);
});

test("no status is told while the next check runs", () => {
  const asked = { settings: { check: "/x" }, prefix: "gateway." };
  expect(describeCheck({ check: "L7STS", checkedStatus: 0 }, asked)).toBe(
    "its check, GET /x, is answered with another status, and 200-399 is wanted (label gateway.check.status)",
  );
});
