// What testssl.sh, a judge from outside, says of how HTTPS is served.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Authority, place } from "../lab/authority.ts";
import { haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";
import { requestTls } from "../lab/tls-client.ts";
import { TLS_PROFILES } from "../../src/template/tls.ts";
import { closeGateways, startGateway } from "../e2e/gateway.ts";
import { Stage } from "../e2e/stage.ts";

// It tries hundreds of handshakes, which takes a minute.
setDefaultTimeout(600_000);

const NAME = "shop.example.com";

/** What is tried: protocols, ciphers, their order, the certificate, the headers, known attacks. */
const TRIED = ["-p", "-s", "-f", "-P", "-S", "-h", "-U"];

/** What it finds and is no fault, with the reason. */
const NO_FAULT: Readonly<Record<string, string>> = {
  cipher_order:
    "the client chooses, as it knows what its processor is fast at (Mozilla's Server Side TLS)",
  engine_problem: "it is about the openssl that testssl.sh uses, which lacks GOST ciphers",
  cert_revocation: "the authority of the tests names no list of revoked certificates",
  security_headers: "they are the application's, and there is none",
  sessionresumption_ticket: "it cannot tell (WARN); test/e2e/https has a client that comes back",
};

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

afterAll(closeGateways);

// It mostly waits, so all of them go on at a time.
describe.each(haproxyVersions())("the verdict of testssl.sh, HAProxy %s", (version) => {
  test.concurrent.each(TLS_PROFILES)("--tls=%s", async (profile) => {
    const [dir, port, authority] = [labDir("verdict"), await freePort(), await Authority.make()];
    place(join(dir, "certs/shop.pem"), (await authority.issue([NAME])).both);
    writeFileSync(join(dir, "root.pem"), authority.root);
    const stage = new Stage();
    try {
      const gateway = await startGateway({
        version,
        dockerHost: stage.dockerHost,
        flags: [
          `--certs=${join(dir, "certs")}`,
          `--listen-https=127.0.0.1:${port}`,
          `--tls=${profile}`,
        ],
      });
      await gateway.until(async () => {
        expect((await requestTls({ port, name: NAME, ca: authority.root })).problem).toBe("");
      });
      const findings = await judge(dir, port);
      expect(findings.length).toBeGreaterThan(50);
      const bad = findings.filter(({ id, severity }) => {
        return !["OK", "INFO", "LOW"].includes(severity) && NO_FAULT[id] === undefined;
      });
      expect(bad).toEqual([]);
    } finally {
      await stage.stop();
    }
  });
});

/** All that testssl.sh finds. @param dir with the root that it is to trust; its report goes there */
async function judge(dir: string, port: number): Promise<Finding[]> {
  const report = join(dir, "report.json");
  const where = ["--ip=127.0.0.1", "--nodns=none", `--add-ca=${join(dir, "root.pem")}`];
  const how = ["--warnings=off", "--quiet", "--color=0", `--jsonfile=${report}`];
  const child = Bun.spawn(["testssl", ...TRIED, ...where, ...how, `${NAME}:${port}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
    cwd: dir,
    // It looks at what the terminal can do.
    env: { ...process.env, TERM: "dumb" },
  });
  await child.exited;
  return JSON.parse(readFileSync(report, "utf8")) as Finding[];
}
