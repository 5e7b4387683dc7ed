// Random and hostile labels and variables of other proxies.

import { randomNumbers } from "../../lab/make.ts";
import { BCRYPT, type Texts } from "./read.ts";

/** Pieces that mean something to somebody, and some that mean harm. */
const WORDS = [
  ..."` \" ' ( ) , ! && || \\ \n \r \t \0 \u0085 \u2028 \ud800 $ ${1} {{ }} { } [ ] # ; : / // .. . - _ @ * ~ ^ = %0a %00".split(
    " ",
  ),
  ..."Host PathPrefix Path HostRegexp HostSNI Method ClientIP a b a.example.com *.example.com".split(
    " ",
  ),
  ..."/ /x /x/y /x/* /api* 80 8080 0 -1 99999999999999999999 1s 1m30s true false https http h2c".split(
    " ",
  ),
  ..."{{upstreams}} {{upstreams 80}} @x gzip internal redirect 10.0.0.0/8 ::1/128 __proto__ constructor".split(
    " ",
  ),
  "Host(`a.example.com`)",
  "Host(`a`) && PathPrefix(`/x`)",
  "^https?://www\\.(.+)",
  "https://${1}",
  "https://www.example.com{uri}",
  `bob:${BCRYPT}`,
  BCRYPT,
  "m,n@docker,o@file",
  "\nglobal\n  user root",
  "\r\nSet-Cookie: x",
  " ",
  "",
];

const LABELS = [
  ...[
    "rule",
    "middlewares",
    "service",
    "priority",
    "entrypoints",
    "tls",
    "tls.passthrough",
  ].flatMap((option) => [
    `traefik.http.routers.r.${option}`,
    `traefik.http.routers.s.${option}`,
    `traefik.tcp.routers.t.${option}`,
  ]),
  ...[
    "stripprefix.prefixes addprefix.prefix replacepath.path redirectscheme.scheme redirectregex.regex",
    "redirectregex.replacement basicauth.users basicauth.removeheader ipallowlist.sourcerange",
    "ipallowlist.ipstrategy.depth ratelimit.average ratelimit.period ratelimit.burst compress",
    "headers.customrequestheaders.X-A headers.customresponseheaders.X-A headers.stsseconds",
    "headers.accesscontrolalloworiginlist headers.framedeny buffering.maxrequestbodybytes",
    "chain.middlewares plugin.x.y headers.contentsecuritypolicy",
  ].flatMap((line) =>
    line
      .split(" ")
      .flatMap((option) => [
        `traefik.http.middlewares.m.${option}`,
        `traefik.http.middlewares.n.${option}`,
      ]),
  ),
  ...[
    "server.port server.scheme server.weight sticky.cookie sticky.cookie.name sticky.cookie.samesite",
    "healthcheck.path healthcheck.interval healthcheck.hostname healthcheck.status strategy",
  ].flatMap((line) =>
    line.split(" ").map((option) => `traefik.http.services.v.loadbalancer.${option}`),
  ),
  "traefik.enable",
  "traefik.docker.network",
  "traefik.tcp.services.v.loadbalancer.server.port",
  ...[
    "caddy caddy.reverse_proxy caddy.handle_path caddy.handle_path.reverse_proxy caddy.handle_path.rewrite",
    "caddy.handle caddy.handle.reverse_proxy caddy.handle.basic_auth.bob caddy.basic_auth caddy.basic_auth.bob",
    "caddy.tls caddy.encode caddy.redir caddy.header caddy.header.X-A caddy.respond caddy.import caddy.@x.path",
    "caddy.@x caddy.reverse_proxy.header_up caddy.reverse_proxy.lb_policy caddy.request_body.max_size",
    "caddy_1 caddy_1.reverse_proxy caddy_1.0_rewrite caddy_1.uri caddy_ingress_network",
  ].flatMap((line) => line.split(" ")),
  "com.github.nginx-proxy.nginx-proxy.loadbalance",
  "com.docker.compose.service",
  "com.docker.compose.project",
];
const VARIABLES =
  "VIRTUAL_HOST VIRTUAL_HOST_MULTIPORTS VIRTUAL_PATH VIRTUAL_DEST VIRTUAL_PORT VIRTUAL_PROTO VIRTUAL_ROOT NETWORK_ACCESS HTTPS_METHOD HSTS".split(
    " ",
  );

/** Makes random things of a list. */
export class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = randomNumbers(seed);
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  of<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("the list is empty");
    return item;
  }

  text(): string {
    const pieces = Array.from({ length: this.below(7) + 1 }, () => this.of(WORDS));
    return pieces.join(this.of(["", "", " ", ","]));
  }

  /** Some of the names, each with a random text, and now and then a name that is random too. */
  texts(names: readonly string[], most: number): Texts {
    const entries = Array.from({ length: this.below(most) }, () => {
      const name = this.below(20) === 0 ? this.of(names) + this.text() : this.of(names);
      return [name, this.text()] as const;
    });
    return Object.fromEntries(entries);
  }
}

/** Labels and variables that are served, for others to be put beside or over them. */
const SERVED: readonly Texts[] = [
  {
    "traefik.http.routers.r.rule":
      "Host(`a.example.com`) && PathPrefix(`/x`) || Host(`b.example.com`)",
    "traefik.http.routers.r.middlewares": "m,n",
    "traefik.http.routers.r.service": "v",
    "traefik.http.services.v.loadbalancer.server.port": "80",
  },
  {
    caddy: "a.example.com",
    "caddy.reverse_proxy": "{{upstreams 80}}",
    "caddy.handle_path": "/x/*",
  },
  { VIRTUAL_HOST: "a.example.com" },
];

/** What one container has for one of the proxies, or for several. */
export function randomTheirs(dice: Dice): {
  readonly labels: Texts;
  readonly environment: Texts;
} {
  const kind = dice.below(3);
  const base = dice.below(2) === 0 ? {} : (SERVED[kind] ?? {});
  if (kind === 2) {
    const environment = { ...base, ...dice.texts(VARIABLES, 6) };
    return { labels: dice.texts(LABELS, 3), environment };
  }
  return { labels: { ...base, ...dice.texts(LABELS, 8) }, environment: {} };
}
