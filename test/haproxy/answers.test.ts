// What HAProxy answers, as recorded from 2.6.12, 3.0.11, 3.2.26 and 3.4.7.

import { describe, expect, test } from "bun:test";
import { parseProcesses } from "../../src/haproxy/process/master.ts";
import { readServerStates } from "../../src/haproxy/process/server-states.ts";
import { failureOf } from "../lab/make.ts";

const HEAD = "#<PID>          <type>          <reloads>       <uptime>        <version>      ";

function row(pid: number, type: string, reloads: string, uptime: string, version: string): string {
  return [pid, type, reloads, uptime, version].map((word) => String(word).padEnd(15)).join(" ");
}

/** The answer to `show proc`; up to 3.0 it ends with the programs that the master runs besides. */
function answer(version: string, ...lines: string[]): string {
  const isOld = version.startsWith("2.6") || version.startsWith("3.0");
  return [HEAD, ...lines, ...(isOld ? ["# programs"] : []), "", ""].join("\n");
}

describe.each(["2.6.12-1+deb12u4", "3.0.11-1+deb13u3", "3.2.26-1", "3.4.7-1"])("%s", (version) => {
  const master = (reloads: string): string => row(11035, "master", reloads, "1d02h03m04s", version);
  const worker = (pid: number, reloads: string, uptime: string): string =>
    row(pid, "worker", reloads, uptime, version);

  test("just started", () => {
    const text = answer(
      version,
      master("0 [failed: 0]"),
      "# workers",
      worker(11038, "0", "0d00h00m00s"),
    );
    expect(parseProcesses(text)).toEqual({
      master: 11035,
      reloads: 0,
      failed: 0,
      workers: [{ pid: 11038, uptime: 0 }],
    });
  });

  test("reloaded, with the old worker still there", () => {
    const text = answer(
      version,
      master("1 [failed: 0]"),
      "# workers",
      worker(11042, "0", "1d01h01m01s"),
      "# old workers",
      worker(11038, "1", "2d00h00m00s"),
    );
    expect(parseProcesses(text)).toEqual({
      master: 11035,
      reloads: 1,
      failed: 0,
      workers: [{ pid: 11042, uptime: 90_061 }],
    });
  });
});

test("a failed reload: 2.6 and 3.0 go on counting the worker among the new ones", () => {
  const text = answer(
    "2.6",
    row(11035, "master", "2 [failed: 1]", "0d00h00m09s", "2.6"),
    "# workers",
    row(11042, "worker", "1", "0d00h00m05s", "2.6"),
  );
  const workers = [{ pid: 11042, uptime: 5 }];
  expect(parseProcesses(text)).toEqual({ master: 11035, reloads: 2, failed: 1, workers });
});

test("a failed reload: 3.2 and 3.4 have none but old ones then", () => {
  const text = answer(
    "3.4",
    row(11035, "master", "12 [failed: 11]", "0d00h00m09s", "3.4"),
    "# workers",
    "# old workers",
    row(11042, "worker", "1", "0d00h00m05s", "3.4"),
  );
  expect(parseProcesses(text)).toEqual({ master: 11035, reloads: 12, failed: 11, workers: [] });
});

test("the programs of the master are no workers", () => {
  const text = answer(
    "2.6",
    row(1, "master", "0 [failed: 0]", "0d00h00m01s", "2.6"),
    "# workers",
    row(2, "worker", "0", "0d00h00m01s", "2.6"),
    "# programs",
    row(3, "dataplane", "0", "0d00h00m01s", "-"),
  );
  expect(parseProcesses(text).workers).toEqual([{ pid: 2, uptime: 1 }]);
});

test.each(["", "Unknown command: 'show proc'", HEAD])("%j is no answer to it", (text) => {
  const { message } = failureOf("haproxy", () => parseProcesses(text));
  expect(message).toBe(`Cannot read HAProxy's processes: it answered "${text}"`);
});

describe("show servers state", () => {
  const head =
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight " +
    "srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health " +
    "srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord " +
    "srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n";

  test.each<[string, string, string, object]>([
    [
      "up",
      "3 foo:bar 1 web-1:9fdd 172.17.0.2 2 0 1 1 10 6 3 4 6 0 0 0 - 8000 - 0 0 - - 0",
      "foo:bar/web-1:9fdd",
      { address: "172.17.0.2", port: "8000", withoutRequests: false },
    ],
    [
      "down",
      "3 b 1 s1 127.0.0.1 0 0 1 1 0 8 2 0 6 0 0 0 - 1 - 0 0 - - 0",
      "b/s1",
      { address: "127.0.0.1", port: "1", withoutRequests: false },
    ],
    [
      "in maintenance",
      "3 b 1 s1 fd00::1 0 1 1 1 0 8 2 0 6 0 0 0 - 80 - 0 0 - - 0",
      "b/s1",
      { address: "fd00::1", port: "80", withoutRequests: true },
    ],
    [
      "drained",
      "3 b 1 s1 fd00::1 2 8 1 1 0 8 2 0 6 0 0 0 - 80 - 0 0 - - 0",
      "b/s1",
      { address: "fd00::1", port: "80", withoutRequests: true },
    ],
    [
      "enabled since it was loaded as disabled",
      "3 b 1 s1 fd00::1 2 4 1 1 0 6 3 2 6 0 0 0 - 80 - 0 0 - - 0",
      "b/s1",
      { address: "fd00::1", port: "80", withoutRequests: false },
    ],
    [
      "changed by another thread, whose second has begun already",
      "3 b 1 s1 fd00::1 2 0 1 1 -1 6 3 4 6 0 0 0 - 80 - 0 0 - - 0",
      "b/s1",
      { address: "fd00::1", port: "80", seconds: -1, isUp: true },
    ],
    [
      "disabled since it was loaded",
      "3 b 1 s1 fd00::1 0 5 1 1 0 8 2 0 6 0 0 0 - 80 - 0 0 - - 0",
      "b/s1",
      { address: "fd00::1", port: "80", withoutRequests: true },
    ],
  ])("a server that is %s", (_, line, key, expected) => {
    const states = readServerStates(`${head}${line}\n\n`);
    expect([...states.keys()]).toEqual([key]);
    expect(states.get(key)).toMatchObject({ ...expected, line });
  });

  test.each(["", head, `${head}3 b 1 s1 127.0.0.1\n`, "Can't find backend.\n"])(
    "%j has none",
    (text) => {
      expect(readServerStates(text).size).toBe(0);
    },
  );
});
