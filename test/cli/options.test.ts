// What the user chose: defaults, values, and what is wrong with a wrong one.

import { expect, test } from "bun:test";
import { listenPort, parseOptions, type Options, type RawOptions } from "../../src/cli/options.ts";
import { failureOf } from "../lab/make.ts";

const ACCESS_LOG =
  "such as --access-log json:/var/log/gateway/access.log, json:journal, common:unix:/run/x.sock or json:tcp:127.0.0.1:5170";

const ADMIN = "such as --admin 127.0.0.1:8404 or --admin unix:/run/gateway/admin.sock";

const DEFAULTS: Options = {
  template: { name: "path", file: undefined },
  routing: {
    ports: [8000, 80],
    network: undefined,
    domain: undefined,
    ownPorts: [80],
    labelPrefix: "gateway.",
    onlyEnabled: false,
    compat: "all",
    defaultRule: undefined,
    filters: [],
    claims: [],
  },
  listen: ["*:80"],
  tls: undefined,
  labelFiles: [],
  index: false,
  errorDir: undefined,
  accessLog: undefined,
  acme: undefined,
  admin: undefined,
  haproxy: {
    program: "haproxy",
    outputFile: undefined,
    masterSocket: undefined,
    manageHaproxy: undefined,
    reloadCommand: undefined,
  },
  reload: { wait: { min: 200, max: 2000 }, always: false },
  hold: 10_000,
  mendLinks: true,
  trustedProxies: [],
  proxyProtocol: false,
  engines: [{ name: "", url: "", address: undefined }],
  swarm: "auto",
  once: false,
  log: { level: "info", format: "text" },
};

/** What is other than by default, part by part. */
type Difference = { readonly [Part in keyof Options]?: Partial<Options[Part]> };

