// The HAProxy program: its version, and its opinion of a configuration.

import { GatewayError } from "../../lib/errors.ts";
import { runProgram } from "../../lib/process.ts";

/** Checking 10,000 backends takes 0.4 s; past this it hangs, in milliseconds. */
const CHECK_TIMEOUT = 30_000;
const INSTALL_HINT =
  "install HAProxy 2.6 or later (apt install haproxy), or name the program with --haproxy";

/**
 * The version of the HAProxy program, such as `2.6.12`.
 * @throws GatewayError `haproxy` where there is none
 */
export async function haproxyVersion(program: string): Promise<string> {
  const { lines } = await runProgram([program, "-v"], CHECK_TIMEOUT).catch((error: unknown) => {
    throw new GatewayError("haproxy", `Cannot find HAProxy "${program}"`, {
      hint: INSTALL_HINT,
      cause: error,
    });
  });
  // Up to 2.3 it calls itself HA-Proxy there.
  const version = /HA-?Proxy version (\d+\.\d+[.\d]*)/i.exec(lines.join("\n"))?.[1];
  if (version !== undefined) return version.replace(/\.$/, "");
  throw new GatewayError("haproxy", `Cannot read the version of "${program}"`, {
    lines,
    hint: INSTALL_HINT,
  });
}

/** The exit status of a check that finds no listener. */
const NO_LISTENER = 2;

/** A configuration cannot be used: another text may do, and the same one will not for now. */
export class RefusedConfig extends GatewayError {}

/**
 * Lets HAProxy check a configuration file without using it.
 * @param shownAs the path to show in HAProxy's lines in place of the file's own
 * @throws RefusedConfig with HAProxy's own lines where it refuses
 */
export async function checkConfig(program: string, path: string, shownAs: string): Promise<void> {
  const result = await runProgram([program, "-c", "-f", path], CHECK_TIMEOUT);
  if (result.timedOut) {
    throw new GatewayError(
      "config",
      `Cannot check configuration "${shownAs}": HAProxy gave no answer in ${CHECK_TIMEOUT / 1000} s`,
    );
  }
  if (result.exitCode === 0) return;
  // It says nothing of it that it would do nothing.
  const why = result.exitCode === NO_LISTENER ? ": it listens nowhere" : "";
  throw new RefusedConfig(
    "config",
    `Cannot use configuration "${shownAs}": HAProxy refuses it${why}`,
    {
      lines: result.lines
        .filter((line) => /ALERT|WARNING/.test(line))
        .map((line) => line.replaceAll(path, shownAs)),
      hint: "docker-api-gateway render prints it",
    },
  );
}
