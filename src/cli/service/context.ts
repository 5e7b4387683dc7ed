// Replaces a docker context for the service, which has neither the home nor the rights of its user.

import { statSync } from "node:fs";
import { join } from "node:path";
import type { Environment } from "../command.ts";
import { chooseDocker } from "../../docker/choice.ts";
import type { Certificate, DockerTls } from "../../docker/host.ts";
import { GatewayError } from "../../lib/errors.ts";
import { parseEngines } from "../engine-options.ts";
import type { RawOptions } from "../options.ts";

/** The variables that say whether and how to use TLS to the Engine. */
export const TLS_VARIABLES = ["DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"];

/** What the user chose. */
interface Choice {
  readonly values: RawOptions;
  readonly env: Environment;
}

/**
 * Replaces the docker context that is in use by `--docker-host` and variables that say the same.
 * @throws GatewayError `usage` if the context has certificates that the service cannot read
 */
export function withoutContext({ values, env }: Choice): Choice {
  const [given] = parseEngines(values);
  if (given === undefined || given.url !== "") return { values, env };
  const { context, address, tls } = chooseDocker("", env);
  if (context === undefined) return { values, env };
  const others = Object.entries(env).filter(([name]) => !TLS_VARIABLES.includes(name));
  if (tls !== undefined) refuseUnreadable(context, tls, values["manage-haproxy"] === true);
  return {
    values: { ...values, "docker-host": address },
    env: { ...Object.fromEntries(others), ...tlsVariables(tls) },
  };
}

function tlsVariables(tls: DockerTls | undefined): Environment {
  if (tls === undefined) return {};
  const { verify, certPath } = tls;
  return { [verify ? "DOCKER_TLS_VERIFY" : "DOCKER_TLS"]: "1", DOCKER_CERT_PATH: certPath };
}

/**
 * Only their owner can read the certificates of a context. The service can if it is root and they
 * are root's. A service that runs HAProxy itself is not root.
 */
function refuseUnreadable(context: string, tls: DockerTls, managed: boolean): void {
  const { certPath, files, verify } = tls;
  const needed: readonly Certificate[] = verify ? ["ca", "cert", "key"] : ["cert", "key"];
  const lacking = needed.find((name) => !files.includes(name));
  const isReadable =
    !managed && files.every((name) => statSync(join(certPath, `${name}.pem`)).uid === 0);
  if (lacking === undefined && isReadable) return;
  const state =
    lacking === undefined
      ? "the service may not read its certificates"
      : `it has TLS without ${lacking}.pem`;
  throw new GatewayError(
    "usage",
    `Cannot install a service with docker context "${context}": ${state}`,
    {
      hint:
        "put ca.pem, cert.pem and key.pem where the service may read them, and name the Engine " +
        "by --docker-host, DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH",
    },
  );
}
