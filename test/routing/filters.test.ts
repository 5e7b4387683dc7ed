// Which containers --filter takes in, as docker ps does.

import { expect, test } from "bun:test";
import { parseFilter, whyFiltered } from "../../src/routing/filters.ts";
import { route } from "../../src/routing/routing.ts";
import { at, container, HOST, ROUTING, snapshot } from "../lab/make.ts";

const WEB = container("shop-web-1", {
  image: "reg.example.com/acme/shop:1.2",
  labels: { team: "web", "com.example.on": "", tier: "a=b" },
  attachments: [at("bridge", "172.17.0.2"), at("front", "172.18.0.2")],
});

function filters(...texts: string[]) {
  return texts.map((text) => {
    const filter = parseFilter(text);
    if (filter === undefined) throw new Error(`no filter: ${text}`);
    return filter;
  });
}

test.each<[string[], string | undefined]>([
  [[], undefined],
  [["label=team"], undefined],
  [["label=com.example.on"], undefined],
  [["label=team=web"], undefined],
  [["label=tier=a=b"], undefined],
  [["label=team=db"], "--filter label=team=db"],
  [["label=constructor"], "--filter label=constructor"],
  // All labels must be there.
  [["label=team", "label=other"], "--filter label=other"],
  [["name=web"], undefined],
  [["name=^/shop"], undefined],
  [["name=^web"], "--filter name=^web"],
  // One name is enough.
  [["name=db", "name=shop"], undefined],
  [["name=db", "name=cache"], "--filter name=db and --filter name=cache"],
  [["network=front"], undefined],
  [["network=back"], "--filter network=back"],
  [[`id=${WEB.id.slice(0, 12)}`], undefined],
  [["id=x"], "--filter id=x"],
  [["ancestor=reg.example.com/acme/shop:1.2"], undefined],
  [["ancestor=reg.example.com/acme/shop"], "--filter ancestor=reg.example.com/acme/shop"],
  [["ancestor=acme/shop:1.2"], "--filter ancestor=acme/shop:1.2"],
  [[`ancestor=${WEB.imageId}`], undefined],
  // Each kind must let it in.
  [["label=team", "network=back"], "--filter network=back"],
])("%p: %p", (texts, expected) => {
  expect(whyFiltered(WEB, filters(...texts))).toBe(expected);
});

test("an image without a tag is the latest one", () => {
  const latest = container("web", { image: "nginx" });
  expect(whyFiltered(latest, filters("ancestor=nginx:latest"))).toBeUndefined();
  expect(whyFiltered(latest, filters("ancestor=nginx:1"))).toBe("--filter ancestor=nginx:1");
});

test.each(["", "label", "label=", "status=running", "name=(", "Label=x", "=x"])(
  "%p is none",
  (text) => {
    expect(parseFilter(text)).toBeUndefined();
  },
);

test("what is left out is not routed, which nobody need look after", () => {
  const other = container("other", { image: "other" });
  const options = { ...ROUTING, filters: filters("label=team=web") };
  const { services, rejections } = route(snapshot([WEB, other]), HOST, options);
  expect(services.map(({ name }) => name)).toEqual(["acme/shop"]);
  expect(rejections).toMatchObject([
    { container: "other", reason: "--filter label=team=web leaves it out", expected: true },
  ]);
});
