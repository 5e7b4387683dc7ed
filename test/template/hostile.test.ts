// Random and hostile labels: HAProxy takes whatever comes of them, and no line of it is theirs.

import { describe, expect, test } from "bun:test";
import { basename, join } from "node:path";
import { writeFileSync } from "node:fs";
import { mapsOf } from "../../src/config/map-file.ts";
import { LabelFiles } from "../../src/gateway/label-files.ts";
import { makeDesired } from "../../src/gateway/desired.ts";
import { PARTIALS, TEMPLATES } from "../../src/template/built-in.ts";
import { compileTemplate } from "../../src/template/compile.ts";
import type { Container, Files } from "../../src/model.ts";
import { haproxyProgram, haproxyVersions } from "../lab/haproxy.ts";
import { labDir } from "../lab/leftovers.ts";
import { namedFiles } from "../lab/named-files.ts";
import { container, HOST, randomNumbers, SETTINGS, snapshot } from "../lab/make.ts";
import { Dice, randomTheirs } from "../routing/compat/random.ts";

const KEYS = [
  "host",
  "path",
  "rewrite",
  "strip",
  "service",
  "port",
  "network",
  "enable",
  "weight",
  "backup",
  "maxconn",
  "split",
];
/** Those of a container whose bytes are forwarded. */
const TCP = ["tcp", "tcp", "tcp.sni"];
/** Those about the servers of a service, which a `defaults` section has. */
const SETTINGS_OF_SERVERS = [
  "timeout",
  "timeout.connect",
  "timeout.tunnel",
  "queue",
  "balance",
  "check",
  "check.interval",
  "check.status",
  "check.host",
  "sticky",
  "sticky.secure",
  "sticky.samesite",
  "scheme",
  "slowstart",
  "compress",
  "https.verify",
  "https.sni",
  "https.ca",
  "fcgi.root",
  "fcgi.index",
  "errors.404",
  "errors.5xx",
];
/** Those about requests and answers. */
const RULES = [
  "allow",
  "deny",
  "auth",
  "auth.file",
  "auth.forward",
  "rate",
  "rate.burst",
  "body",
  "body.unknown",
  "cors",
  "cors.methods",
  "cors.headers",
  "cors.credentials",
  "cors.maxage",
  "redirect",
  "redirect.code",
  "hsts",
  "headers.request.X-A",
  "headers.response.x_b",
  "headers.response.Connection",
  "headers.request. ",
  "headers.request.a\nb",
];
const NAMES = [
  ...KEYS,
  ...TCP,
  ...KEYS.map((key) => `route.a.${key}`),
  ...KEYS.map((key) => `route.b-1.${key}`),
  ...SETTINGS_OF_SERVERS,
  ...RULES,
  ...["path", ...RULES].map((key) => `route.b-1.${key}`),
  ...["path", "port", ...SETTINGS_OF_SERVERS].map((key) => `route.a.${key}`),
  "route.a",
  "route..path",
  "route.a\nb.path",
  "__proto__",
  "constructor",
  "toString",
];
/** Files that labels may name. */
const PAGES = labDir("pages");
for (const name of ["page", "page.html", "o'ther.json"]) {
  writeFileSync(join(PAGES, name), "<%[src]>\n  backend evil\n");
}
const FILES = new LabelFiles([PAGES]);
const HASH = "$2y$05$abcdefghijklmnopqrstuuDIEddBSuRWBBEY6g5zv60IAP5bSSfki";

/** Parts of values: those that are right, and those that mean something to HAProxy or a map. */
const PARTS = (
  "https://a.org https://b.org:81/ PUT x-a 10m allow 5/1m 1000000/1s 301 https:// 10.0.0.0/8 ::1 fd00::/8 0.0.0.0/0 https h2 h2c lax none id_1 /health?x 200-299,401 200 a.org:80 fcgi fcgi fcgi /srv/www app.php leastconn hash:x-user hash:cookie:id source 7 0 256 1s 5m 90ms 20% 1% a.org *.a.org *.b.a.org /x /x/y /a%20b / /app web true false 8000 " +
  "| || > |> # % %[src] %% ; ' \" ` $ ${HOME} \\ \\\\ { } ( ) < << <<EOF ? & * ~ ! @ : , = .. ../ %2e%2e " +
  "backend frontend global _spare_1 _nowhere _wait server:1 service::web [::1] 0 -1 65536 é 💥"
)
  .split(" ")
  .concat([
    `bob:${HASH}`,
    join(PAGES, "page"),
    join(PAGES, "page.html"),
    join(PAGES, "o'ther.json"),
    `al@x-y.z:${HASH},`,
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\u2028",
    "\nbackend evil\n",
    "a".repeat(300),
    "",
  ]);

