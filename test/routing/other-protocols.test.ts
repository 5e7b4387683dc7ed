// The table of ports at which something else than HTTP is spoken.

import { expect, test } from "bun:test";
import { OTHER_PROTOCOLS, otherProtocolAt } from "../../src/routing/other-protocols.ts";

test.each(OTHER_PROTOCOLS)("$name has a source for $ports", ({ name, ports, source, beside }) => {
  expect(name).toMatch(/^\S.*\S$/);
  expect(new URL(source).protocol).toBe("https:");
  expect(ports.length).toBeGreaterThan(0);
  for (const port of ports) {
    // One that had two entries would have the name of the last one.
    const entries = OTHER_PROTOCOLS.filter((each) => each.ports.includes(port));
    expect(entries).toHaveLength(1);
    expect(port).toBeWithin(1, 65_536);
    expect(otherProtocolAt(port, [port])).toBe(beside === undefined ? name : undefined);
    expect(otherProtocolAt(port, [port, beside ?? 1])).toBe(name);
  }
});

// Of the images that are run most, and of the frameworks' manuals.
const HTTP = [
  80, 81, 443, 591, 1080, 1337, 2019, 2368, 2379, 3000, 3001, 3100, 3128, 3333, 4000, 4001, 4040,
  4173, 4200, 4318, 4321, 4444, 4567, 5000, 5001, 5173, 5601, 15_672, 5984, 6006, 6080, 7000, 7001,
  7474, 7700, 7860, 8000, 8001, 8008, 8009, 8025, 8080, 8081, 8086, 8088, 8089, 8096, 8108, 8123,
  8161, 8200, 8222, 8443, 8500, 8501, 8529, 8787, 8834, 8888, 8983, 9000, 9001, 9080, 9090, 9091,
  9093, 9100, 9200, 9411, 9443, 9600, 9999, 10_000, 10_080, 11_434, 15_692, 16_686, 18_083, 19_999,
  32_400, 49_152,
];

test.each(HTTP)("port %d may be one of HTTP", (port) => {
  expect(otherProtocolAt(port, [port])).toBeUndefined();
});

test.each([
  ["postgres", [5432]],
  ["mysql", [3306, 33_060]],
  ["percona-xtradb-cluster", [3306, 4444, 4567, 4568]],
  ["mongo", [27_017]],
  ["redis", [6379]],
  ["memcached", [11_211]],
  ["cassandra", [7000, 7001, 7199, 9042, 9160]],
  ["zookeeper without its admin server", [2181, 2888, 3888]],
  ["nats without its monitor", [4222, 6222]],
  ["kafka", [9092]],
  ["eclipse-mosquitto", [1883]],
  ["mssql", [1433]],
  ["oracle", [1521, 5500]],
  ["ldap", [389, 636]],
  ["a mail server", [25, 110, 143, 465, 587, 993, 995, 4190]],
  ["an SSH server", [22]],
  ["an FTP server", [20, 21]],
  ["bind9", [53, 853, 953]],
  ["docker:dind", [2375, 2376]],
])("%s exposes no port of HTTP", (_, exposed) => {
  for (const port of exposed) expect(otherProtocolAt(port, exposed)).toBeString();
});

test.each([
  ["elasticsearch", [9200, 9300], 9200],
  ["rabbitmq:management", [4369, 5671, 5672, 15_671, 15_672, 15_691, 15_692, 25_672], 15_672],
  ["nats", [4222, 6222, 8222], 8222],
  ["zookeeper", [2181, 2888, 3888, 8080], 8080],
  ["neo4j", [7473, 7474, 7687], 7474],
  ["gitea", [22, 3000], 3000],
  ["mailhog", [1025, 8025], 8025],
  ["maildev", [1025, 1080], 1080],
  ["consul", [8300, 8301, 8302, 8500, 8600], 8500],
  ["logstash", [5044, 9600], 9600],
  ["qbittorrent", [6881, 8080], 8080],
  ["activemq", [1099, 1883, 5672, 8161, 61_613, 61_614, 61_616], 8161],
  ["wildfly with AJP", [8009, 8080, 9990], 8080],
])("%s is reached at its port of HTTP", (_, exposed, port) => {
  expect(exposed.find((each) => otherProtocolAt(each, exposed) === undefined)).toBe(port);
});
