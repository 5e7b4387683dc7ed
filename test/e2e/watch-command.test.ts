// `routes --watch`: redrawn in place, beside the gateway, whatever HAProxy does meanwhile.

import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { flagsOf, type RouteRow } from "./asking.ts";
import { closeGateways, startGateway, type Gateway } from "./gateway.ts";
import { binary, cleanEnvironment } from "./program.ts";
import { ask } from "./running-haproxy.ts";
import { runInTerminal } from "./terminal.ts";

setDefaultTimeout(120_000);

const CTRL_C = "\u0003";

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "watch/one:1", { expose: [8000] });
});

afterEach(async () => {
  closeGateways();
  await removeAll(engine);
});
afterAll(closeGateways);

/** A gateway with one container, and the words that watch it. */
async function start(version = haproxyVersions()[0]): Promise<{
  gateway: Gateway;
  words: string[];
}> {
  if (version === undefined) throw new Error("HAPROXY_VERSIONS names no version");
  const gateway = await startGateway({ version, dockerHost: engine.dockerHost });
  await run(engine, "watch/one:1", { name: "first" });
  await gateway.served("/watch/one/", "first");
  return { gateway, words: ["routes", "--watch", ...flagsOf(gateway, engine, version)] };
}

test.each(haproxyVersions())(
  "in a terminal it is redrawn in place until Ctrl-C, HAProxy %s",
  async (version) => {
    const { gateway, words } = await start(version);
    const terminal = await runInTerminal(words);
    const text = (): string => terminal.screen.text();
    await gateway.until(() => expect(text()).toMatch(/^ROUTE .*\n\/watch\/one .* first .* up /));

    await run(engine, "watch/one:1", { name: "second" });
    await gateway.until(() => expect(text()).toMatch(/ first .* up .*\n +second .* up /));
    const before = Number(/ first .* (\d+) +\d+$/m.exec(text())?.[1]);
    for (let count = 0; count < 10; count++) await gateway.served("/watch/one/");
    await gateway.until(() => {
      const now = Number(/ first .* (\d+) +\d+$/m.exec(text())?.[1]);
      expect(now).toBeGreaterThanOrEqual(before + 3);
    });
    await engine.docker.getContainer("second").remove({ force: true });
    await gateway.until(() => expect(text()).not.toContain("second"));

    // All of it in one place: one head, and nothing pushed out at the top.
    expect(text().match(/ROUTE/g)).toHaveLength(1);
    expect(text().split("\n")).toHaveLength(2);
    expect(terminal.screen.scrolled).toBe(0);
    expect(terminal.screen.drawn).toBeGreaterThan(3);

    terminal.type(CTRL_C);
    expect(await terminal.exited).toBe(0);
    expect(gateway.running).toBe(true);
    await gateway.served("/watch/one/", "first");
  },
);

test.each(haproxyVersions())("HAProxy %s may be reloaded, restarted and hang", async (version) => {
  const { gateway, words } = await start(version);
  const terminal = await runInTerminal(words);
  const text = (): string => terminal.screen.text();
  const shown = (): Promise<void> =>
    gateway.until(() => expect(text()).toMatch(/^ROUTE .*\n\/watch\/one .* first .* up /));
  await shown();
  const processes = await gateway.haproxy();

  // Reloaded: another worker counts anew.
  for (let count = 0; count < 5; count++) await gateway.served("/watch/one/");
  const reloaded = terminal.screen.drawn;
  process.kill(processes.master, "SIGUSR2");
  await gateway.until(async () => {
    expect((await gateway.haproxy()).worker).not.toBe(processes.worker);
    expect(terminal.screen.drawn).toBeGreaterThan(reloaded + 1);
    expect(text()).toMatch(/ first .* up .* 0 +0$/);
  });

  // It hangs: nobody answers.
  const { master, worker } = await gateway.haproxy();
  process.kill(worker, "SIGSTOP");
  await gateway.until(() => {
    expect(text()).toStartWith(`Cannot ask HAProxy at "${gateway.dir}/haproxy.admin.sock": no`);
    expect(text()).toEndWith("trying again ...");
  });
  process.kill(worker, "SIGCONT");
  await shown();

  // It dies, and the gateway starts it anew.
  for (const pid of [master, worker]) process.kill(pid, "SIGKILL");
  await gateway.until(async () => {
    expect((await gateway.haproxy()).master).not.toBe(master);
  });
  await shown();
  terminal.type(CTRL_C);
  expect(await terminal.exited).toBe(0);
});

test("what the screen has no room for is left out, also when its size changes", async () => {
  const { gateway, words } = await start();
  for (let count = 0; count < 4; count++) await run(engine, "watch/one:1");
  const terminal = await runInTerminal(words, { rows: 5 });
  const text = (): string => terminal.screen.text();
  await gateway.until(() =>
    expect(text()).toMatch(/^ROUTE .*\n.* first .*\n.*\n\.\.\. and 3 more$/),
  );
  const { drawn } = terminal.screen;
  await gateway.until(() => expect(terminal.screen.drawn).toBeGreaterThan(drawn + 1));
  expect(terminal.screen.scrolled).toBe(0);

  terminal.resize(60, 20);
  await gateway.until(() => expect(text().split("\n")).toHaveLength(6));
  for (const line of text().split("\n")) expect(line.length).toBeLessThanOrEqual(60);
  expect(terminal.screen.scrolled).toBe(0);
  terminal.type(CTRL_C);
  expect(await terminal.exited).toBe(0);
});

test("for a program it is one JSON text after the other, and its complaints are apart", async () => {
  const { gateway, words } = await start();
  const child = Bun.spawn([await binary(), ...words, "--json", "--log-format=json"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnvironment(),
  });
  let [out, err] = ["", ""];
  const reading = [
    read(child.stdout, (text) => (out += text)),
    read(child.stderr, (text) => (err += text)),
  ];
  await gateway.until(() => expect(out.split("\n}\n").length).toBeGreaterThan(2));
  const { worker } = await gateway.haproxy();
  process.kill(worker, "SIGSTOP");
  await gateway.until(() => expect(err).toContain("trying again"));
  process.kill(worker, "SIGCONT");
  const before = out.length;
  await gateway.until(() => expect(out.length).toBeGreaterThan(before));
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
  await Promise.all(reading);
  const texts = out.split(/(?<=\n\}\n)/);
  for (const text of texts) {
    const { routes } = JSON.parse(text) as { routes: RouteRow[] };
    expect(routes.map(({ route }) => route)).toEqual(["/watch/one"]);
  }
  for (const line of err.trimEnd().split("\n")) {
    expect(JSON.parse(line)).toMatchObject({ level: expect.stringMatching(/^(warn|error)$/) });
  }
});

test("what is wrong from the start ends it", async () => {
  const { gateway, words } = await start();
  expect(await ask(gateway, "show cli level")).toBe("admin");
  const wrong = words.map((word) => word.replace(gateway.dir, `${gateway.dir}/none`));
  const terminal = await runInTerminal(wrong);
  expect(await terminal.exited).toBe(12);
  expect(terminal.screen.text()).toContain("the flags that the gateway runs with");
});

async function read(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
}
