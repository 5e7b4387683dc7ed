// The files of the page at --admin, as they are embedded and served.

import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pageAnswer } from "../../src/api/admin/page.ts";

const FOLDER = join(import.meta.dir, "../../src/api/admin/page");

function asked(path: string, headers: Record<string, string> = {}): Response | undefined {
  return pageAnswer(path, new Request(`http://127.0.0.1${path}`, { headers }));
}

describe("its files", () => {
  const names = readdirSync(FOLDER).filter((name) => !/^(tsconfig.json|index.html)$/.test(name));

  test.each(names)("%s is embedded", async (name) => {
    expect(asked(`/page/${name}`)?.status).toBe(200);
  });

  test.each(["/", ...names.map((name) => `/page/${name}`)])(
    "%s names no other place, and only files that are there",
    async (path) => {
      const text = (await asked(path)?.text()) ?? "";
      expect(text.replaceAll("http://www.w3.org/2000/svg", "")).not.toMatch(
        /(src|href)="(https?:)?\/\/|url\(|@import/,
      );
      const named = [...text.matchAll(/from "([^"]*)"/g)].map(([, name = ""]) => name);
      if (path === "/") {
        const own = [...text.matchAll(/(?:src|href)="(page\/[^"]*)"/g)];
        named.push(...own.map(([, name = ""]) => `/${name}`));
        expect(named.length).toBeGreaterThan(4);
      }
      for (const name of named) {
        const { pathname } = new URL(name, `http://127.0.0.1${path}`);
        expect([pathname, asked(pathname)?.status]).toEqual([pathname, 200]);
      }
    },
  );

  test("nothing else is served", () => {
    for (const path of [
      "/page/",
      "/page/tsconfig.json",
      "/page/../admin.ts",
      "/index.html",
      "/x",
    ]) {
      expect(asked(path)).toBe(undefined);
    }
  });

  test("a browser that has a file does not get it again", async () => {
    const whole = asked("/page/app.js");
    const etag = whole?.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    expect(whole?.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    for (const given of [etag, `W/${etag}`, `"x", ${etag}`]) {
      const same = asked("/page/app.js", { "if-none-match": given });
      expect([same?.status, await same?.text(), same?.headers.get("etag")]).toEqual([
        304,
        "",
        etag,
      ]);
    }
    expect(asked("/page/app.js", { "if-none-match": '"x"' })?.status).toBe(200);
  });

  test("they allow no script and no style in a document, and no other place", () => {
    const policy = asked("/")?.headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    const html = readFileSync(join(FOLDER, "index.html"), "utf8");
    expect(html).not.toMatch(/<script>|<style|\bon\w+=|\bstyle=/);
  });
});
