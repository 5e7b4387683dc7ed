// Remembering: it must never show, whatever was made before.

import { describe, expect, test } from "bun:test";
import { makeDesired, type DesiredSettings } from "../../src/gateway/desired.ts";
import { sameItems } from "../../src/lib/lists.ts";
import { ListCache, WeakCache } from "../../src/lib/weak-cache.ts";
import type { Container, Reach, Snapshot } from "../../src/model.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import { createRouter } from "../../src/routing/routing.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { at, container, HOST, randomNumbers, ROUTING, SETTINGS } from "../lab/make.ts";

test("a value is made once for each object", () => {
  let made = 0;
  const cache = new WeakCache<{ readonly text: string }, string>();
  const [one, other] = [{ text: "a" }, { text: "a" }];
  const upper = (): string[] =>
    [one, other, one].map((each) =>
      cache.get(each, ({ text }) => `${text.toUpperCase()} ${++made}`),
    );
  expect([upper(), upper()]).toEqual([
    ["A 1", "A 2", "A 1"],
    ["A 1", "A 2", "A 1"],
  ]);
});

const wrap = (of: { readonly id: number }) => ({ of });

test.each([
  ["WeakCache", new WeakCache<{ readonly id: number }, { readonly of: object }>()],
  ["ListCache", new ListCache<{ readonly id: number }, { readonly of: object }>()],
])(
  "the values of a list are those of its objects, however the list changes: %s",
  (_name, cache) => {
    const number = randomNumbers(5);
    const random = (below: number): number => Math.floor(number() * below);
    let keys: readonly { readonly id: number }[] = [];
    for (let round = 0; round < 500; round++) {
      const [from, removed, added] = [random(keys.length + 1), random(3), random(3)];
      const fresh = Array.from(
        { length: added },
        (_, id) => keys[random(keys.length + 2)] ?? { id },
      );
      const before = new Map(keys.map((key, index) => [key, cache.getAll(keys, wrap)[index]]));
      const changed = keys.toSpliced(from, removed, ...fresh);
      // Only one of them takes a list that has an object twice.
      keys = cache instanceof ListCache ? [...new Set(changed)] : changed;
      const values = cache.getAll(keys, wrap);
      expect(values.map(({ of }) => of)).toEqual([...keys]);
      for (const [index, key] of keys.entries()) {
        expect(values[index]?.of).toBe(key);
        if (before.has(key)) expect(values[index]).toBe(before.get(key));
      }
    }
    expect(cache.getAll(keys, wrap)).toBe(cache.getAll([...keys], wrap));
  },
);

test.each([
  [[], [], true],
  [[1, 2], [1, 2], true],
  [[1, 2], [2, 1], false],
  [[1], [1, 1], false],
])("%j has the same items as %j: %p", (a: number[], b: number[], same) => {
  expect(sameItems(a, b)).toBe(same);
});

/** A template that looks at everything, in blocks that can be remembered and in such that cannot. */
const CURIOUS = `{{#each backends}}
{{name}} {{#each servers}}{{name}} {{../name}} {{label this "x" "-"}}{{#if disabled}} {{why}}{{/if}}{{/each}}
{{#each servers}}{{address}}:{{port}}{{@index}}{{@root.options.ports.length}};{{/each}}
{{#each hosts}}{{this}} {{else}}no host{{/each}}
{{/each}}
{{#each (sort routes "key")}}{{key}} {{/each}}
{{#map "a"}}{{#each routes}}{{key}} {{backend}}
{{/each}}{{/map}}
{{#each routes}}{{key}} {{backend}}{{/each}}
{{#each routes}}{{#each ../backends}}{{name}} {{../key}};{{/each}}{{/each}}
{{#each backends}}{{name}}{{#map "last"}}{{name}} x{{/map}}{{/each}}
{{#each Guests}}{{Name}} {{IP}}{{/each}} {{Time}}`;

/** One change at random, as time goes by; what does not change stays the same object. */
function change(containers: readonly Container[], random: () => number): Container[] {
  const one = <T>(...items: T[]): T => items[Math.floor(random() * items.length)] as T;
  const index = Math.floor(random() * (containers.length + 1));
  const old = containers[index];
  if (old === undefined) {
    const name = `c${Math.floor(random() * 1e6)}`;
    const id = `${name}${"0".repeat(64)}`.slice(0, 64);
    return [...containers, container(name, { id, image: one("a", "b/a", "c/d:1", "c/d:2", "e") })];
  }
  const changed = one<Container | undefined>(
    undefined,
    { ...old, state: one("running", "paused", "restarting") },
    { ...old, health: one("none", "starting", "healthy") },
    { ...old, stopping: one(0, 5, 6) },
    { ...old, exposed: one<number[]>([], [80], [8000]) },
    { ...old, labels: one<Record<string, string>>({}, { x: "1 2" }, { x: "a\nb" }) },
    { ...old, attachments: [at("bridge", one("172.17.0.2", "172.17.0.3", "10.0.0.1"))] },
    { ...old, networkMode: one("bridge", "host", `container:${containers[0]?.id}`) },
  );
  return changed === undefined ? containers.toSpliced(index, 1) : containers.with(index, changed);
}

