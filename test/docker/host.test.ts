// DOCKER_HOST and its companions, read as the docker program reads them.

import { describe, expect, test } from "bun:test";
import { parseDockerHost, parseDockerTls } from "../../src/docker/host.ts";
import { failureOf } from "../lab/make.ts";

const SOCKET = "/var/run/docker.sock";

test.each([
  ["", SOCKET],
  ["  ", SOCKET],
  ["unix://", SOCKET],
  ["unix:///x", "/x"],
  ["unix:///run/user/1000/docker.sock", "/run/user/1000/docker.sock"],
  ["UNIX:///X", "/X"],
  [" unix:///x ", "/x"],
])("%j is a unix socket", (text, path) => {
  expect(parseDockerHost(text, false)).toEqual({ kind: "unix", path });
});

test.each([
  ["tcp://127.0.0.1:4243", false, "127.0.0.1:4243", ""],
  ["tcp://:4243", false, "127.0.0.1:4243", ""],
  ["tcp://", false, "127.0.0.1:2375", ""],
  ["tcp://", true, "127.0.0.1:2376", ""],
  ["tcp://docker.example.com", false, "docker.example.com:2375", ""],
  ["tcp://docker.example.com", true, "docker.example.com:2376", ""],
  ["tcp://docker.example.com:443", true, "docker.example.com:443", ""],
  ["tcp://h:", false, "h:2375", ""],
  ["tcp://h:1/", false, "h:1", ""],
  ["tcp://h:1/proxy/docker/", false, "h:1", "/proxy/docker"],
  ["tcp://[::1]:4243", false, "[::1]:4243", ""],
  ["tcp://[fd00::1]", false, "[fd00::1]:2375", ""],
])("%j with TLS %p is %s%s", (text, tls, authority, basePath) => {
  expect(parseDockerHost(text, tls)).toEqual({ kind: "tcp", authority, basePath });
});

test.each([
  ["ssh://me@host", "me@host", "", SOCKET],
  ["ssh://host", "host", "", SOCKET],
  ["ssh://host/", "host", "", SOCKET],
  ["ssh://me@host:2222", "me@host", "2222", SOCKET],
  ["ssh://me@host:22/run/user/1/docker.sock", "me@host", "22", "/run/user/1/docker.sock"],
  ["ssh://me@[fd00::1]:22", "me@fd00::1", "22", SOCKET],
])("%j goes through ssh", (text, destination, port, path) => {
  expect(parseDockerHost(text, false)).toEqual({ kind: "ssh", destination, port, path });
});

test.each([
  ["tcp://h:1:2", "it is not host:port"],
  ["tcp://h:x", "it is not host:port"],
  ["tcp://me@h:1", "it is not host:port"],
  ["tcp://a b:1", "it is not host:port"],
  ["tcp://h?x", "it is not host:port"],
  ["tcp://::1:2375", "it is not host:port"],
  ["tcp://h:0", "0 is no port number (1 to 65535)"],
  ["tcp://h:65536", "65536 is no port number (1 to 65535)"],
  ["foo://", "protocol foo is not supported"],
  ["http://h:1", "protocol http is not supported"],
  ["npipe:////./pipe/docker_engine", "protocol npipe is not supported"],
  ["fd://", "protocol fd is not supported"],
  ["/var/run/docker.sock", "it names no protocol"],
  ["h:2375", "it names no protocol"],
  ["unix:/x", "it names no protocol"],
  ["ssh://", "it is not user@host"],
  ["ssh://me@", "it is not user@host"],
  ["ssh://me:secret@host", "it is not user@host"],
  // What starts with a dash would be a flag of the ssh program.
  ["ssh://-oProxyCommand=x", "it is not user@host"],
  ["ssh://-oProxyCommand=x@host", "it is not user@host"],
  ["ssh://me@-host", "it is not user@host"],
])("%j is refused: %s", (text, state) => {
  const { message, hint } = failureOf("usage", () => parseDockerHost(text, false));
  expect(message).toBe(`Cannot use Docker host "${text}": ${state}`);
  expect(hint).toBe("use unix:///path, tcp://host:port or ssh://user@host");
});

describe("TLS", () => {
  const [all, own] = [
    ["ca", "cert", "key"],
    ["cert", "key"],
  ];
  test.each([
    [{}, undefined],
    [{ DOCKER_TLS_VERIFY: "" }, undefined],
    [{ DOCKER_CERT_PATH: "/c" }, undefined],
    [{ DOCKER_TLS_VERIFY: "1" }, { certPath: "/d", files: all, verify: true }],
    // As the docker program has it: any text is yes.
    [{ DOCKER_TLS_VERIFY: "0" }, { certPath: "/d", files: all, verify: true }],
    [
      { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/c" },
      { certPath: "/c", files: all, verify: true },
    ],
    [
      { DOCKER_TLS: "1", DOCKER_CERT_PATH: "/c" },
      { certPath: "/c", files: own, verify: false },
    ],
    [
      { DOCKER_TLS: "1", DOCKER_TLS_VERIFY: "1" },
      { certPath: "/d", files: all, verify: true },
    ],
  ])("%j", (env: Record<string, string>, tls) => {
    const found = parseDockerTls(env, "/d");
    if (tls === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject(tls);
  });
});