test.each<[RawOptions, Difference]>([
  [{}, {}],
  [{ template: "path" }, {}],
  [
    { template: "host", domain: "ex.org" },
    { template: { name: "host" }, routing: { domain: "ex.org" } },
  ],
  [{ domain: "ex.org" }, { template: { name: "host" }, routing: { domain: "ex.org" } }],
  [
    { domain: "API.Example.COM." },
    { template: { name: "host" }, routing: { domain: "api.example.com" } },
  ],
  [{ domain: "localhost" }, { template: { name: "host" }, routing: { domain: "localhost" } }],
  [
    { domain: `${"a".repeat(63)}.b` },
    { template: { name: "host" }, routing: { domain: `${"a".repeat(63)}.b` } },
  ],
  [{ "template-file": "my.hbs" }, { template: { file: "my.hbs" } }],
  [
    { "template-file": "my.hbs", domain: "ex.org" },
    { template: { name: "host", file: "my.hbs" }, routing: { domain: "ex.org" } },
  ],
  [{ "output-file": "/x.cfg" }, { haproxy: { outputFile: "/x.cfg" } }],
  [
    { "reload-cmd": "sv 'hup it' haproxy" },
    { haproxy: { reloadCommand: ["sv", "hup it", "haproxy"] } },
  ],
  [{ listen: "*:8080" }, { listen: ["*:8080"], routing: { ownPorts: [8080] } }],
  [{ listen: ":8080" }, { listen: ["*:8080"], routing: { ownPorts: [8080] } }],
  [{ listen: "127.0.0.1:81" }, { listen: ["127.0.0.1:81"], routing: { ownPorts: [81] } }],
  [{ listen: "[::]:80" }, { listen: ["[::]:80"] }],
  [
    { listen: ["*:80", "[::1]:81"] },
    { listen: ["*:80", "[::1]:81"], routing: { ownPorts: [80, 81] } },
  ],
  [{ listen: "*:80, :81,*:80" }, { listen: ["*:80", "*:81"], routing: { ownPorts: [80, 81] } }],
  [{ "docker-host": "tcp://h" }, { engines: [{ name: "", url: "tcp://h", address: undefined }] }],
  [{ swarm: true }, { swarm: "always" }],
  [{ "no-swarm": true }, { swarm: "never" }],
  [{ ports: "3000" }, { routing: { ports: [3000] } }],
  [{ ports: "3000, 80,3000" }, { routing: { ports: [3000, 80] } }],
  [{ network: "back" }, { routing: { network: "back" } }],
  [{ compat: "" }, { routing: { compat: "all" } }],
  [{ compat: "none" }, { routing: { compat: "none" } }],
  [{ compat: "caddy" }, { routing: { compat: ["caddy"] } }],
  [{ compat: "traefik, caddy" }, { routing: { compat: ["traefik", "caddy"] } }],
  [{ wait: "0ms:0ms" }, { reload: { wait: { min: 0, max: 0 } } }],
  [{ wait: "1s:1m" }, { reload: { wait: { min: 1000, max: 60_000 } } }],
  [{ hold: "0" }, { hold: 0 }],
  [{ hold: "500ms" }, { hold: 500 }],
  [{ hold: "1m" }, { hold: 60_000 }],
  [
    { hold: "5s", "always-reload": true },
    { hold: 0, reload: { always: true } },
  ],
  [{ wait: "100ms" }, { reload: { wait: { min: 100, max: 400 } } }],
  [{ haproxy: "/opt/haproxy" }, { haproxy: { program: "/opt/haproxy" } }],
  [{ "master-socket": "/m.sock" }, { haproxy: { masterSocket: "/m.sock" } }],
  [{ "manage-haproxy": true }, { haproxy: { manageHaproxy: true } }],
  [{ "manage-haproxy": false }, { haproxy: { manageHaproxy: false } }],
  [
    { "manage-haproxy": false, "reload-cmd": "x" },
    { haproxy: { manageHaproxy: false, reloadCommand: ["x"] } },
  ],
  [{ "no-mend-links": true }, { mendLinks: false }],
  [{ "always-reload": true }, { hold: 0, reload: { always: true } }],
  [{ once: true }, { once: true }],
  [{ once: false }, {}],
  [{ "log-level": "debug" }, { log: { level: "debug" } }],
  [{ "log-format": "json" }, { log: { format: "json" } }],
])("%j", (raw, expected) => {
  const parts = Object.entries(DEFAULTS).map(([part, usual]: [string, unknown]) => {
    const other: unknown = { ...expected }[part];
    const isGroup = typeof usual === "object" && !Array.isArray(usual);
    return [part, isGroup ? Object.assign({}, usual, other) : (other ?? usual)];
  });
  expect(parseOptions(raw)).toEqual(Object.fromEntries(parts));
});

/** How HTTPS is served if nothing else is said. */
const HTTPS = {
  listen: ["*:443"],
  certs: [],
  profile: "intermediate",
  strictSni: false,
  redirect: true,
  http3: false,
} as const;

test.each<[RawOptions, Partial<NonNullable<Options["tls"]>>]>([
  [{ certs: ["/a", "/b"] }, { certs: ["/a", "/b"] }],
  [{ "listen-https": ["*:8443", "[::]:8443"] }, { listen: ["*:8443", "[::]:8443"] }],
  [{ acme: "me@example.com" }, {}],
  [
    { certs: "/a", tls: "modern" },
    { certs: ["/a"], profile: "modern" },
  ],
  [
    { certs: "/a", "strict-sni": true },
    { certs: ["/a"], strictSni: true },
  ],
  [
    { certs: "/a", "no-redirect": true },
    { certs: ["/a"], redirect: false },
  ],
  [
    { certs: "/a", http3: true },
    { certs: ["/a"], http3: true },
  ],
])("HTTPS: %j", (raw, expected) => {
  const { tls, routing } = parseOptions(raw);
  expect(tls).toEqual({ ...HTTPS, ...expected });
  // No container is served at a port that is the gateway's.
  const ports = (expected.listen ?? HTTPS.listen).map(listenPort);
  expect(routing.ownPorts).toEqual([80, ...ports]);
});

const LISTEN_HINT = "such as --listen '*:80' or --listen 127.0.0.1:8080";
const HOLD_HINT = "such as --hold 10s (units: ms, s, m); 0: requests do not wait";
const WAIT_HINT = "such as --wait 200ms:2s (units: ms, s, m)";