/** A label of which the value may be anything. */
function randomLabels(random: () => number): Record<string, string> {
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const text = (): string =>
    Array.from({ length: 1 + random() * 3 }, () =>
      random() < 0.9 ? one(PARTS) : String.fromCharCode(random() * 256),
    ).join(one(["", "", ",", " ", "/", "."]));
  return Object.fromEntries(
    Array.from({ length: random() * 6 }, () => [
      random() < 0.05 ? `gateway.${text()}` : `gateway.${one(NAMES)}`,
      text(),
    ]),
  );
}

/** Right values of labels about requests, answers and connections. */
const RULE_EXAMPLES = [
  { "gateway.tcp": "5432" },
  { "gateway.tcp": "5432", "gateway.allow": "10.0.0.0/8" },
  { "gateway.tcp": "5432", "gateway.deny": "10.0.0.0/8" },
  { "gateway.tcp": "5432", "gateway.tcp.sni": "a.org" },
  { "gateway.tcp": "5432", "gateway.tcp.sni": "a.org", "gateway.allow": "10.0.0.0/8" },
  { "gateway.allow": "10.0.0.0/8" },
  { "gateway.deny": "10.0.0.0/8" },
  { "gateway.deny": "x" },
  { "gateway.auth": `bob:${HASH}` },
  { "gateway.redirect": "https" },
  { "gateway.redirect": "none" },
  { "gateway.hsts": "1y" },
  { "gateway.cors": "https://a.org" },
  { "gateway.cors": "https://a.org", "gateway.cors.credentials": "true" },
  { "gateway.body": "10m" },
  { "gateway.rate": "5/1m" },
  { "gateway.headers.request.X-A": "x" },
  { "gateway.headers.response.x_b": "x" },
  { "gateway.headers.response.X-A": "x" },
  { "gateway.headers.response.Content-Security-Policy": "x" },
  { "gateway.auth": `bob:${HASH}`, "gateway.auth.forward": "true" },
  { "gateway.scheme": "h2c" },
  { "gateway.scheme": "fcgi" },
  { "gateway.scheme": "fcgi", "gateway.check": "/x" },
];

function randomContainers(count: number, random: () => number): Container[] {
  return Array.from({ length: count }, (_, index) =>
    container(`c${index}`, {
      image: `img${Math.floor(random() * 20)}`,
      created: Math.floor(random() * 5),
      labels: randomLabels(random),
    }),
  );
}

/** Containers with labels and variables of other proxies, some beside labels of ours. */
function theirContainers(count: number, seed: number): Container[] {
  const dice = new Dice(seed);
  const random = randomNumbers(seed);
  return Array.from({ length: count }, (_, index) => {
    const { labels, environment } = randomTheirs(dice);
    const own = dice.below(4) === 0 ? randomLabels(random) : {};
    return container(`c${index}`, {
      image: `img${dice.below(20)}`,
      created: dice.below(5),
      labels: { ...labels, ...own },
      environment,
    });
  });
}

const template = compileTemplate({ name: "path", text: TEMPLATES.path }, PARTIALS);

function render(containers: readonly Container[], version: string, domain?: string) {
  const settings = {
    ...SETTINGS,
    routing: { ...SETTINGS.routing, domain },
    template: { ...SETTINGS.template, domain: domain ?? "" },
    haproxy: { ...SETTINGS.haproxy, version },
    labelFiles: FILES,
  };
  return makeDesired(snapshot(containers), HOST, settings, template, () => "then");
}

