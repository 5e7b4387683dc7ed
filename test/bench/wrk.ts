// A load that is as large as the proxy takes: 32 connections that ask again and again.

/** What wrk counted. */
export interface Load {
  readonly requests: number;
  /** Requests a second. */
  readonly rate: number;
}

const CONNECTIONS = 32;

/** Asks for so long. @param core the core that it is kept to, if any */
export async function askManyTimes(url: string, seconds: number, core?: number): Promise<Load> {
  const wrk = Bun.which("wrk");
  if (wrk === null) throw new Error("Cannot find wrk: not installed; run test/lab/setup bench");
  const command = [
    ...(core === undefined ? [] : ["taskset", "-c", String(core)]),
    wrk,
    "--threads=1",
    `--connections=${CONNECTIONS}`,
    `--duration=${seconds}s`,
    url,
  ];
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  return parseWrk(await new Response(child.stdout).text());
}

/** Reads what wrk prints. @throws Error if a request failed, or none was answered */
export function parseWrk(output: string): Load {
  const requests = Number(/(\d+) requests in/.exec(output)?.[1]);
  const rate = Number(/Requests\/sec: +([\d.]+)/.exec(output)?.[1]);
  if (!(requests > 0) || /Non-2xx|Socket errors/.test(output)) throw new Error(output);
  return { requests, rate };
}