test.each<[RawOptions, string, string | undefined]>([
  [{ template: "nginx" }, 'Cannot use --template "nginx": it is none of path, host', undefined],
  [{ template: "host" }, "--template host needs a domain", "add --domain api.example.com"],
  [
    { template: "path", domain: "ex.org" },
    "--domain goes with --template host, not with --template path",
    undefined,
  ],
  [
    { template: "host", domain: "ex.org", "template-file": "x" },
    "--template and --template-file exclude each other",
    undefined,
  ],
  [{ domain: "a b" }, 'Cannot use --domain "a b": it is no domain name', "such as api.example.com"],
  [{ domain: "-a" }, 'Cannot use --domain "-a": it is no domain name', "such as api.example.com"],
  [{ domain: "." }, 'Cannot use --domain ".": it is no domain name', "such as api.example.com"],
  [{ domain: "a_b" }, 'Cannot use --domain "a_b": it is no domain name', "such as api.example.com"],
  [{ listen: "80" }, 'Cannot listen on "80": it is not address:port', LISTEN_HINT],
  [{ listen: "*:0" }, 'Cannot listen on "*:0": it is not address:port', LISTEN_HINT],
  [{ listen: "*:65536" }, 'Cannot listen on "*:65536": it is not address:port', LISTEN_HINT],
  [{ listen: "host:80" }, 'Cannot listen on "host:80": it is not address:port', LISTEN_HINT],
  [{ listen: "::1:80" }, 'Cannot listen on "::1:80": it is not address:port', LISTEN_HINT],
  [{ listen: "[:::]:80" }, 'Cannot listen on "[:::]:80": it is not address:port', LISTEN_HINT],
  [
    { listen: "999.1.1.1:80" },
    'Cannot listen on "999.1.1.1:80": it is not address:port',
    LISTEN_HINT,
  ],
  [{ listen: "*:80 ssl" }, 'Cannot listen on "*:80 ssl": it is not address:port', LISTEN_HINT],
  [{ listen: ["*:80", "x"] }, 'Cannot listen on "x": it is not address:port', LISTEN_HINT],
  [
    { ports: "80,http" },
    'Cannot use --ports: "http" is no port number (1 to 65535)',
    "such as --ports 8000,80",
  ],
  [
    { ports: "80," },
    'Cannot use --ports: "" is no port number (1 to 65535)',
    "such as --ports 8000,80",
  ],
  [{ hold: "10" }, 'Cannot use --hold "10": it is no duration', HOLD_HINT],
  [{ hold: "61s" }, 'Cannot use --hold "61s": it is longer than a minute', HOLD_HINT],
  [{ hold: "2h" }, 'Cannot use --hold "2h": it is longer than a minute', HOLD_HINT],
  [{ wait: "2s:1s" }, 'Cannot use --wait "2s:1s": 1s is shorter than 2s', undefined],
  [{ wait: "1s:10s:3" }, 'Cannot use --wait "1s:10s:3": it is not min:max', WAIT_HINT],
  [{ wait: "200" }, 'Cannot use --wait "200": "200" is no duration', WAIT_HINT],
  [{ wait: "1s:" }, 'Cannot use --wait "1s:": "" is no duration', WAIT_HINT],
  [{ wait: "-1s" }, 'Cannot use --wait "-1s": "-1s" is no duration', WAIT_HINT],
  [{ wait: "1h" }, 'Cannot use --wait "1h": "1h" is no duration', WAIT_HINT],
  [
    { "log-level": "loud" },
    'Cannot use --log-level "loud": it is none of debug, info, warn, error',
    undefined,
  ],
  [{ "log-format": "xml" }, 'Cannot use --log-format "xml": it is none of text, json', undefined],
  [
    { "manage-haproxy": true, "reload-cmd": "x" },
    "--manage-haproxy and --reload-cmd exclude each other",
    "a HAProxy that the gateway runs is reloaded by the gateway",
  ],
  [{ "reload-cmd": " " }, "Cannot use --reload-cmd: it is empty", undefined],
  [
    { filter: ["label=a", "status=running"] },
    'Cannot use --filter "status=running": it is not KEY=VALUE with one of label, name, id, network, ancestor',
    "such as --filter label=com.example.web or --filter network=front",
  ],
  [
    { "default-rule": "{{nme}}" },
    'Cannot use --default-rule "{{nme}}": no container has "nme"',
    "such as '/{{container.name}}' or '{{compose.service}}.example.com'",
  ],
  [
    { "default-rule": "/x", domain: "a.org" },
    "--default-rule and --domain exclude each other: both say where a container is served",
    "such as --default-rule '{{image.name}}.a.org'",
  ],
  [
    { "label-files": ["/a", "b"] },
    'Cannot use --label-files "b": it is no path from the root',
    "such as --label-files /srv/gateway",
  ],
  [
    { certs: "certs" },
    'Cannot use --certs "certs": it is no path from the root',
    "such as --certs /etc/certs",
  ],
  [{ "listen-https": "443" }, 'Cannot listen on "443": it is not address:port', LISTEN_HINT],
  [
    { "listen-https": "*:80" },
    'Cannot listen on "*:80" for both HTTP and HTTPS',
    "give each a port of its own",
  ],
  [
    { certs: "/a", tls: "old" },
    'Cannot use --tls "old": it is none of intermediate, modern',
    undefined,
  ],
  [{ swarm: true, "no-swarm": true }, "--swarm and --no-swarm exclude each other", undefined],
  [
    { certs: "/a", http3: true, "proxy-protocol": true },
    "--http3 and --proxy-protocol exclude each other: no proxy passes UDP on so",
    undefined,
  ],
  ...(
    [
      ["tls", "modern"],
      ["strict-sni", true],
      ["http3", true],
      ["no-redirect", true],
    ] as const
  ).map(([flag, value]): [RawOptions, string, string] => [
    { [flag]: value },
    `Cannot use --${flag} alone: nothing is served by HTTPS`,
    "add --certs FOLDER, --acme EMAIL or --listen-https '*:443'",
  ]),
  [
    { "error-dir": "errors" },
    'Cannot use --error-dir "errors": it is no path from the root',
    "such as --error-dir /srv/errors",
  ],
  [
    { "access-log": "/var/log/x.log" },
    'Cannot use --access-log "/var/log/x.log": it begins with neither json: nor common:',
    ACCESS_LOG,
  ],
  ...["json:", "json:x.log", "json:/", "json:unix:x", "json:tcp:a", "json:tcp:a:0"].map(
    (value): [RawOptions, string, string] => [
      { "access-log": value },
      `Cannot use --access-log "${value}": after json: there is no path from the root, journal, unix:PATH or tcp:HOST:PORT`,
      ACCESS_LOG,
    ],
  ),
  ...["0%", "101%", "10", "0.001%", "-1%"].map((value): [RawOptions, string, string] => [
    { "access-log": "json:journal", "access-log-sample": value },
    `Cannot use --access-log-sample "${value}": it is no share from 0.01% to 100%`,
    "such as --access-log-sample 10%; errors have a line in any case",
  ]),
  [{ admin: "8404" }, 'Cannot use --admin "8404": it is not address:port or unix:PATH', ADMIN],
  [
    { admin: "localhost:8404" },
    'Cannot use --admin "localhost:8404": it is not address:port or unix:PATH',
    ADMIN,
  ],
  [{ "admin-host": "a" }, "--admin-host goes with --admin", ADMIN],
  [{ "admin-token-file": "/a" }, "--admin-token-file goes with --admin", ADMIN],
  ...["*:8404", "0.0.0.0:8404", "192.0.2.1:8404", "[::]:8404", "[2001:db8::1]:8404"].map(
    (admin): [RawOptions, string, string] => [
      { admin },
      `Cannot use --admin "${admin}": other machines reach it, so it takes a token`,
      "add --admin-token-file FILE, or use 127.0.0.1",
    ],
  ),
  [
    { admin: "127.0.0.1:80" },
    'Cannot use --admin "127.0.0.1:80": HAProxy listens at that port',
    "name another one",
  ],
  [
    { admin: "127.0.0.1:8404", "admin-host": "a:80" },
    'Cannot use --admin-host "a:80": it is no host name',
    "such as --admin-host gateway.example.com, without a port",
  ],
  [
    { admin: "127.0.0.1:8404", "admin-token-file": "token" },
    'Cannot use --admin-token-file "token": it is no path from the root',
    "such as --admin-token-file /etc/docker-api-gateway/admin.token",
  ],
  [{ "access-log-sample": "10%" }, "--access-log-sample goes with --access-log", ACCESS_LOG],
  [
    { "trusted-proxies": "10.0.0.0/8,x" },
    'Cannot use --trusted-proxies: "x" is not an address or a network',
    "such as --trusted-proxies 10.0.0.0/8,fd00::/8",
  ],
  [
    { compat: "nginx" },
    'Cannot use --compat "nginx": it is none of none, nginx-proxy, traefik, caddy, all',
    undefined,
  ],
  [{ compat: "caddy,all" }, 'Cannot use --compat "caddy,all": none and all stand alone', undefined],
])("%j is refused", (raw, message, hint) => {
  const failure = failureOf("usage", () => parseOptions(raw));
  expect([failure.message, failure.hint]).toEqual([message, hint]);
});