const PATH = String.raw`(?:/[A-Za-z0-9._~!$&'()*+;=:@%-]+)+|/`;
const NAME = "(?:service::)?[A-Za-z0-9][A-Za-z0-9._-]*";
const BACKEND = `${NAME}(?:::route:[A-Za-z0-9_-]+|::tcp(?::\\d+(?::[A-Za-z0-9._:-]+)?)?)?`;
const PROFILE = "_[A-Za-z0-9_.:-]{1,400}";
const OWN_LINES = [
  // A port from which bytes are forwarded.
  /^# '(?:(?:, )?tcp port \d+(?: for (?:any other name|[a-z0-9._*-]+))?)+'$/,
  /^frontend _tcp_\d+ from _tcp_frontend$/,
  /^ {4}bind \*:\d+$/,
  /^ {4}tcp-request content set-var\(txn\.route\) str\(:\d+=\),concat\(,txn\.name\),map\(\/x\/tcp\.map\)$/,
  /^ {4}tcp-request content set-var\(txn\.route\) str\(:\d+\/\),concat\(,txn\.reversed\),map_beg\(\/x\/tcp\.map\) unless \{ var\(txn\.route\) -m found \}$/,
  /^ {4}tcp-request content set-var\(txn\.route\) str\(:\d+\/\),map\(\/x\/tcp\.map\)$/,
  /^ {4}tcp-request content reject if \{ be_conn_free 0 \} \{ queue ge \d+ \}$/,
  /^ {4}default-server inter \d+(?:ms|s|m|h) fastinter \d+ms downinter \d+ms fall 2 rise 1(?: slowstart \d+[smh])?$/,
  // A path in a comment, in quotes where it would need them elsewhere.
  /^# [A-Za-z0-9._~!$&'()*+;=:@%/\\-]+$/,
  new RegExp(`^backend ${BACKEND} from ${PROFILE}$`),
  new RegExp(`^defaults ${PROFILE}$`),
  new RegExp(`^backend _spare${PROFILE}_\\d+ from ${PROFILE}$`),
  // In a comment: the settings.
  /^#( '?[a-z.0-9]+=.+)+$/,
  // What is answered for a status. Nothing of the label is in it.
  /^ {4}# (What a container answers with these statuses has a page of its own, and so has what is answered in its|place\.)$/,
  /^ {4}http-error status 50[0234] content-type '(?:text\/html|text\/plain|application\/json); charset=utf-8' file \/x\/label-[\w-]{12}\.txt(?: hdr Retry-After 5)?$/,
  /^ {4}http-response return status \d+ content-type '(?:text\/html|text\/plain|application\/json); charset=utf-8' file \/x\/label-[\w-]{12}\.txt if \{ status \d+ \}$/,
  /^ {4}timeout (connect|server|tunnel|queue) \d+(ms|s|m|h|d)$/,
  /^ {4}http-request deny deny_status 503 if \{ be_conn_free 0 \} \{ queue ge \d+ \}$/,
  /^ {4}# All places are taken, and so are those in the queue\.$/,
  /^ {4}balance (leastconn|source|random|hdr\([a-z0-9_-]+\)|hash req\.cook\([A-Za-z0-9_.-]+\))$/,
  /^ {4}hash-type consistent$/,
  /^ {4}# One that comes or goes moves only its own share\.$/,
  /^ {4}option httpchk$/,
  /^ {4}http-check send meth GET uri \S+ ver HTTP\/1\.1 hdr Host \S+ hdr Connection close$/,
  /^ {4}http-check send meth GET uri \S+ ver HTTP\/1\.1 hdr Host \S+ hdr Connection close hdr :fcgi-script_filename (?:\/[A-Za-z0-9._~@+=-]+)+$/,
  new RegExp(`^fcgi-app ${PROFILE}$`),
  new RegExp(`^ {4}use-fcgi-app ${PROFILE}$`),
  /^ {4}docroot (?:\/[A-Za-z0-9._~@+=-]+)+$/,
  /^ {4}set-param SCRIPT_FILENAME '?(?:\/[A-Za-z0-9._~@+=-]+)+'?%\[var\(txn\.script\)\]$/,
  /^ {4}http-request set-var\(txn\.script\) str\((?:\/[A-Za-z0-9._~@+=-]+)+\) if \{ var\(txn\.info\) -m found \}$/,
  /^ {4}http-check expect status [\d,-]+$/,
  /^ {4}default-server inter \d+(?:ms|s|m|h) fastinter \d+ms downinter \d+ms fall 2 rise 1(?: slowstart \d+[smh])?(?: proto (?:h2|fcgi))? sni var\(txn\.connection\)/,
  /^ {4}default-server inter \d+(?:ms|s|m|h) fastinter \d+ms downinter \d+ms fall 2 rise 1(?: slowstart \d+[smh])? ssl check-ssl verify (?:none|required ca-file (?:@system-ca|\/x\/label-[\w-]{12}\.txt))(?: sni str\([a-z0-9._-]+\) check-sni [a-z0-9._-]+| no-sni-auto no-check-sni-auto)?(?: alpn h2 check-alpn h2)?(?: pool-conn-name var\(txn\.connection\))?$/,
  /^ {4}compression algo gzip$/,
  /^ {4}compression type text\/html [a-z+ /]+$/,
  /^ {4}option http-server-close$/,
  /^ {4}# (A connection may end just as a request is sent on it, and by TLS there is no way here to have some of|their own\.)$/,
  /^ {4}cookie [A-Za-z0-9_.-]+ insert indirect nocache httponly dynamic(?: secure)?(?: attr SameSite=(?:Lax|Strict|None))?$/,
  /^ {4}dynamic-cookie-key docker-api-gateway$/,
  /^ {4}# A client comes back to its server as long as that is in use\. The value is made of the server's$/,
  /^ {4}# address, so HAProxy before 3\.0 needs no word for it on a server that is added while it runs\.$/,
  /^ {4}user '[\w-]{12}>[A-Za-z0-9._@+-]+' password '\$2y\$05\$[./A-Za-z0-9]{53}'$/,
  /^ {4}retries \d+$/,
  /^ {4}server [0-9a-f]{12}(?::route:[A-Za-z0-9_-]+)?(?::\d+)? 172\.17\.0\.2:\d+ check(?: backup)?(?: weight \d+)?(?: maxconn \d+)? # c\d+$/,
];
const MAP_LINES = [
  // A bucket of times.
  /^\d+:\d+ ~\d+$/,
  // Where bytes go: a port, and perhaps a name of TLS or the labels of a wildcard.
  new RegExp(
    `^:\\d+(?:=[a-z0-9_.-]+|/(?:[a-z0-9_-]+\\.)*) ${BACKEND}(?:~[\\w-]{12}~(?:allow~)?(?:deny~)?)?$`,
  ),
  new RegExp(
    `^(?:(?:\\*\\.)?[a-z0-9_.-]+)?(?:${PATH})?/? ${BACKEND}(?:~[\\w-]{12}~(?:[a-z]+~)+)?\\|(?:>(?:${PATH})\\|(?:${PATH})?|\\|?(?:${PATH}))$`,
  ),
  /^(?:[a-z0-9_-]+\.)+ \*\.[a-z0-9_.-]+$/,
  // What the rules of a route look up.
  /^[\w-]{12}:headers\.(?:request\.x-a|response\.(?:x_b|x-a|content-security-policy)) =(?:[A-Za-z0-9_.!~*'()-]|%[0-9A-F]{2})*$/,
  /^[\w-]{12}:redirect =(?:https)?\|[a-z0-9._-]*\|30[1278]$/,
  /^[\w-]{12}:hsts =max-age%3D\d+(?:%3B%20includeSubDomains)?(?:%3B%20preload)?$/,
  /^[\w-]{12}:rate =\d+\|\d+\|10(?:000)?\|100(?:000)?$/,
  /^[\w-]{12}:body =\d+$/,
  /^[\w-]{12}:cors =[A-Z0-9_,-]+\|\d+\|[a-z0-9_,-]*$/,
  /^[\w-]{12}:cors:(?:\*|https?:\/\/[a-z0-9._:[\]-]+) =$/,
  // Networks, with routes that they may use or not.
  /^[0-9a-f.:]+\/\d+ \|(?:[+-][\w-]{12}\|)*$/,
];

/** The lines that are neither the template's nor have the form of those that it writes for a service. */
function strangeLines(files: Files, harmless: ReadonlySet<string>): string[] {
  const lines = files.config.split("\n");
  const entries = Object.values(mapsOf(files)).flatMap((text) => text.split("\n"));
  return [
    ...lines.filter((line) => !harmless.has(line) && !OWN_LINES.some((form) => form.test(line))),
    ...entries.filter((line) => line !== "" && !MAP_LINES.some((form) => form.test(line))),
  ];
}

/** All lines of the template, with and without the rules that not every installation needs. */
function templateLines(version: string): ReadonlySet<string> {
  const on = { "gateway.host": "a.org", "gateway.rewrite": "/x" };
  const containers = [container("c0", { image: "img0", labels: on })];
  const configs = [[], containers].flatMap((each) => [
    render(each, version).files.config,
    render(each, version, "ex.org").files.config,
  ]);
  const rewriteOnly = [container("c0", { image: "img0", labels: { "gateway.rewrite": "/x" } })];
  const hostOnly = [container("c0", { image: "img0", labels: { "gateway.host": "a.org" } })];
  // Each of the rules alone, and all of them.
  const all = RULE_EXAMPLES.filter((labels) => !("gateway.tcp" in labels));
  const rules = [...RULE_EXAMPLES, Object.assign({}, ...all)].map((labels) => [
    container("c0", { image: "img0", labels }),
  ]);
  const more = [rewriteOnly, hostOnly, ...rules].map((each) => render(each, version).files.config);
  return new Set([...configs, ...more].flatMap((config) => config.split("\n")));
}

describe.each(["2.6.12", "3.4.7"])("labels for HAProxy %s", (version) => {
  test("no line is theirs, and each container is served or told why not", () => {
    const random = randomNumbers(version.length + 1);
    const harmless = templateLines(version);
    let routed = 0;
    for (let round = 0; round < 300; round++) {
      const containers = randomContainers(40, random);
      const domain = random() < 0.2 ? "ex.org" : undefined;
      const { files, model } = render(containers, version, domain);
      expect(strangeLines(files, harmless)).toEqual([]);
      const served = model.services.flatMap(({ servers }) => servers.map(({ id }) => id));
      routed += new Set(served).size;
      const told = model.rejections.map(({ id }) => id);
      expect(new Set([...served, ...told]).size).toBe(containers.length);
      for (const text of [...model.warnings, ...model.rejections.map(({ reason }) => reason)]) {
        // A line of the log.
        expect(text).not.toMatch(/[\n\r\0]/);
      }
    }
    // Much of it is valid, or this would prove little.
    expect(routed).toBeGreaterThan(3_000);
  });

  test("no line is another proxy's, and each container is served or told why not", () => {
    const harmless = templateLines(version);
    let routed = 0;
    for (let round = 0; round < 300; round++) {
      const containers = theirContainers(40, round);
      const { files, model } = render(containers, version);
      expect(strangeLines(files, harmless)).toEqual([]);
      const served = model.services.flatMap(({ servers }) => servers.map(({ id }) => id));
      routed += new Set(served).size;
      const told = model.rejections.map(({ id }) => id);
      expect(new Set([...served, ...told]).size).toBe(containers.length);
    }
    expect(routed).toBeGreaterThan(1_000);
  });
});

test.each(haproxyVersions())("HAProxy %s takes it", (version) => {
  const random = randomNumbers(5);
  const full = version === "2.6" ? "2.6.12" : `${version}.0`;
  for (let round = 0; round < 12; round++) {
    const dir = labDir("hostile");
    const containers =
      round % 2 === 0 ? randomContainers(150, random) : theirContainers(400, round);
    const { files } = render(containers, full);
    const config = files.config.replaceAll("/x/", `${dir}/`);
    for (const [path, text] of Object.entries(namedFiles(files))) {
      writeFileSync(join(dir, basename(path)), text);
    }
    writeFileSync(join(dir, "state"), "1\n");
    writeFileSync(join(dir, "haproxy.cfg"), config);
    const checked = Bun.spawnSync([haproxyProgram(version), "-c", "-f", join(dir, "haproxy.cfg")]);
    expect(checked.stderr.toString()).not.toMatch(/ALERT/);
    expect(checked.exitCode).toBe(0);
  }
});