describe.each([...Object.entries(TEMPLATES), ["curious", CURIOUS] as const])("%s", (name, text) => {
  test("after random changes, the result with memory is the result without", () => {
    const random = randomNumbers(name.length);
    const template = compileTemplate({ name, text }, PARTIALS);
    const router = createRouter();
    let containers: readonly Container[] = [];
    for (let round = 0; round < 100; round++) {
      containers = change(containers, random);
      const settings: DesiredSettings = {
        ...SETTINGS,
        routing: { ...ROUTING, domain: name === "host" || random() < 0.2 ? "ex.org" : undefined },
      };
      const reach: Reach = random() < 0.1 ? { ...HOST, hostAddress: undefined } : HOST;
      const drivers = { bridge: random() < 0.1 ? "macvlan" : "bridge" };
      const seen: Snapshot = { containers, drivers, gateways: [] };
      const remembered = makeDesired(seen, reach, settings, template, () => String(round), router);
      const fresh = makeDesired(
        structuredClone(seen),
        reach,
        settings,
        compileTemplate({ name, text }, PARTIALS),
        () => String(round),
      );
      expect(remembered).toEqual(fresh);
    }
  });
});

describe("a block over a list looks at what is around it", () => {
  const item = { x: "p", xs: [{ q: 1 }] };
  const render = (text: string) => {
    const partials = {
      part: "{{z}}",
      root: "{{@root.z}}",
      own: "{{x}}",
      deep: "{{> root}}",
    };
    const template = compileTemplate({ name: "t", text }, partials);
    return ["1", "2"].map((z) => {
      // The item is the same object every time, and twice in the list.
      const { config, assets } = template.render({ a: [item, item], b: [item], z }, (name) => name);
      return [
        config.slice(config.indexOf("\n") + 1),
        ...Object.values(assets).map((each) => each.text),
      ].join("|");
    });
  };

  test.each([
    ["{{#each a}}{{x}}{{@index}}{{/each}}", ["p0p1", "p0p1"]],
    ["{{#each a}}{{x}}{{@root.z}}{{/each}}", ["p1p1", "p2p2"]],
    ["{{#each a}}{{x}}{{../z}}{{/each}}", ["p1p1", "p2p2"]],
    ["{{#each a}}{{#each xs}}{{q}}{{../x}}{{/each}}{{/each}}", ["1p1p", "1p1p"]],
    ["{{#each a}}{{#each xs}}{{q}}{{../../z}}{{/each}}{{/each}}", ["1111", "1212"]],
    ["{{#each a}}{{#each xs}}{{q}}{{@../index}}{{/each}}{{/each}}", ["1011", "1011"]],
    ["{{#each a}}{{#if x}}{{../z}}{{/if}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{#with x}}{{../../z}}{{/with}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{lower ../z}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{concat x (lower ../z)}}{{/each}}", ["p1p1", "p2p2"]],
    ["{{#each a}}{{#if (eq ../z '2')}}{{x}}{{/if}}{{/each}}", ["", "pp"]],
    ["{{#each a}}{{> part z=../z}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{> root}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{> own}}{{/each}}", ["pp", "pp"]],
    ["{{#each a}}{{> deep}}{{/each}}", ["11", "22"]],
    ["{{#*inline 'own'}}{{@root.z}}{{/inline}}{{#each a}}{{> own}}{{/each}}", ["11", "22"]],
    ["{{#each a}}{{#map 'm'}}{{x}} {{../z}}{{/map}}{{/each}}", ["|p 1\n", "|p 2\n"]],
    ["{{#each a}}{{#map 'm'}}{{x}} 1{{/map}}{{/each}}", ["|p 1\n", "|p 1\n"]],
    ["{{#each a}}{{#group ../b 'x'}}{{key}}{{/group}}{{/each}}", ["pp", "pp"]],
  ])("%s", (text, expected) => {
    expect(render(text)).toEqual(expected);
  });
});
