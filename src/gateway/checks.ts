// Why HAProxy takes a server for down, in words.

import type { ServerStats } from "../haproxy/runtime/stats.ts";
import type { Settings } from "../model.ts";

/** What a server is asked, as its service's labels say. */
export interface Asked {
  readonly settings: Settings;
  /** What stands before each label. */
  readonly prefix: string;
}

/**
 * The result of a server's last check, as a sentence about it. HAProxy's words for it are those of its
 * management guide, section 9.1 (`check_status`).
 */
export function describeCheck(
  { check, checkedStatus }: Pick<ServerStats, "check" | "checkedStatus">,
  { settings, prefix }: Asked,
): string {
  if (check === "") return "it was not checked yet";
  if (check.startsWith("L4")) return "its port does not answer";
  const target = settings["check"] ?? "/";
  switch (check) {
    case "L6TOUT":
      return `its port answers, but not by TLS (label ${prefix}scheme)`;
    case "L6RSP":
      return whyNoTls(settings, prefix);
    case "L7STS": {
      // While the next check runs, HAProxy has forgotten what the last one was answered.
      const status = checkedStatus === 0 ? "with another status" : `${checkedStatus}`;
      return (
        `its check, GET ${target}, is answered ${status}, and ` +
        `${settings["check.status"] ?? "200-399"} is wanted (label ${prefix}check.status)`
      );
    }
    case "L7TOUT":
      return `its check, GET ${target}, is not answered in time (label ${prefix}check)`;
    case "L7RSP":
      return `its port answers, but its check, GET ${target}, is not answered by HTTP`;
    default:
      return `its port answers, but not as it should (HAProxy: ${check})`;
  }
}

function whyNoTls(settings: Settings, prefix: string): string {
  const label = `label ${prefix}scheme=${settings["scheme"]}`;
  if (settings["https.verify"] !== "true")
    return `its port does not speak TLS, though ${label} says so`;
  const ca = settings["https.ca"];
  const whose =
    ca === undefined ? "a CA that this machine trusts" : `a CA in ${ca} (label ${prefix}https.ca)`;
  const name = `${settings["https.sni"]} (label ${prefix}https.sni)`;
  return `its port does not speak TLS, or its certificate is not one for ${name} from ${whose}`;
}
