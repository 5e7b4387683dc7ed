// The page at --admin in a real browser: it is live, tells when the gateway is lost, asks nobody else, and everybody
// can use it, with a phone, a keyboard or a screen reader.

import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import axe from "axe-core";
import { detailsOf } from "../e2e/details.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "../e2e/gateway.ts";
import { Stage } from "../e2e/stage.ts";
import { Authority, place } from "../lab/authority.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { Visitor } from "./visitor.ts";

setDefaultTimeout(90_000);

const TOKEN = "s3cret-0123456789abcdef";
const MANY = 1_000;
const VIEWS = [
  "#/",
  "#/route/%2Facme%2Fshop",
  "#/changes",
  "#/not-routed",
  "#/failures",
  "#/certificates",
];
/** A page is as wide as what is wider than the window. */
const OVERFLOW = "document.documentElement.scrollWidth - innerWidth";

/** Whether something failed as nobody answered. */
function isOfLoss(problem: string): boolean {
  return /ERR_(CONNECTION|INCOMPLETE|EMPTY)/.test(problem);
}

describe.each(haproxyVersions())("the page at --admin, HAProxy %s", (version) => {
  // What does not depend on HAProxy's version is tested once.
  const detail = detailsOf(version);
  let app: Bun.Server<undefined>;
  let stage: Stage;
  let gateway: Gateway;
  let visitor: Visitor;
  let options: { dir: string; flags: string[] };
  let origin: string;

  beforeAll(() => {
    app = Bun.serve({
      hostname: "0.0.0.0",
      port: 0,
      fetch: ({ url }) => new Response("hello", { status: url.endsWith("/bad") ? 500 : 200 }),
    });
  });
  afterAll(() => app.stop(true));

  beforeEach(async () => {
    stage = new Stage();
    const certs = gatewayDir();
    const authority = await Authority.make();
    place(join(certs, "blog.pem"), (await authority.issue(["blog.example.com"])).both);
    const admin = await freePort();
    origin = `http://127.0.0.1:${admin}`;
    const log = `--access-log=json:${join(gatewayDir(), "access.log")}`;
    const https = [log, `--certs=${certs}`, `--listen-https=127.0.0.1:${await freePort()}`];
    options = { dir: gatewayDir(), flags: [`--admin=127.0.0.1:${admin}`, ...https] };
  });

  afterEach(async () => {
    await visitor.leave();
    closeGateways();
    await stage.stop();
    expect([...visitor.asked]).toEqual([origin]);
    // What was asked for when a page is left is not waited for.
    expect(visitor.problems.filter((each) => !each.endsWith("net::ERR_ABORTED"))).toEqual([]);
  });

  /** A container that answers, at an address of its own. */
  function part(image: string, number: number, labels: Record<string, string> = {}) {
    const ip = `127.9.${Math.floor(number / 250)}.${(number % 250) + 1}`;
    return { image, ip, port: app.port ?? 0, labels };
  }

  async function start(more: readonly string[] = []): Promise<void> {
    gateway = await startGateway({
      dockerHost: stage.dockerHost,
      version,
      ...options,
      flags: [...options.flags, ...more],
    });
    await gateway.until(async () => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      expect((await fetch(`${origin}/readyz`, { headers })).status).toBe(200);
    });
  }

  /** Some of all that the page can show. */
  async function startMixed(): Promise<void> {
    stage.set("shop-1", part("acme/shop:1", 1, { "gateway.timeout": "90s" }));
    stage.set("shop-2", { ...part("acme/shop:1", 2), health: "unhealthy" });
    stage.set("blog-1", part("ghost:5", 3, { "gateway.host": "blog.example.com" }));
    stage.set("slow-1", { ...part("acme/slow:1", 4), status: "restarting" });
    stage.set("zine-1", part("acme/zine:1", 5, { "gateway.path": "/acme/shop" }));
    stage.set("cron-1", { image: "acme/cron:1", ip: "127.9.9.9", port: 5432 });
    await start();
    visitor = await Visitor.watch(origin);
  }

  test("routes come and go without a reload of the page", async () => {
    await start();
    visitor = await Visitor.watch(origin);
    const { page } = visitor;
    await page.goto(origin);
    await page.getByRole("heading", { name: "Nothing is served yet" }).waitFor();
    await page.getByText(`curl http://127.0.0.1:${gateway.port}/nginx/`).waitFor();
    await page.evaluate("document.body.dataset.same = 'yes'");
    stage.start("shop-1", part("acme/shop:1", 1));
    const line = page.getByRole("row").filter({ hasText: "/acme/shop" });
    await line.getByRole("cell", { name: "up", exact: true }).waitFor();
    expect(await line.textContent()).toContain("shop-1");
    await page.getByRole("heading", { name: "1 route, and it is up" }).waitFor();
    stage.start("shop-2", part("acme/shop:1", 2));
    await line.getByRole("cell", { name: "2 up" }).waitFor();
    stage.end("shop-1");
    stage.end("shop-2");
    await line.getByRole("cell", { name: "requests wait" }).waitFor();
    await page.getByRole("link", { name: "Changes" }).click();
    await page.getByText("removed").first().waitFor();
    expect(await page.evaluate<string>("document.body.dataset.same")).toBe("yes");
    expect(await page.content()).not.toContain("_spare");
  });

  detail("it says that the gateway is lost, and comes back by itself", async () => {
    stage.set("shop-1", part("acme/shop:1", 1));
    await start();
    visitor = await Visitor.watch(origin);
    const { page } = visitor;
    await page.goto(origin);
    const status = page.getByRole("status");
    await status.filter({ hasText: "Live" }).waitFor();
    await gateway.kill9();
    await status.filter({ hasText: "The gateway is lost" }).waitFor();
    expect(await page.getByRole("row").filter({ hasText: "/acme/shop" }).count()).toBe(1);
    stage.set("blog-1", part("acme/blog:1", 2));
    await start();
    await page.getByRole("row").filter({ hasText: "/acme/blog" }).waitFor();
    await status.filter({ hasText: "Live" }).waitFor();
    expect(await status.filter({ hasText: "lost" }).count()).toBe(0);
    // That nobody was there is what this is about.
    expect(visitor.problems.some(isOfLoss)).toBe(true);
    const others = visitor.problems.filter((each) => !isOfLoss(each));
    visitor.problems.splice(0, Infinity, ...others);
  });

  detail("Docker that is away is told", async () => {
    stage.set("shop-1", part("acme/shop:1", 1));
    await start();
    visitor = await Visitor.watch(origin);
    const { page } = visitor;
    await page.goto(origin);
    await page.getByRole("row").filter({ hasText: "/acme/shop" }).waitFor();
    await stage.stop();
    await page.getByText("Docker does not answer").waitFor();
  });

  detail("a browser asks for the token, and sends it with all that it asks for", async () => {
    const file = join(gatewayDir(), "token");
    writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
    stage.set("shop-1", part("acme/shop:1", 1));
    await start([`--admin-token-file=${file}`]);
    visitor = await Visitor.watch(origin, "another one");
    expect((await visitor.page.goto(origin))?.status()).toBe(401);
    await visitor.leave();
    visitor = await Visitor.watch(origin, TOKEN);
    await visitor.page.goto(origin);
    await visitor.page.getByRole("row").filter({ hasText: "/acme/shop" }).waitFor();
    // It comes by the stream of events.
    stage.start("late-1", part("acme/late:1", 2));
    await visitor.page.getByRole("row").filter({ hasText: "/acme/late" }).waitFor();
    // The browser says of the first answer that it is 401, and asks again by itself.
    visitor.problems.splice(0);
  });

  detail("no script but its own runs, and none of its own is refused", async () => {
    await startMixed();
    const { page } = visitor;
    await page.addInitScript(
      "addEventListener('securitypolicyviolation', (event) => (window.refused ??= []).push(event.violatedDirective))",
    );
    await page.goto(origin);
    for (const view of VIEWS) {
      await page.goto(`${origin}/${view}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
    }
    expect(await page.evaluate("window.refused")).toBe(undefined);
    expect(visitor.problems).toEqual([]);
    await page.evaluate(
      "document.body.append(Object.assign(document.createElement('style'), { textContent: 'a {}' }))",
    );
    await gateway.until(async () => {
      expect(await page.evaluate("window.refused")).toEqual(["style-src-elem"]);
    });
    visitor.problems.splice(0);
  });

  detail(
    "axe finds nothing in any view, in both themes, and nothing is cut on a phone",
    async () => {
      await startMixed();
      const { page } = visitor;
      // Half way from one theme to the other a colour is none of either.
      await page.emulateMedia({ reducedMotion: "reduce" });
      await page.goto(origin);
      await page.getByRole("row").filter({ hasText: "/acme/shop" }).waitFor();
      for (const [width, colorScheme] of [
        [1400, "light"],
        [1400, "dark"],
        [400, "dark"],
      ] as const) {
        await page.setViewportSize({ width, height: 850 });
        await page.emulateMedia({ colorScheme });
        for (const view of VIEWS) {
          await page.goto(`${origin}/${view}`);
          await page.getByRole("heading", { level: 1 }).waitFor();
          for (const summary of await page.locator("summary").all()) await summary.click();
          expect([view, await page.evaluate<number>(OVERFLOW)]).toEqual([view, 0]);
          expect([view, await violations()]).toEqual([view, []]);
        }
      }
      await page.evaluate("document.querySelector('main').remove()");
      expect(await violations()).not.toEqual([]);

      async function violations(): Promise<unknown> {
        // Not by the page, whose policy would refuse it.
        if (!(await page.evaluate<boolean>("'axe' in globalThis"))) await page.evaluate(axe.source);
        return page.evaluate(
          "axe.run(document).then((all) => all.violations.map((each) => [each.id, each.nodes.map(({ html }) => html)]))",
        );
      }
    },
  );

  detail("what is not routed is told with the reason, and explained", async () => {
    await startMixed();
    const { page } = visitor;
    await page.goto(origin);
    await page.getByRole("link", { name: /^Not routed/ }).click();
    await page.getByRole("heading", { name: "Not routed", level: 1 }).waitFor();
    const card = page.getByRole("listitem").filter({ hasText: "zine-1" });
    await card.getByText("/acme/shop belongs to service acme/shop").waitFor();
    await card.getByText("Explain zine-1").click();
    await card.getByText("not routed", { exact: true }).waitFor();
    const cron = page.getByRole("listitem").filter({ hasText: "cron-1" });
    await cron.getByText("label gateway.port=5432 if it does speak HTTP").waitFor();
    await page.getByRole("link", { name: "Certificates" }).click();
    const host = page.getByRole("row").filter({ hasText: "blog.example.com" });
    expect(await host.textContent()).toMatch(/\d+ days? left/);
  });

  test("a request that failed is told with the reason in words", async () => {
    const breaking = createServer((socket) => socket.on("data", () => socket.destroy()));
    await new Promise<void>((resolve) => breaking.listen(0, "127.9.0.9", resolve));
    const { port } = breaking.address() as AddressInfo;
    stage.set("shop-1", { image: "acme/shop:1", ip: "127.9.0.9", port });
    await start();
    visitor = await Visitor.watch(origin);
    const { page } = visitor;
    await page.goto(`${origin}/#/failures`);
    await page.getByText("None, as far as the gateway remembers.").waitFor();
    const { status } = await gateway.get("/acme/shop/pay", { method: "POST" });
    expect(status).toBe(502);
    const line = page.getByRole("listitem").filter({ hasText: "POST /acme/shop/pay" });
    await line
      .getByText("the container closed the connection before its answer · acme/shop · shop-1")
      .waitFor();
    await page.goto(`${origin}/${VIEWS[1]}`);
    await page.getByRole("heading", { name: "Requests that failed" }).waitFor();
    expect(await line.textContent()).toContain("502");
    breaking.close();
  });

  test("a route has its containers, labels and history, and what is asked of it", async () => {
    await startMixed();
    const { page } = visitor;
    await page.goto(`${origin}/${VIEWS[1]}`);
    await page.getByRole("heading", { name: "/acme/shop", level: 1 }).waitFor();
    await page.getByText("1 of 2 up").waitFor();
    await page.getByText("timeout=90s").waitFor();
    const second = page.getByRole("listitem").filter({ hasText: "shop-2" }).first();
    expect(await second.textContent()).toContain("unhealthy");
    await page.getByText("shop-1 as labels of a compose file").click();
    await page.getByText('"gateway.timeout": "90s"').waitFor();
    await page.getByText("Explain this route").click();
    await page.getByText("the longest that matches whole segments").waitFor();
    await gateway.until(async () => {
      await gateway.get("/acme/shop/bad");
      const plot = page.getByRole("img", { name: /^Errors a second: / });
      expect(await plot.getAttribute("aria-label")).toMatch(/: (< )?\d+(\.\d)? in the last minute/);
      expect(await page.locator(".plot.bad .line").getAttribute("d")).toMatch(/^M\d/);
    }, 40_000);
  });

  detail("the theme is the system's until another is chosen, and that is remembered", async () => {
    await startMixed();
    const { page } = visitor;
    const ground = "getComputedStyle(document.body).backgroundColor";
    await page.emulateMedia({ colorScheme: "dark" });
    await page.goto(origin);
    await page.getByRole("radio", { name: "Light" }).waitFor();
    const dark = await page.evaluate<string>(ground);
    await page.getByRole("radio", { name: "Light" }).check();
    const light = await page.evaluate<string>(ground);
    expect(light).not.toBe(dark);
    await page.reload();
    await page.getByRole("row").filter({ hasText: "/acme/shop" }).waitFor();
    expect(await page.evaluate<string>(ground)).toBe(light);
    expect(await page.getByRole("radio", { name: "Light" }).isChecked()).toBe(true);
    await page.getByRole("radio", { name: "As the system has it" }).check();
    expect(await page.evaluate<string>(ground)).toBe(dark);
  });

  detail(
    "of 1,000 routes only those are drawn that are seen, and each is found by the keyboard",
    async () => {
      for (let number = 0; number < MANY; number++) {
        const name = `app-${String(number).padStart(3, "0")}`;
        stage.set(`${name}-1`, part(`acme/${name}:1`, number));
      }
      await start();
      visitor = await Visitor.watch(origin);
      const { page } = visitor;
      await page.goto(origin);
      await page
        .getByRole("heading", { name: "1,000 routes, all up" })
        .waitFor({ timeout: 60_000 });
      const lines = page.locator(".route-line");
      expect(await lines.count()).toBeLessThan(60);
      await page.evaluate("scrollTo(0, document.body.scrollHeight)");
      await page.getByRole("link", { name: "/acme/app-999" }).waitFor();
      expect(await lines.count()).toBeLessThan(60);
      await page.keyboard.press("/");
      await page.keyboard.type("app-73");
      await page.getByText("10 routes found").waitFor();
      expect(await lines.count()).toBe(10);
      await page.getByRole("searchbox").fill("app-738-1");
      await page.getByText("1 route found").waitFor();
      await page.getByRole("link", { name: "/acme/app-738" }).focus();
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "/acme/app-738", level: 1 }).waitFor();
      await page.goBack();
      expect(await page.getByRole("searchbox").inputValue()).toBe("app-738-1");
    },
  );
});
