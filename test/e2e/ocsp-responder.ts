// An authority that tells by OCSP whether its certificate was revoked: `openssl ocsp`.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { labDir } from "../lab/leftovers.ts";
import { freePort } from "../lab/ports.ts";

const NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";

/** A running responder, with a certificate that names it. */
export class OcspResponder {
  private constructor(
    /** The key, the certificate and that of its issuer, in PEM. */
    readonly pem: string,
    private readonly child: Bun.Subprocess,
  ) {}

  /** @param name what the certificate is for */
  static async start(name: string): Promise<OcspResponder> {
    const dir = labDir("ocsp");
    const port = await freePort();
    writeFileSync(join(dir, "index.txt"), "");
    writeFileSync(join(dir, "serial"), "1000\n");
    writeFileSync(join(dir, "ca.cnf"), configuration(name, port));
    openssl(dir, `req -x509 ${NEW_KEY} -keyout ca.key -out ca.crt -days 30 -subj /CN=Tests`);
    openssl(dir, `req ${NEW_KEY} -keyout own.key -out own.csr -subj /CN=${name}`);
    openssl(dir, "ca -batch -config ca.cnf -extensions ext -in own.csr -out own.crt -notext");
    const words = `ocsp -index index.txt -port ${port} -rsigner ca.crt -rkey ca.key -CA ca.crt -nmin 60`;
    const child = Bun.spawn(["openssl", ...words.split(" ")], {
      cwd: dir,
      stdout: "ignore",
      stderr: "ignore",
    });
    const files = ["own.key", "own.crt", "ca.crt"].map((file) => join(dir, file));
    return new OcspResponder(files.map((file) => readFileSync(file, "utf8")).join(""), child);
  }

  async stop(): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }
}

function configuration(name: string, port: number): string {
  return `[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.crt
private_key = ca.key
default_md = sha256
default_days = 20
policy = policy
[policy]
commonName = supplied
[ext]
authorityInfoAccess = OCSP;URI:http://127.0.0.1:${port}
subjectAltName = DNS:${name}
`;
}

function openssl(cwd: string, words: string): void {
  const { status, stderr, error } = spawnSync("openssl", words.split(" "), {
    cwd,
    encoding: "utf8",
  });
  if (error !== undefined) {
    throw new Error("Cannot run openssl: not installed; run test/lab/setup tools", {
      cause: error,
    });
  }
  if (status !== 0) throw new Error(`Cannot make certificates: openssl ${words}: ${stderr}`);
}
