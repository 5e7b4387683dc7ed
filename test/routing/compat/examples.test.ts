// The examples that the other proxies publish, written anew: the same labels and variables in compose
// files of our own, and what is served of them.

import { describe, expect, test } from "bun:test";
import { toServiceName } from "../../../src/routing/compat/vocabulary.ts";
import { parse } from "yaml";
import { translate } from "../../../src/routing/compat/compat.ts";
import { BCRYPT, EVERYBODY, type Texts } from "./read.ts";

/** Labels and variables of a compose file come as a list or as a map. */
function toTexts(
  list: readonly string[] | Readonly<Record<string, string | number>> | undefined,
): Texts {
  const entries = Array.isArray(list)
    ? (list as readonly string[]).map((line) => [
        line.slice(0, line.indexOf("=")),
        line.slice(line.indexOf("=") + 1),
      ])
    : Object.entries(list ?? {}).map(([name, value]) => [name, String(value ?? "")]);
  // Docker Compose makes one dollar of two.
  return Object.fromEntries(
    entries.map(([name, value = ""]) => [name, value.replaceAll("$$", "$")]),
  );
}

type Listed = readonly string[] | Readonly<Record<string, string | number>>;
type Services = Readonly<
  Record<string, { readonly labels?: Listed; readonly environment?: Listed }>
>;

/** What is served of each service of a compose file, and the number of warnings. */
function served(compose: string): Readonly<Record<string, unknown>> {
  const { services } = parse(compose) as { readonly services: Services };
  return Object.fromEntries(
    Object.entries(services).map(([name, { labels, environment }]) => {
      const own = {
        "com.docker.compose.service": name,
        "com.docker.compose.project": "demo",
        ...toTexts(labels),
      };
      const read = translate({ name, labels: own, environment: toTexts(environment) }, "all");
      return [
        name,
        read === undefined ? undefined : { ...read.labels, warnings: read.warnings.length },
      ];
    }),
  );
}

describe("nginx-proxy", () => {
  test("a host, with its port", () => {
    const compose = `
services:
  hello:
    image: example/hello
    expose: ["8000"]
    environment:
      - VIRTUAL_HOST=hello.example
      - VIRTUAL_PORT=8000
  other:
    image: example/hello
    environment:
      VIRTUAL_HOST: other.example
  cache:
    image: example/cache
    environment:
      PORT: 80
`;
    expect(served(compose)).toEqual({
      hello: {
        enable: "true",
        service: "hello.example",
        host: "hello.example",
        path: "/",
        port: "8000",
        warnings: 0,
      },
      other: {
        enable: "true",
        service: "other.example",
        host: "other.example",
        path: "/",
        warnings: 0,
      },
      cache: undefined,
    });
  });

  test("several ports, on hosts and paths", () => {
    const compose = `
services:
  many:
    image: example/many
    environment:
      VIRTUAL_HOST_MULTIPORTS: |-
        www.example.org:
          "/":
          "/one":
            port: 8000
            dest: "/"
          "/two":
            port: 9443
            proto: "https"
            dest: "/"
`;
    expect(served(compose)).toEqual({
      many: {
        enable: "true",
        service: "www.example.org",
        host: "www.example.org",
        path: "/",
        "route.www-example-org-one.host": "www.example.org",
        "route.www-example-org-one.path": "/one",
        "route.www-example-org-one.strip": "true",
        "route.www-example-org-one.port": "8000",
        "route.www-example-org-two.host": "www.example.org",
        "route.www-example-org-two.path": "/two",
        "route.www-example-org-two.strip": "true",
        "route.www-example-org-two.port": "9443",
        "route.www-example-org-two.scheme": "https",
        "route.www-example-org-two.https.verify": "false",
        warnings: 0,
      },
    });
  });

  test("two containers of one host, one of them below a path", () => {
    const compose = `
services:
  root:
    image: example/root
    environment: [VIRTUAL_HOST=example.tld, VIRTUAL_PATH=/]
  app1:
    image: example/app
    environment: [VIRTUAL_HOST=example.tld, VIRTUAL_PATH=/app1/, VIRTUAL_DEST=/]
`;
    expect(served(compose)).toEqual({
      root: {
        enable: "true",
        service: "example.tld",
        host: "example.tld",
        path: "/",
        warnings: 0,
      },
      app1: {
        enable: "true",
        service: toServiceName("example.tld", "/app1"),
        host: "example.tld",
        path: "/app1",
        strip: "true",
        warnings: 0,
      },
    });
  });
});

