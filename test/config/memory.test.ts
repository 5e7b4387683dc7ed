// What is kept of HAProxy's files is no larger than it looks.

import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { parseConfig, type Section } from "../../src/config/sections.ts";
import { inOnePiece } from "../../src/lib/text.ts";

const MEGABYTE = 1e6;

test("a section keeps itself in memory, and not the whole configuration that it was read from", async () => {
  const before = kept();
  const rest = "    # more\n".repeat(50_000);
  let sections: readonly Section[] = [];
  const backends: string[] = [];
  for (let count = 0; count < 200; count++) {
    backends.push(`backend app-${count}\n    server app-${count} 127.0.0.1:80\n`);
    // Each has one more backend than the last, as when containers start one after another.
    const config = Buffer.from(`global\n${rest}${backends.join("")}`).toString();
    sections = parseConfig(config, sections);
  }
  Bun.gc(true);
  await Bun.sleep(100);
  expect(sections.length).toBe(201);
  expect((kept() - before) / MEGABYTE).toBeLessThan(20);
});

test("a text in one piece is the same text, and one string", () => {
  const before = strings();
  const texts = Array.from({ length: 1_000 }, (_, index) => {
    let text = "server";
    for (let word = 0; word < 20; word++) text += ` ${index}-${word}`;
    return inOnePiece(text);
  });
  expect(strings() - before).toBeLessThan(5_000);
  expect(texts[7]).toBe(`server ${Array.from({ length: 20 }, (_, word) => `7-${word}`).join(" ")}`);
});

/** In bytes, what the objects that are in use take, and their texts. */
function kept(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

function strings(): number {
  Bun.gc(true);
  return heapStats().objectTypeCounts["string"] ?? 0;
}
