// Reloading a HAProxy that somebody else runs: how, what is checked, and what happens if it fails.

import { afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { removeAll, run } from "../lab/containers.ts";
import { sharedEngine, type Engine } from "../lab/engine.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { importImage } from "../lab/images.ts";
import { startExternal } from "./external.ts";
import { closeGateways, firstVersion, gatewayDir, startGateway } from "./gateway.ts";
import { freePort } from "../lab/ports.ts";
import { runToEnd } from "./program.ts";

setDefaultTimeout(120_000);

let engine: Engine;

beforeAll(async () => {
  engine = await sharedEngine();
  await importImage(engine, "ext/one:1", { expose: [8000] });
  await importImage(engine, "ext/two:1", { expose: [8000] });
});

afterEach(async () => {
  await removeAll(engine);
  closeGateways();
});

/** A shell script in a file. */
function script(dir: string, name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  test("through its master socket", async () => {
    const { options, processes } = await startExternal(version, engine.dockerHost);
    const before = await processes();
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: ["--master-socket", join(options.dir, "master.sock"), "--always-reload"],
    });
    const container = await run(engine, "ext/one:1");
    await gateway.served("/ext/one/", container.name);
    const after = await processes();
    expect(after.master).toBe(before.master);
    expect(after.worker).not.toBe(before.worker);
    // It only writes for this HAProxy, whose end is not the gateway's.
    expect(await gateway.stop()).toBe(0);
    await gateway.served("/ext/one/", container.name);
  });

  test("by a command, split as a shell splits it", async () => {
    const { options, haproxy, processes } = await startExternal(version, engine.dockerHost);
    const dir = join(options.dir, "with a blank");
    mkdirSync(dir);
    const told = join(dir, "told");
    const command = script(
      dir,
      "reload",
      `printf '%s\\n' "$#" "$@" >'${told}'; kill -USR2 ${haproxy.pid}`,
    );
    const words = [`'${command}'`, "plain", "'two words'", '"a \\"b\\""', "'$HOME'", "it\\'s"];
    const before = await processes();
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: [
        "--always-reload",
        `--reload-cmd=${words.join(" ")}`,
        `--master-socket=${join(options.dir, "master.sock")}`,
      ],
    });
    const container = await run(engine, "ext/one:1");
    await gateway.served("/ext/one/", container.name);
    expect(readFileSync(told, "utf8")).toBe(`5\nplain\ntwo words\na "b"\n$HOME\nit's\n`);
    expect((await processes()).worker).not.toBe(before.worker);
  });

  test("that fails: the last good files are back, and it is tried again", async () => {
    const { options, processes } = await startExternal(version, engine.dockerHost);
    const flags = ["--master-socket", join(options.dir, "master.sock")];
    const first = await startGateway({ ...options, dockerHost: engine.dockerHost, flags });
    const old = await run(engine, "ext/one:1");
    await first.served("/ext/one/", old.name);
    await first.until(() => expect(first.config()).toContain(`server ${old.id.slice(0, 12)}`));
    await first.stop();
    const good = first.config();
    const before = await processes();

    // Neither HAProxy's own check nor the gateway's sees that another program has this port.
    const taken = await freePort();
    const squatter = createServer();
    const listening = Promise.withResolvers<void>();
    squatter.listen({ port: taken, host: "127.0.0.1" }, () => listening.resolve());
    await listening.promise;
    const { stdout } = await runToEnd(["template", "path"]);
    const file = join(options.dir, "own.hbs");
    writeFileSync(
      file,
      stdout
        .replace("{{> global}}", "{{> global}}\n    presetenv ADDRESS 127.0.0.1")
        .replace("{{> entrance}}", `{{> entrance}}\n    bind "$\{ADDRESS}:${taken}"`),
    );
    const second = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: [...flags, "--template-file", file],
    });
    const line = await second.logged(/^Cannot reload HAProxy: .*what is served stays as it is/);
    expect(line.level).toBe("error");
    // Before it is tried again, which is after a second.
    await second.until(() => expect(second.config()).toBe(good), 500);
    await second.served("/ext/one/", old.name);
    expect((await processes()).master).toBe(before.master);

    const closed = Promise.withResolvers<void>();
    squatter.close(() => closed.resolve());
    await closed.promise;
    await second.logged(/^reload: /);
    await second.served("/ext/one/", old.name);
    const next = await run(engine, "ext/two:1");
    await second.served("/ext/two/", next.name);
  });
});

