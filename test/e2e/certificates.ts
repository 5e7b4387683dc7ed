// Certificates for an Engine over TLS, as Docker's manual makes them.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Makes an authority, a certificate for a server at 127.0.0.1, called a.org, and one for a client:
 * `ca.pem`, `server.pem`, `server-key.pem`, `cert.pem` and `key.pem`.
 */
export function makeCertificates(dir: string): void {
  openssl(dir, "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2", [
    ["-subj", "/CN=gateway-test"],
    ["-keyout", "ca-key.pem", "-out", "ca.pem"],
  ]);
  sign(dir, "server.pem", "server-key.pem", "subjectAltName=IP:127.0.0.1,DNS:a.org");
  sign(dir, "cert.pem", "key.pem", "extendedKeyUsage=clientAuth");
}

function sign(dir: string, certificate: string, key: string, extension: string): void {
  openssl(dir, "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes", [
    ["-subj", `/CN=${certificate}`, "-keyout", key, "-out", "request.pem"],
  ]);
  writeFileSync(join(dir, "extensions"), `${extension}\n`);
  openssl(dir, "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2", [
    ["-extfile", "extensions", "-out", certificate],
  ]);
}

function openssl(dir: string, command: string, more: readonly (readonly string[])[]): void {
  const words = [...command.split(" "), ...more.flat()];
  const { status, stderr, error } = spawnSync("openssl", words, { cwd: dir, encoding: "utf8" });
  if (error !== undefined) {
    throw new Error("Cannot run openssl: not installed; run test/lab/setup tools", {
      cause: error,
    });
  }
  if (status !== 0) throw new Error(`Cannot make certificates: openssl ${command}: ${stderr}`);
}