describe("Traefik", () => {
  test("a host, on a listener", () => {
    const compose = `
services:
  proxy:
    image: traefik
  hello:
    image: example/hello
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.hello.rule=Host(\`hello.localhost\`)"
      - "traefik.http.routers.hello.entrypoints=web"
`;
    expect(served(compose)).toEqual({
      proxy: undefined,
      hello: {
        enable: "true",
        service: "hello-demo",
        host: "hello.localhost",
        path: "/",
        warnings: 0,
      },
    });
  });

  test("with a certificate", () => {
    const compose = `
services:
  hello:
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.hello.rule=Host(\`hello.example.com\`)"
      - "traefik.http.routers.hello.entrypoints=websecure"
      - "traefik.http.routers.hello.tls.certresolver=myresolver"
`;
    expect(served(compose)).toEqual({
      hello: {
        enable: "true",
        service: "hello-demo",
        host: "hello.example.com",
        path: "/",
        warnings: 0,
      },
    });
  });

  test("a host and a path, headers, networks, a cookie", () => {
    const compose = `
services:
  hello:
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.hello.rule=Host(\`hello.docker.localhost\`)"
      - "traefik.http.routers.hello.middlewares=secure,inside"
      - "traefik.http.services.hello.loadbalancer.server.port=80"
      - "traefik.http.services.hello.loadbalancer.sticky.cookie=true"
      - "traefik.http.services.hello.loadbalancer.sticky.cookie.name=sticky_cookie"
      - "traefik.http.services.hello.loadbalancer.sticky.cookie.secure=true"
      - "traefik.http.middlewares.secure.headers.frameDeny=true"
      - "traefik.http.middlewares.secure.headers.stsSeconds=31536000"
      - "traefik.http.middlewares.inside.ipallowlist.sourceRange=127.0.0.1/32,192.168.0.0/16"
  api:
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.api.rule=Host(\`hello.docker.localhost\`) && PathPrefix(\`/api\`)"
`;
    expect(served(compose)).toEqual({
      hello: {
        enable: "true",
        service: "hello",
        host: "hello.docker.localhost",
        path: "/",
        port: "80",
        sticky: "sticky_cookie",
        "sticky.secure": "true",
        allow: "127.0.0.1/32,192.168.0.0/16",
        "headers.response.X-Frame-Options": "DENY",
        hsts: "1y",
        warnings: 0,
      },
      api: {
        enable: "true",
        service: "api-demo",
        host: "hello.docker.localhost",
        path: "/api",
        strip: "false",
        warnings: 0,
      },
    });
  });

  test("its own dashboard is not served here", () => {
    const compose = `
services:
  proxy:
    labels:
      - "traefik.enable=true"
      - "traefik.http.routers.dashboard.rule=Host(\`dashboard.docker.localhost\`)"
      - "traefik.http.routers.dashboard.service=api@internal"
      - "traefik.http.routers.dashboard.middlewares=dashboard-auth@docker"
      - "traefik.http.middlewares.dashboard-auth.basicauth.users=admin:${BCRYPT.replaceAll("$", "$$$$")}"
`;
    expect(served(compose)).toEqual({ proxy: { enable: "false", warnings: 2 } });
  });

  test("two services of one container, and all of http sent to https", () => {
    const compose = `
services:
  app:
    labels:
      - traefik.http.routers.www.rule=Host(\`example-a.com\`)
      - traefik.http.routers.www.entrypoints=websecure
      - traefik.http.routers.www.service=www
      - traefik.http.services.www.loadbalancer.server.port=8000
      - traefik.http.routers.plain.rule=Host(\`example-a.com\`)
      - traefik.http.routers.plain.entrypoints=web
      - traefik.http.routers.plain.service=www
      - traefik.http.routers.plain.middlewares=https
      - traefik.http.middlewares.https.redirectscheme.scheme=https
      - traefik.http.middlewares.https.redirectscheme.permanent=true
      - traefik.http.routers.admin.rule=Host(\`example-b.com\`)
      - traefik.http.routers.admin.service=admin
      - traefik.http.services.admin.loadbalancer.server.port=9000
`;
    expect(served(compose)).toEqual({
      app: {
        service: "admin",
        host: "example-b.com",
        path: "/",
        port: "9000",
        "route.www.host": "example-a.com",
        "route.www.path": "/",
        "route.www.port": "8000",
        "route.www.redirect": "https",
        "route.www.redirect.code": "308",
        warnings: 0,
      },
    });
  });

  test("a database by its port", () => {
    const compose = `
services:
  db:
    labels:
      - "traefik.tcp.routers.db.rule=HostSNI(\`db.example.com\`)"
      - "traefik.tcp.routers.db.tls.passthrough=true"
      - "traefik.tcp.services.db.loadbalancer.server.port=5432"
`;
    expect(served(compose)).toEqual({
      db: { service: "db", tcp: "5432", port: "5432", "tcp.sni": "db.example.com", warnings: 1 },
    });
  });
});

