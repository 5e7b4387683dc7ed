// The flags of the gateway; the commands share them, and docs/options.md lists them.

import type { FlagDefs } from "./flags.ts";

export const GATEWAY_FLAGS: FlagDefs = {
  template: {
    type: "string",
    valueHint: "path|host",
    description: "route by path (http://HOST/foo/bar/) or by host name (default: path)",
  },
  "template-file": {
    type: "string",
    valueHint: "FILE",
    description: "a template of your own, in Handlebars",
  },
  domain: {
    type: "string",
    valueHint: "DOMAIN",
    description: "the domain of --template host: bar.DOMAIN for image foo/bar",
  },
  listen: {
    type: "string",
    valueHint: "ADDRESS:PORT",
    multiple: true,
    description: "where HAProxy listens; may be repeated (default: *:80)",
  },
  "listen-https": {
    type: "string",
    valueHint: "ADDRESS:PORT",
    multiple: true,
    description:
      "where HAProxy listens for HTTPS; may be repeated (default: *:443 with --certs or --acme, else nowhere)",
  },
  certs: {
    type: "string",
    valueHint: "FOLDER",
    multiple: true,
    description: "where certificates and their keys are; may be repeated (default: nowhere)",
  },
  tls: {
    type: "string",
    valueHint: "intermediate|modern",
    description:
      "Mozilla's profile of versions and ciphers; modern is TLS 1.3 alone (default: intermediate)",
  },
  "strict-sni": {
    type: "boolean",
    description: "refuse connections for names that no certificate is for",
  },
  http3: {
    type: "boolean",
    description: "serve HTTP/3, too, at the same ports of UDP; takes HAProxy 3.2 or later",
  },
  "no-redirect": {
    type: "boolean",
    description: "serve hosts that have a certificate without TLS, too, instead of redirecting",
  },
  "trusted-proxies": {
    type: "string",
    valueHint: "NETWORK,...",
    multiple: true,
    description:
      "the proxies in front that are believed who their client is: addresses or networks; may be repeated",
  },
  "proxy-protocol": {
    type: "boolean",
    description:
      "connections begin with the PROXY protocol; with --trusted-proxies those of these only",
  },
  "output-file": {
    type: "string",
    valueHint: "FILE",
    description:
      "the configuration to write (default: /etc/haproxy/haproxy.cfg, of a HAProxy of its own /run/docker-api-gateway/haproxy.cfg)",
  },
  "reload-cmd": {
    type: "string",
    valueHint: "COMMAND",
    alias: "reload-command",
    description:
      "how HAProxy is reloaded (default: its master socket, else /bin/systemctl reload haproxy.service)",
  },
  "master-socket": {
    type: "string",
    valueHint: "SOCKET",
    description: "HAProxy's master socket (default: /run/haproxy-master.sock)",
  },
  "manage-haproxy": {
    type: "boolean",
    description: "start HAProxy and keep it running (default where there is no systemd)",
  },
  haproxy: {
    type: "string",
    valueHint: "PROGRAM",
    description: "the HAProxy program (default: haproxy, found on PATH)",
  },
  "docker-host": {
    type: "string",
    valueHint: "URL",
    multiple: true,
    description:
      "the Engine: unix://, tcp:// or ssh:// (default: DOCKER_HOST, else docker's context); NAME=URL for each of several",
  },
  "engine-address": {
    type: "string",
    valueHint: "NAME=ADDRESS",
    multiple: true,
    description:
      "where the ports are reached that containers of that Engine publish (default: the host of its URL)",
  },
  swarm: {
    type: "boolean",
    description:
      "serve the services of a swarm, and insist that the Engine is a manager (default: where it is one)",
  },
  "no-swarm": {
    type: "boolean",
    description: "serve only the Engine's own containers, where it is a manager of a swarm, too",
  },
  ports: {
    type: "string",
    valueHint: "PORT,...",
    description: "the container ports to look for, the preferred first (default: 8000,80)",
  },
  network: {
    type: "string",
    valueHint: "NAME",
    names: "networks",
    description: "the Docker network to prefer (default: bridge)",
  },
  "label-prefix": {
    type: "string",
    valueHint: "PREFIX",
    description: "what the labels of containers begin with (default: gateway.)",
  },
  "only-enabled": {
    type: "boolean",
    description: "serve only containers with the label gateway.enable=true",
  },
  filter: {
    type: "string",
    valueHint: "KEY=VALUE",
    multiple: true,
    description:
      "serve only containers that docker ps --filter would list: label, name, id, network or ancestor; may be repeated",
  },
  "default-rule": {
    type: "string",
    valueHint: "TEXT",
    description:
      "host and path of containers whose labels say none, such as '{{compose.service}}.example.com'",
  },
  compat: {
    type: "string",
    valueHint: "none|nginx-proxy|traefik|caddy|all",
    description:
      "the other proxies whose labels and variables are read, too; several with commas (default: all)",
  },
  claim: {
    type: "string",
    valueHint: "HOST=WHO",
    multiple: true,
    description:
      "who may have HOST or HOST/PATH: label:KEY[=VALUE], network:NAME or image:PATTERN; may be repeated",
  },
  "label-files": {
    type: "string",
    valueHint: "FOLDER",
    multiple: true,
    description:
      "where files of this machine may be that labels name; may be repeated (default: nowhere)",
  },
  index: {
    type: "boolean",
    description: "a page at / that lists the routes, where no container is served there",
  },
  "error-dir": {
    type: "string",
    valueHint: "FOLDER",
    description: "pages for the gateway's own errors, such as 503.html or 503.http",
  },
  "access-log": {
    type: "string",
    valueHint: "FORMAT:TARGET",
    description:
      "a line for each request: json or common, to a file, journal, unix:SOCKET or tcp:HOST:PORT (default: none)",
  },
  "access-log-sample": {
    type: "string",
    valueHint: "PERCENT",
    description: "of requests that are no errors, log only so many, such as 10% (default: 100%)",
  },
  admin: {
    type: "string",
    valueHint: "ADDRESS:PORT|unix:PATH",
    description: "where people and monitoring ask for health and metrics (default: nowhere)",
  },
  "admin-host": {
    type: "string",
    valueHint: "NAME",
    multiple: true,
    description:
      "a name that --admin is asked by, besides IP addresses and localhost; may be repeated",
  },
  "admin-token-file": {
    type: "string",
    valueHint: "FILE",
    description: "a file with the token that --admin wants; a must where other machines reach it",
  },
  acme: {
    type: "string",
    valueHint: "EMAIL",
    description:
      "get certificates for all host names of routes, as the person with this address (default: none)",
  },
  "acme-directory": {
    type: "string",
    valueHint: "letsencrypt|staging|zerossl|URL",
    description: "the authority that makes them (default: letsencrypt)",
  },
  "acme-eab": {
    type: "string",
    valueHint: "KID:HMAC",
    description: "the key of an account that the authority knows already",
  },
  "acme-ca": {
    type: "string",
    valueHint: "FILE",
    description: "the certificate of a private authority's own CA, in PEM",
  },
  "acme-dns": {
    type: "string",
    valueHint: "COMMAND",
    description: "prove names by DNS: COMMAND set|unset NAME VALUE changes a TXT record",
  },
  "acme-dir": {
    type: "string",
    valueHint: "FOLDER",
    description: "where certificates and keys are (default: /var/lib/docker-api-gateway/acme)",
  },
  "no-acme-self-check": {
    type: "boolean",
    description: "ask the authority without checking first that a name leads here",
  },
  wait: {
    type: "string",
    valueHint: "MIN:MAX",
    description: "the quiet time before a reload and its longest stretch (default: 200ms:2s)",
  },
  hold: {
    type: "string",
    valueHint: "DURATION",
    description: "how long requests wait for a container of their service (default: 10s; 0: not)",
  },
  "always-reload": {
    type: "boolean",
    description: "reload HAProxy for every change instead of changing it while it runs",
  },
  "no-mend-links": {
    type: "boolean",
    description: "answer 403 to links that forget the prefix, instead of leading them below it",
  },
  once: { type: "boolean", description: "bring HAProxy up to date once, and end" },
  "log-level": {
    type: "string",
    valueHint: "debug|info|warn|error",
    description: "the least important lines to log (default: info)",
  },
  "log-format": {
    type: "string",
    valueHint: "text|json",
    description: "how lines are logged (default: text)",
  },
};
