// The dashboard and the alert rules of docs/monitoring: a real Prometheus scrapes a real gateway, and each
// query finds something there.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, place } from "../lab/authority.ts";
import { cached } from "../lab/cache.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { freePort } from "../lab/ports.ts";
import { closeGateways, gatewayDir, startGateway, type Gateway } from "./gateway.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(90_000);

const PAGES = join(import.meta.dir, "../../docs/monitoring");
const RULES = join(PAGES, "alerts.yml");
const JOB = "docker-api-gateway";

interface Panel {
  title: string;
  targets: { expr: string }[];
}

interface Dashboard {
  panels: Panel[];
  templating: { list: { definition?: string }[] };
}

const dashboard = JSON.parse(readFileSync(join(PAGES, "dashboard.json"), "utf8")) as Dashboard;

/** The queries of the dashboard with what Grafana puts in place of its variables. */
const QUERIES = dashboard.panels.flatMap(({ title, targets }) =>
  targets.map(({ expr }): [string, string] => [
    title,
    expr
      .replaceAll("$__rate_interval", "10s")
      .replaceAll(/"\$(instance|service)"/g, '".*"')
      .replaceAll(/\[(30m|1h)\]/g, "[20s]"),
  ]),
);

function program(name: "prometheus" | "promtool"): string {
  return join(cached("prometheus"), "usr/bin", name);
}

async function judge(...words: string[]): Promise<[number, string]> {
  const tool = Bun.spawn([program("promtool"), ...words], { stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all(
    [tool.stdout, tool.stderr].map((each) => new Response(each).text()),
  );
  return [await tool.exited, said.join("")];
}

test("the alert rules are right, and fire when they should", async () => {
  expect(await judge("check", "rules", RULES)).toEqual([0, expect.stringContaining("SUCCESS")]);
  const cases = join(import.meta.dir, "monitoring/alerts.yml");
  expect(await judge("test", "rules", cases)).toEqual([0, expect.stringContaining("SUCCESS")]);
  const names = [...readFileSync(RULES, "utf8").matchAll(/- alert: (\w+)/g)].map(
    ([, name = ""]) => name,
  );
  const tested = new Set(
    [...readFileSync(cases, "utf8").matchAll(/^ +- alertname: (\w+)/gm)].map(
      ([, name = ""]) => name,
    ),
  );
  expect([...tested].toSorted()).toEqual(names.toSorted());
});

describe.each(haproxyVersions())("HAProxy %s", (version) => {
  let stage: Stage;
  let answering: Bun.Server<undefined>;
  let gateway: Gateway;
  let prometheus: Bun.Subprocess;
  let port: number;

  beforeAll(async () => {
    stage = new Stage();
    answering = Bun.serve({
      hostname: "127.0.0.5",
      port: 8000,
      fetch: () => new Response("hello"),
    });
    stage.set("shop-1", { image: "acme/shop:1", ip: "127.0.0.5", port: 8000 });
    const dir = gatewayDir();
    const authority = await Authority.make();
    mkdirSync(join(dir, "certs"));
    place(join(dir, "certs/a.pem"), (await authority.issue(["a.example.com"])).both);
    const admin = await freePort();
    gateway = await startGateway({
      dockerHost: stage.dockerHost,
      version,
      flags: [
        `--admin=127.0.0.1:${admin}`,
        `--certs=${join(dir, "certs")}`,
        `--listen-https=127.0.0.1:${await freePort()}`,
      ],
    });
    await gateway.logged(/^routed \/acme\/shop/);
    const config = join(dir, "prometheus.yml");
    const scraped = { job_name: JOB, static_configs: [{ targets: [`127.0.0.1:${admin}`] }] };
    writeFileSync(
      config,
      JSON.stringify({
        global: { scrape_interval: "1s", evaluation_interval: "1s" },
        rule_files: [RULES],
        scrape_configs: [scraped],
      }),
    );
    port = await freePort();
    prometheus = Bun.spawn(
      [
        program("prometheus"),
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(dir, "prometheus")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdout: "ignore", stderr: Bun.file(join(dir, "prometheus.log")) },
    );
    // Rates take two values, and something that happened between them.
    await gateway.until(async () => {
      await gateway.get("/acme/shop/");
      stage.start("late-1", { image: "acme/late:1", ip: "127.0.0.5", port: 8000 });
      const [change] = await ask("increase(docker_api_gateway_service_responses_total[20s]) > 0");
      expect(change).toBeDefined();
    });
    stage.end("late-1");
  });

  afterAll(async () => {
    prometheus.kill();
    await prometheus.exited;
    await gateway.stop();
    closeGateways();
    await answering.stop(true);
    await stage.stop();
  });

  async function api<T>(path: string): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`);
    const { data, error } = (await answer.json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(`${path}: ${error}`);
    return data;
  }

  async function ask(query: string): Promise<unknown[]> {
    const { result } = await api<{ result: unknown[] }>(`query?query=${encodeURIComponent(query)}`);
    return result;
  }

  test.each(QUERIES)("%s: %s", async (_, query) => {
    await gateway.until(async () => expect(await ask(query)).not.toEqual([]));
  });

  test("the variables have values", async () => {
    for (const { definition } of dashboard.templating.list) {
      if (definition === undefined) continue;
      const [, metric = "", label] = /^label_values\((\w+).*, (\w+)\)$/.exec(definition) ?? [];
      const values = await api<string[]>(`label/${label}/values?match[]=${metric}`);
      expect(values).not.toEqual([]);
    }
  });

  test("each alert rule is read, and none fires", async () => {
    interface Group {
      rules: { name: string; health: string; state: string; lastError?: string }[];
    }
    await gateway.until(async () => {
      const { groups } = await api<{ groups: Group[] }>("rules");
      const rules = groups.flatMap((group) => group.rules);
      expect(rules.length).toBeGreaterThan(5);
      expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
      expect(rules.filter(({ state }) => state === "firing")).toEqual([]);
    });
  });
});
