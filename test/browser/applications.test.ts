// Proves in a real browser that applications which know nothing of their prefix work below it.

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
import { closeGateways, startGateway, type Gateway } from "../e2e/gateway.ts";
import { removeAll } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { runApplication } from "./applications.ts";
import { Visitor } from "./visitor.ts";

setDefaultTimeout(120_000);

describe.each(haproxyVersions())("applications in a browser, HAProxy %s", (version) => {
  let engine: Engine;
  let gateway: Gateway;
  let visitor: Visitor;

  beforeAll(async () => {
    engine = await sharedEngine();
    await Promise.all([
      ...["shop", "outlet"].map((name) => runApplication(engine, "shop", name)),
      ...["desk", "office", "vault"].map((name) => runApplication(engine, "desk", name)),
      ...["guestbook", "album"].map((name) => runApplication(engine, "guestbook", name)),
    ]);
    gateway = await startGateway({ dockerHost: engine.dockerHost, version });
    for (const name of ["shop", "outlet", "guestbook", "album"])
      await gateway.answers(`/acme/${name}/`, 200);
    for (const name of ["desk", "office", "vault"])
      await gateway.answers(`/acme/${name}/login`, 200);
  });
  afterAll(async () => {
    await removeAll(engine);
    closeGateways();
  });

  beforeEach(async () => {
    visitor = await Visitor.arrive(gateway);
  });
  afterEach(async () => {
    await visitor.leave();
    expect(visitor.problems).toEqual([]);
    // Each application answers below its own path only. HAProxy 2.6 cannot lead a long upload there.
    const strays = visitor.answers.filter((answer) => !/^(\S+) \S+ \/acme\/\1\//.test(answer));
    const uploads = strays.filter((answer) => answer === "guestbook POST /picture");
    expect(strays).toEqual(version === "2.6" ? uploads : []);
  });

  describe("a single-page application, as Vite builds it", () => {
    test("is used from its first page to a purchase and back", async () => {
      const { page } = visitor;
      await visitor.open("/acme/shop");
      expect(visitor.path).toBe("/acme/shop/");
      await page.getByRole("heading", { name: "shop" }).waitFor();
      expect(await visitor.color("header")).toBe("rgb(255, 255, 255)");

      // The page of a product is in a chunk of its own, with a stylesheet and a picture.
      await page.getByRole("link", { name: "Lamp" }).click();
      await page.getByRole("heading", { name: "Lamp" }).waitFor();
      expect(visitor.path).toBe("/acme/shop/products/1");
      expect(await visitor.color("h2")).toBe("rgb(160, 30, 30)");
      const width = `(async ([image]) => (await image.decode(), image.naturalWidth))(document.images)`;
      expect(await page.evaluate<number>(width)).toBe(8);

      await page.getByRole("button", { name: "Buy" }).click();
      await page.getByText("Basket: 1").waitFor();
      await page.goBack();
      await page.getByRole("link", { name: "Table" }).waitFor();
      await page.goForward();
      await page.getByRole("heading", { name: "Lamp" }).waitFor();
    });

    test("is reloaded on a deep link, and opened there", async () => {
      const { page } = visitor;
      await visitor.open("/acme/shop/products/2");
      await page.getByRole("heading", { name: "Table" }).waitFor();
      await page.reload();
      await page.getByRole("heading", { name: "Table" }).waitFor();
      await page.getByRole("link", { name: "All products" }).click();
      await page.getByRole("link", { name: "Lamp" }).waitFor();
      expect(visitor.path).toBe("/acme/shop/");
    });

    test("has its own assets and answers beside another one in another tab", async () => {
      const shop = visitor.page;
      const outlet = await visitor.tab();
      await visitor.open("/acme/shop", shop);
      await visitor.open("/acme/outlet", outlet);
      const sold = Number(await shop.locator("#basket").textContent());
      for (const tab of [shop, outlet]) {
        await tab.getByRole("link", { name: "Table" }).click();
        await tab.getByRole("button", { name: "Buy" }).click();
      }
      await outlet.getByRole("heading", { name: "outlet" }).waitFor();
      await outlet.getByText("Basket: 1").waitFor();
      await shop.getByRole("heading", { name: "shop" }).waitFor();
      await shop.getByText(`Basket: ${sold + 1}`).waitFor();
    });
  });

  describe("an application with sessions, in Express", () => {
    test("is used from login to logout", async () => {
      const { page } = visitor;
      await logIn(visitor, "desk", "Ada");
      expect(await visitor.color("h1")).toBe("rgb(20, 90, 20)");
      expect(await visitor.cookies()).toEqual(["connect.sid /acme/desk"]);

      await page.getByRole("link", { name: "Notes", exact: true }).click();
      await page.getByRole("heading", { name: "Notes of Ada" }).waitFor();
      expect(visitor.path).toBe("/acme/desk/notes");
      await page.getByLabel("Note").fill("Ask & answer, 100 %");
      await page.getByRole("button", { name: "Add" }).click();
      await page.getByRole("listitem").waitFor();
      expect(await page.getByRole("listitem").textContent()).toBe("Ask & answer, 100 %");
      expect(visitor.path).toBe("/acme/desk/notes");

      await page.getByRole("link", { name: "Home" }).click();
      await page.getByRole("link", { name: "Notes by a whole URL" }).click();
      await page.getByRole("heading", { name: "Notes of Ada" }).waitFor();
      expect(visitor.path).toBe("/acme/desk/notes");

      await visitor.open("/acme/desk");
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "Log in" }).waitFor();
      expect(visitor.path).toBe("/acme/desk/login");
      expect(await visitor.cookies()).toEqual([]);
      await visitor.open("/acme/desk/notes");
      expect(visitor.path).toBe("/acme/desk/login");
    });

    test("is used though it tells the browser to send no Referer", async () => {
      await logIn(visitor, "vault", "Ada");
      await visitor.page.getByRole("link", { name: "Notes", exact: true }).click();
      await visitor.page.getByRole("heading", { name: "Notes of Ada" }).waitFor();
      expect(visitor.path).toBe("/acme/vault/notes");
    });

    test("has its own session beside another one with the same cookie", async () => {
      await logIn(visitor, "desk", "Ada");
      await logIn(visitor, "office", "Grace");
      expect((await visitor.cookies()).toSorted()).toEqual([
        "connect.sid /acme/desk",
        "connect.sid /acme/office",
      ]);
      await visitor.open("/acme/desk");
      await visitor.page.getByRole("heading", { name: "Welcome, Ada" }).waitFor();
      await visitor.page.getByRole("button", { name: "Log out" }).click();
      await visitor.page.getByRole("heading", { name: "Log in" }).waitFor();
      await visitor.open("/acme/office/notes");
      await visitor.page.getByRole("heading", { name: "Notes of Grace" }).waitFor();
    });
  });

  describe("an application with forms, in Flask", () => {
    test("is signed and searched", async () => {
      const { page } = visitor;
      await visitor.open("/acme/guestbook");
      expect(visitor.path).toBe("/acme/guestbook/");
      expect(await visitor.color("h1")).toBe("rgb(90, 20, 90)");

      await sign(visitor, "Hello, world");
      expect(visitor.path).toBe("/acme/guestbook/");
      expect(await visitor.cookies()).toEqual(["session /acme/guestbook"]);
      await sign(visitor, "Good bye");
      await page.getByText("Signed by you: 2").waitFor();

      await page.getByLabel("Search").fill("Hello, w");
      await page.getByRole("button", { name: "Find" }).click();
      await page.waitForURL("**/search?*");
      expect(visitor.path).toBe("/acme/guestbook/search?q=Hello%2C+w");
      expect(await page.getByRole("listitem").allTextContents()).toEqual(["Hello, world"]);
      // A message is flashed once.
      expect(await page.getByRole("status").count()).toBe(0);

      await page.getByRole("link", { name: "All messages" }).click();
      await page.waitForURL("**/acme/guestbook/");
      expect(await page.getByRole("listitem").count()).toBe(2);
    });

    test("is sent a file", async () => {
      const { page } = visitor;
      await visitor.open("/acme/guestbook");
      const buffer = Buffer.alloc(5_000_000);
      const file = { name: "tree.jpg", mimeType: "image/jpeg", buffer };
      await page.getByLabel("Picture").setInputFiles(file);
      await page.getByRole("button", { name: "Send" }).click();
      await page.getByText("Got 5000000 bytes").waitFor();
      expect(visitor.path).toBe("/acme/guestbook/");
    });

    test("has its own session beside another one", async () => {
      await visitor.open("/acme/guestbook");
      await sign(visitor, "One");
      await visitor.open("/acme/album");
      await visitor.page.getByText("Signed by you: 0").waitFor();
      await sign(visitor, "Two");
      await visitor.page.getByText("Signed by you: 1").waitFor();
      expect(await visitor.page.getByRole("listitem").allTextContents()).toEqual(["Two"]);
    });
  });
});

async function logIn(visitor: Visitor, name: string, user: string): Promise<void> {
  await visitor.open(`/acme/${name}`);
  expect(visitor.path).toBe(`/acme/${name}/login`);
  await visitor.page.getByLabel("Name").fill(user);
  await visitor.page.getByRole("button", { name: "Log in" }).click();
  await visitor.page.getByRole("heading", { name: `Welcome, ${user}` }).waitFor();
  expect(visitor.path).toBe(`/acme/${name}/`);
}

async function sign({ page }: Visitor, message: string): Promise<void> {
  await page.getByLabel("Message").fill(message);
  await page.getByRole("button", { name: "Sign" }).click();
  await page.getByText("Thank you for your message").waitFor();
}
