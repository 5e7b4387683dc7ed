// Servers are taken out of a configuration as text, whatever template wrote it.

import { expect, test } from "bun:test";
import { disableServers } from "../../src/config/fence.ts";

const START = "# first\n\nglobal\n    daemon\n\ndefaults d\n    default-server check\n\n";

/** Takes out every server on this address. */
function without(address: string, config: string): string {
  return disableServers(config, (server) => server.address === address);
}

test("only the servers at that address are marked, and nothing else changes", () => {
  const config = `${START}# one
backend a from d
    server x 10.0.0.1:80 check # its name
    server y 10.0.0.2:80

listen b
    bind :80
	server "x"  10.0.0.1:8080   weight 5
    # server x 10.0.0.1:80
`;
  expect(without("10.0.0.1", config)).toBe(`${START}# one
backend a from d
    server x 10.0.0.1:80 check disabled
    server y 10.0.0.2:80

listen b
    bind :80
	server "x" 10.0.0.1:8080 weight 5 disabled
    # server x 10.0.0.1:80
`);
});

test.each([
  ["no server goes", `${START}backend a\n    server x 10.0.0.2:80\n`],
  ["it is out already", `${START}backend a\n    server x 10.0.0.1:80 disabled\n`],
  [
    "its defaults take it out",
    `${START}backend a\n  default-server disabled\n  server x 10.0.0.1:80\n`,
  ],
  ["there is no section", "# nothing\n"],
  ["there is nothing", ""],
])("where %s the text stays", (_, config) => {
  expect(without("10.0.0.1", config)).toBe(config);
});

test("one that its line takes in again, against its defaults, is taken out", () => {
  const config = "backend a\n  default-server disabled\n  server x 10.0.0.1:80 enabled\n";
  expect(without("10.0.0.1", config)).toBe(
    "backend a\n  default-server disabled\n  server x 10.0.0.1:80 enabled disabled\n",
  );
});

test("servers of two backends with one name each are told apart", () => {
  const config = "backend a\n  server x 10.0.0.1:80\nbackend b\n  server x 10.0.0.2:80\n";
  expect(without("10.0.0.2", config)).toBe(
    "backend a\n  server x 10.0.0.1:80\nbackend b\n  server x 10.0.0.2:80 disabled\n",
  );
});

test("IPv6, and a server without a port", () => {
  const config = "backend a\n  server x [fd00::1]:80\n  server y fd00::2\n";
  expect(without("[fd00::1]", config)).toBe(
    "backend a\n  server x [fd00::1]:80 disabled\n  server y fd00::2\n",
  );
});
