// Claims: how they are written, which place they are about, and who may have it.

import { describe, expect, test } from "bun:test";
import { parseClaim, whyClaimed } from "../../src/routing/claims.ts";
import { at, container } from "../lab/make.ts";

test.each([
  ["example.com=label:team=web", "example.com", "/", { kind: "label", key: "team", value: "web" }],
  ["example.com=label:team", "example.com", "/", { kind: "label", key: "team", value: undefined }],
  ["example.com=label:team=", "example.com", "/", { kind: "label", key: "team", value: "" }],
  ["example.com=label:a=b=c", "example.com", "/", { kind: "label", key: "a", value: "b=c" }],
  ["*.Example.com./x/=network:dmz", "*.example.com", "/x", { kind: "network", name: "dmz" }],
  ["/admin=image:acme/*", "", "/admin", { kind: "image", pattern: "acme/*" }],
  ["/=label:x", "", "/", { kind: "label", key: "x", value: undefined }],
] as const)("%s", (text, host, path, holder) => {
  expect(parseClaim(` ${text} `)).toEqual({ text, host, path, holder });
});

test.each([
  "",
  "example.com",
  "example.com=web",
  "example.com=label:",
  "=label:x",
  "a b=label:x",
  "example.com/../x=label:x",
  "example.com=user:x",
])("%j is no claim", (text) => {
  expect(parseClaim(text)).toBeUndefined();
});

const CLAIMS = [
  "*.example.com=label:team",
  "www.example.com=label:team=web",
  "www.example.com/api=label:team=api",
  "www.example.com/api=image:acme/api",
  "/=image:acme/*",
  "/pub=network:dmz",
];

/** Whether a container with these labels may have a place. */
function may(place: string, labels: Record<string, string>, image = "x"): boolean {
  const claims = CLAIMS.map(parseClaim).filter((each) => each !== undefined);
  expect(claims).toHaveLength(CLAIMS.length);
  const slash = place.indexOf("/");
  const [host, path] = [place.slice(0, slash), place.slice(slash)];
  const attachments = [at(labels["net"] ?? "bridge", "172.17.0.2")];
  const one = container("c", { labels, image, attachments });
  return whyClaimed(one, { host, path }, claims) === undefined;
}

describe("who may have a place", () => {
  test.each<[place: string, labels: Record<string, string>, image: string, allowed: boolean]>([
    // Nobody claims these.
    ["other.org/", {}, "x", true],
    ["example.com/", {}, "x", true],
    // A wildcard claim is about each host of it, and about narrower wildcards.
    ["a.example.com/", {}, "x", false],
    ["a.example.com/", { team: "any" }, "x", true],
    ["a.b.example.com/x", { team: "any" }, "x", true],
    ["*.example.com/", {}, "x", false],
    ["*.b.example.com/", {}, "x", false],
    ["*.com/", {}, "x", true],
    // The narrowest host counts, then the longest path.
    ["www.example.com/", { team: "any" }, "x", false],
    ["www.example.com/", { team: "web" }, "x", true],
    ["www.example.com/x", { team: "web" }, "x", true],
    ["www.example.com/apis", { team: "web" }, "x", true],
    ["www.example.com/api", { team: "web" }, "x", false],
    ["www.example.com/api/v1", { team: "api" }, "x", true],
    // Of several claims to the same place one is enough.
    ["www.example.com/api", {}, "acme/api:1.2", true],
    ["www.example.com/api", {}, "reg.org/acme/api:1.2", false],
    // Without a host they are about the routes of any host.
    ["/foo", {}, "x", false],
    ["/foo", {}, "acme/x:1", true],
    ["/foo", {}, "evil.org/acme/x", false],
    ["/pub/x", {}, "acme/x:1", false],
    ["/pub/x", { net: "dmz" }, "x", true],
  ])("%s, %j, image %s: %p", (place, labels, image, allowed) => {
    expect(may(place, labels, image)).toBe(allowed);
  });

  test("the reason names the claim", () => {
    const claims = ["a.org=label:x", "a.org=network:y"].flatMap((text) => parseClaim(text) ?? []);
    expect(whyClaimed(container("c"), { host: "a.org", path: "/" }, claims)).toBe(
      "--claim a.org=label:x and a.org=network:y",
    );
  });

  test.each([
    ["acme/shop", "acme/shop:1", true],
    ["acme/shop", "acme/shop@sha256:0", true],
    ["acme/shop:1", "acme/shop:1", true],
    ["acme/shop:1", "acme/shop:2", false],
    ["acme/shop", "acme/shopping", false],
    ["*/shop", "acme/shop:3", true],
    ["acme/*-*", "acme/a-b:1", true],
    ["acme/*b*b", "acme/b", false],
    ["*", "anything", true],
    ["reg:5000/*", "reg:5000/a:1", true],
    ["a.b", "axb", false],
  ])("pattern %s, image %s: %p", (pattern, image, allowed) => {
    const claims = [parseClaim(`a.org=image:${pattern}`)].flatMap((each) => each ?? []);
    const place = { host: "a.org", path: "/" };
    expect(whyClaimed(container("c", { image }), place, claims) === undefined).toBe(allowed);
  });
});