test.each<[string | string[], string[]]>([
  ["label=a=b,c=d", ["label=a=b,c=d"]],
  ["label=a,name=b", ["label=a", "name=b"]],
  [
    ["label=a,name=b", "network=c"],
    ["label=a", "name=b", "network=c"],
  ],
])("the filters %p", (filter, expected) => {
  const { filters } = parseOptions({ filter }).routing;
  expect(filters.map(({ key, value }) => `${key}=${value}`)).toEqual(expected);
});

test.each([
  ["*:80", 80],
  ["127.0.0.1:8080", 8080],
  ["[::1]:443", 443],
])("the port of %s", (address, port) => {
  expect(listenPort(address)).toBe(port);
});

test.each<[string, string | undefined, object]>([
  [
    "json:journal",
    undefined,
    { format: "json", target: { kind: "journal" }, sample: 10_000, sampled: false },
  ],
  [
    "common:/a b/c",
    "12.5%",
    { format: "common", target: { kind: "file", path: "/a b/c" }, sample: 1250, sampled: true },
  ],
  [
    "json:unix:/run/x",
    "100%",
    { format: "json", target: { kind: "unix", path: "/run/x" }, sample: 10_000, sampled: false },
  ],
  [
    "json:tcp:[::1]:5170",
    "0.01%",
    { format: "json", target: { kind: "tcp", host: "::1", port: 5170 }, sample: 1, sampled: true },
  ],
  [
    "json:tcp:logs.lan:1",
    undefined,
    {
      format: "json",
      target: { kind: "tcp", host: "logs.lan", port: 1 },
      sample: 10_000,
      sampled: false,
    },
  ],
])("the access log %s, %s", (value, sample, expected) => {
  const raw = sample === undefined ? {} : { "access-log-sample": sample };
  expect(parseOptions({ "access-log": value, ...raw }).accessLog).toEqual(expected as never);
});

test.each<[RawOptions, Options["admin"]]>([
  [
    { admin: "127.0.0.1:8404", "admin-host": ["A.example.com", "b"] },
    {
      address: { kind: "tcp", host: "127.0.0.1", port: 8404 },
      hosts: ["a.example.com", "b"],
      tokenFile: undefined,
    },
  ],
  [
    { admin: "[::1]:8404" },
    { address: { kind: "tcp", host: "[::1]", port: 8404 }, hosts: [], tokenFile: undefined },
  ],
  [
    { admin: "*:8404", "admin-token-file": "/t" },
    { address: { kind: "tcp", host: "*", port: 8404 }, hosts: [], tokenFile: "/t" },
  ],
  [
    { admin: "unix:/run/a.sock" },
    { address: { kind: "unix", path: "/run/a.sock" }, hosts: [], tokenFile: undefined },
  ],
])("%j: where people and monitoring ask", (raw, expected) => {
  const { admin, routing } = parseOptions(raw);
  expect(admin).toEqual(expected);
  // No container is routed to that port.
  expect(routing.ownPorts).toEqual(expected?.address.kind === "tcp" ? [80, 8404] : [80]);
});
