// An SSH server of the tests' own on loopback, with keys of its own.

import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { connect, eventually } from "../lab/http.ts";
import { freePort } from "../lab/ports.ts";

export interface Sshd {
  port: number;
  /** A folder to have on PATH before others: its `ssh` knows this server and its key. */
  bin: string;
  start(): Promise<void>;
  /** Ends it with all its connections. */
  stop(): Promise<void>;
}

/** Runs sshd with users that it can work with, whatever the host's own are. */
const RUN = `
mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow || exit 1
mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd || exit 1
shift
exec "$@"
`;

/** Prepares a server whose files are in the folder; `root` may log in with the folder's key. */
export async function makeSshd(dir: string): Promise<Sshd> {
  const program = sshdProgram();
  const port = await freePort();
  for (const name of ["host", "user"]) {
    const words = ["-q", "-t", "ed25519", "-N", "", "-f", join(dir, name)];
    const { status, stderr } = spawnSync("ssh-keygen", words, { encoding: "utf8" });
    if (status !== 0) throw new Error(`Cannot make a key with ssh-keygen: ${stderr}`);
  }
  const text = (name: string): string => readFileSync(join(dir, name), "utf8");
  writeFileSync(join(dir, "authorized"), text("user.pub"));
  writeFileSync(join(dir, "known"), `[127.0.0.1]:${port} ${text("host.pub")}`);
  writeFileSync(
    join(dir, "passwd"),
    "root:x:0:0:root:/root:/bin/sh\nsshd:x:74:65534::/run/sshd:/usr/sbin/nologin\n",
  );
  writeFileSync(join(dir, "shadow"), "root:*:19000:0:99999:7:::\n");
  writeFileSync(
    join(dir, "sshd_config"),
    `ListenAddress 127.0.0.1:${port}
HostKey ${dir}/host
AuthorizedKeysFile ${dir}/authorized
PidFile none
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
`,
  );
  writeFileSync(
    join(dir, "ssh_config"),
    `IdentityFile ${dir}/user
IdentitiesOnly yes
UserKnownHostsFile ${dir}/known
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
`,
  );
  const bin = join(dir, "bin");
  mkdirSync(bin);
  const ssh = Bun.which("ssh");
  if (ssh === null) throw new Error("Cannot find ssh: not installed; run test/lab/setup tools");
  writeFileSync(join(bin, "ssh"), `#!/bin/sh\nexec '${ssh}' -F '${dir}/ssh_config' "$@"\n`);
  chmodSync(join(bin, "ssh"), 0o755);

  const command = [program, "-D", "-e", "-f", join(dir, "sshd_config")];
  let child: Bun.Subprocess | undefined;
  return {
    port,
    bin,
    start: async () => {
      child = Bun.spawn(["unshare", "--mount", "sh", "-c", RUN, "sh", dir, ...command], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: Bun.file(join(dir, "sshd.log")),
      });
      await eventually(async () => (await connect({ port })).close());
    },
    stop: async () => {
      if (child === undefined) return;
      const { stdout } = spawnSync("ps", ["-o", "pid=", "--ppid", String(child.pid)]);
      const sessions = stdout.toString().split("\n").map(Number).filter(Boolean);
      for (const pid of [child.pid, ...sessions]) process.kill(pid, "SIGKILL");
      await child.exited;
    },
  };
}

function sshdProgram(): string {
  const cache = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const cached = join(cache, "docker-api-gateway/sshd/usr/sbin/sshd");
  if (existsSync(cached)) return cached;
  const installed = Bun.which("sshd", { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
  if (installed !== null) return installed;
  throw new Error("Cannot find sshd: not installed; run test/lab/setup sshd");
}