describe("a reload command", () => {
  test("that fails: what is served stays, its words are told, and it is tried again", async () => {
    const { options, haproxy } = await startExternal(firstVersion(), engine.dockerHost);
    const ready = join(options.dir, "ready");
    const command = script(
      options.dir,
      "reload",
      `[ -e '${ready}' ] || { echo 'no luck today' >&2; exit 7; }; kill -USR2 ${haproxy.pid}`,
    );
    writeFileSync(ready, "");
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: [
        "--always-reload",
        "--reload-cmd",
        command,
        "--master-socket",
        join(options.dir, "master.sock"),
      ],
    });
    const old = await run(engine, "ext/one:1");
    await gateway.served("/ext/one/", old.name);
    const good = gateway.config();
    await Bun.file(ready).delete();
    const next = await run(engine, "ext/two:1");
    const line = await gateway.logged(`Cannot reload HAProxy with "${command}"`);
    expect(line.message).toContain("it ended with exit status 7");
    expect(line.details).toContain("no luck today");
    await gateway.served("/ext/one/", old.name);
    expect((await gateway.get("/ext/two/")).status).toBe(403);
    await gateway.until(() => expect(gateway.config()).toBe(good));
    // It is not tried again without end in no time.
    expect(gateway.count("Cannot reload HAProxy")).toBeLessThan(5);
    writeFileSync(ready, "");
    await gateway.served("/ext/two/", next.name);
    await gateway.served("/ext/one/", old.name);
  });

  test("is finished at SIGTERM, and the exit status is 0", async () => {
    const { options, haproxy } = await startExternal(firstVersion(), engine.dockerHost);
    const [began, done] = [join(options.dir, "began"), join(options.dir, "done")];
    const slow = `touch '${began}'; sleep 1; kill -USR2 ${haproxy.pid}; touch '${done}'`;
    // There before the gateway, so that its first reload is for this one.
    const container = await run(engine, "ext/one:1");
    const gateway = await startGateway({
      ...options,
      dockerHost: engine.dockerHost,
      flags: ["--always-reload", "--reload-cmd", script(options.dir, "reload", slow)],
    });
    await gateway.until(() => expect(existsSync(began)).toBe(true));
    const ended = gateway.stop("SIGTERM");
    expect(existsSync(done)).toBe(false);
    expect(await ended).toBe(0);
    expect(existsSync(done)).toBe(true);
    expect(gateway.config()).toContain(`server ${container.id.slice(0, 12)}`);
    expect(existsSync(join(options.dir, ".haproxy.cfg.unconfirmed"))).toBe(false);
    await gateway.served("/ext/one/", container.name);
  });

  test("by default is systemd's, which may be missing", async () => {
    const options = {
      dir: gatewayDir(),
      managed: false,
      dockerHost: engine.dockerHost,
      // The host's own systemd, if any, is out of it.
      prefix: [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount --bind /dev/null /bin/systemctl 2>/dev/null; exec "$@"',
        "sh",
      ],
    };
    const flags = ["--manage-haproxy=false", "--master-socket", join(options.dir, "none.sock")];
    const once = await startGateway({ ...options, flags: [...flags, "--once"] });
    expect(await once.exited).toBe(13);
    expect(once.log()).toContain('Cannot run "/bin/systemctl"');
    expect(existsSync(once.output)).toBe(false);
    // What fails later than at the start ends nothing.
    const gateway = await startGateway({ ...options, flags });
    await gateway.logged(/^Cannot run "\/bin\/systemctl".*what is served stays as it is/);
    expect(gateway.running).toBe(true);
    expect(await gateway.stop()).toBe(0);
  });
});
