// nginx as somebody sets it up who wants what this program gives: a path for each service, which is
// stripped, and the forwarded headers.

/** The lines that every location has. */
const HEADERS = `proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;`;

/** A service: where it is served, and its server. */
export interface Served {
  /** Such as `acme/shop`. */
  readonly name: string;
  readonly address: string;
}

/** A whole configuration, for a process in the foreground. @param http the lines in `http` */
export function nginxConfig(dir: string, http: string, workers: number | "auto" = "auto"): string {
  return `daemon off;
pid ${dir}/nginx.pid;
worker_processes ${workers};
error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    server_names_hash_bucket_size 128;
    variables_hash_max_size 2048;
    ${http}
}
`;
}

/** The services, at a port of 127.0.0.1. */
export function nginxServices(port: number, services: readonly Served[]): string {
  const upstreams = services.map(
    ({ address }, index) => `upstream u${index} { server ${address}; keepalive 32; }`,
  );
  const locations = services.map(({ name }, index) => location(name, `u${index}`));
  return `${upstreams.join("\n    ")}
    server {
    listen 127.0.0.1:${port};
    location / { return 403; }
    ${locations.join("\n    ")}
    }`;
}

function location(name: string, upstream: string): string {
  return `location /${name}/ {
        proxy_pass http://${upstream}/;
        ${HEADERS}
        proxy_set_header X-Forwarded-Prefix /${name};
    }`;
}

/**
 * The same for docker-gen. A container that is ending has no address any more, and nginx refuses an
 * upstream without a server.
 */
export const DOCKER_GEN_TEMPLATE = `{{ range $path, $containers := groupBy $ "Env.BENCH_PATH" }}
upstream u{{ sha1 $path }} {
{{ range $container := $containers }}{{ range $network := $container.Networks }}{{ if $network.IP }}
    server {{ $network.IP }}:8000;
{{ end }}{{ end }}{{ end }}
    server 127.0.0.1:1 down;
    keepalive 32;
}
{{ end }}
server {
    listen 127.0.0.1:PORT;
    location / { return 403; }
{{ range $path, $containers := groupBy $ "Env.BENCH_PATH" }}
    ${location("{{ $path }}", "u{{ sha1 $path }}")}
{{ end }}
}
`;