describe("caddy-docker-proxy", () => {
  test("hosts, with Caddy's certificates", () => {
    const compose = `
services:
  caddy:
    labels:
      caddy.email: me@example.com
  hello:
    labels:
      caddy: hello.example.com
      caddy.reverse_proxy: "{{upstreams 80}}"
      caddy.tls: "internal"
  inside:
    labels:
      caddy: inside.example.com
      caddy.reverse_proxy: "{{upstreams 80}}"
      caddy_ingress_network: caddy_test
`;
    const hello = { enable: "true", path: "/", port: "80" };
    expect(served(compose)).toEqual({
      caddy: { warnings: 1 },
      hello: { ...hello, service: "hello.example.com", host: "hello.example.com", warnings: 1 },
      inside: {
        ...hello,
        service: "inside.example.com",
        host: "inside.example.com",
        network: "caddy_test",
        warnings: 0,
      },
    });
  });

  test("paths with other ones for the container", () => {
    const compose = `
services:
  echo:
    labels:
      caddy: echo.example.com
      caddy.@match.path: "/sourcepath /sourcepath/*"
      caddy.route: "@match"
      caddy.route.0_uri: "strip_prefix /sourcepath"
      caddy.route.1_rewrite: "* /targetpath{path}"
      caddy.route.2_reverse_proxy: "{{upstreams 80}}"
  part:
    labels:
      caddy: part.example.com
      caddy.handle_path: /source/*
      caddy.handle_path.0_reverse_proxy: "{{upstreams}}"
  all:
    labels:
      caddy: all.example.com
      caddy.rewrite: "* /target{path}"
      caddy.reverse_proxy: "{{upstreams h2c 5000}}"
`;
    expect(served(compose)).toEqual({
      echo: {
        enable: "true",
        service: toServiceName("echo.example.com", "/sourcepath"),
        host: "echo.example.com",
        path: "/sourcepath",
        rewrite: "/targetpath",
        port: "80",
        warnings: 0,
      },
      part: {
        enable: "true",
        service: toServiceName("part.example.com", "/source"),
        host: "part.example.com",
        path: "/source",
        strip: "true",
        warnings: 0,
      },
      all: {
        enable: "true",
        service: "all.example.com",
        host: "all.example.com",
        path: "/",
        rewrite: "/target",
        port: "5000",
        scheme: "h2c",
        warnings: 0,
      },
    });
  });

  test("several sites of one container, and what is not known", () => {
    const compose = `
services:
  two:
    labels:
      caddy_0: a.example.com
      caddy_0.reverse_proxy: "{{upstreams 5000}}"
      caddy_0.tls.dns: route53
      caddy_1: b.example.com, www.example.com
      caddy_1.reverse_proxy: "{{upstreams 5001}}"
  ws:
    labels:
      caddy: ws.example.com
      caddy.@ws.0_header: Connection *Upgrade*
      caddy.@ws.1_header: Upgrade websocket
      caddy.0_reverse_proxy: "@ws {{upstreams}}"
      caddy.1_reverse_proxy: "/api* {{upstreams}}"
  icons:
    labels:
      caddy: icons.example.com
      caddy.redir_0: /favicon.ico /alternative/icon.ico 302
      caddy.forward_auth: authelia:9091
      caddy.reverse_proxy: "{{upstreams}}"
`;
    expect(served(compose)).toEqual({
      two: {
        enable: "true",
        service: "a.example.com",
        host: "a.example.com",
        path: "/",
        port: "5000",
        "route.b-example-com.host": "b.example.com,www.example.com",
        "route.b-example-com.path": "/",
        "route.b-example-com.port": "5001",
        warnings: 1,
      },
      ws: {
        enable: "true",
        service: toServiceName("ws.example.com", "/api"),
        host: "ws.example.com",
        path: "/api",
        strip: "false",
        warnings: 1,
      },
      icons: {
        enable: "true",
        service: "icons.example.com",
        host: "icons.example.com",
        path: "/",
        deny: EVERYBODY,
        warnings: 2,
      },
    });
  });
});
