// The container labels `gateway.*`, valid, invalid and misspelt.

import { expect, test } from "bun:test";
import { parsePort, readLabels } from "../../src/routing/labels.ts";

const NONE = { enable: true, port: undefined, network: undefined, strip: undefined, warnings: [] };

test.each([
  ["none", {}, NONE],
  ["labels of other programs", { "traefik.enable": "false", gate: "1" }, NONE],
  ["enable, true", { "gateway.enable": "true" }, NONE],
  ["enable, in capitals", { "gateway.enable": "YES" }, NONE],
  ["enable, 1", { "gateway.enable": "1" }, NONE],
  ["enable, on", { "gateway.enable": " on " }, NONE],
  ["enable, false", { "gateway.enable": "false" }, { ...NONE, enable: false }],
  ["enable, no", { "gateway.enable": "no" }, { ...NONE, enable: false }],
  ["enable, off", { "gateway.enable": "Off" }, { ...NONE, enable: false }],
  ["enable, 0", { "gateway.enable": "0" }, { ...NONE, enable: false }],
  ["port", { "gateway.port": "8080" }, { ...NONE, port: 8080 }],
  ["port with blanks", { "gateway.port": " 9 " }, { ...NONE, port: 9 }],
  ["network", { "gateway.network": "back end" }, { ...NONE, network: "back end" }],
  ["network with blanks", { "gateway.network": " x " }, { ...NONE, network: "x" }],
  ["strip, false", { "gateway.strip": "false" }, { ...NONE, strip: false }],
  ["strip, true", { "gateway.strip": " True " }, { ...NONE, strip: true }],
])("%s", (_, labels, expected) => {
  expect(readLabels(labels)).toEqual(expected);
});

test.each([
  ["gateway.enable", "maybe", 'label gateway.enable="maybe" is neither true nor false'],
  ["gateway.enable", "", 'label gateway.enable="" is neither true nor false'],
  ["gateway.port", "", 'label gateway.port="" is no port number (1 to 65535)'],
  ["gateway.port", "0", 'label gateway.port="0" is no port number (1 to 65535)'],
  ["gateway.port", "65536", 'label gateway.port="65536" is no port number (1 to 65535)'],
  ["gateway.port", "http", 'label gateway.port="http" is no port number (1 to 65535)'],
  ["gateway.port", "80\nx", String.raw`label gateway.port="80\nx" is no port number (1 to 65535)`],
  ["gateway.network", " ", "label gateway.network is empty"],
  ["gateway.strip", "/x", 'label gateway.strip="/x" is neither true nor false'],
])("%s=%j is refused", (name, value, reason) => {
  expect(readLabels({ [name]: value })).toEqual({ reason });
});

test.each([
  ["gateway.prot", ["label gateway.prot is unknown, gateway.port was probably meant"]],
  ["gateway.enabled", ["label gateway.enabled is unknown, gateway.enable was probably meant"]],
  ["gateway-port", ["label gateway-port is unknown, gateway.port was probably meant"]],
  ["gateway.networks", ["label gateway.networks is unknown, gateway.network was probably meant"]],
  ["gateway.stripe", ["label gateway.stripe is unknown, gateway.strip was probably meant"]],
  ["gateway.middleware", []],
  ["gateways", []],
  ["other.port", []],
])("%s is unknown, with the warnings %p", (name, warnings) => {
  expect(readLabels({ [name]: "8080" })).toEqual({ ...NONE, warnings });
});

test.each([
  ["1", 1],
  ["65535", 65535],
  ["080", 80],
  ["0", undefined],
  ["65536", undefined],
  ["-1", undefined],
  ["+1", undefined],
  ["1.5", undefined],
  ["1e3", undefined],
  ["0x50", undefined],
  ["٨", undefined],
  [" 80", undefined],
  ["80\n", undefined],
  ["", undefined],
])("port %j is %p", (text, port) => {
  expect(parsePort(text)).toBe(port);
});
