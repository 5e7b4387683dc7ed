// What the address bar of the page at --admin means.

import { expect, test } from "bun:test";
import { addressOf, readAddress, type Address } from "../../../src/api/admin/page/address.js";

test.each<[string, Address]>([
  ["", { view: "routes", route: "" }],
  ["#/", { view: "routes", route: "" }],
  ["#/changes", { view: "changes", route: "" }],
  ["#/nowhere", { view: "routes", route: "" }],
  ["#/route/", { view: "routes", route: "" }],
  [
    addressOf("http://shop.example.com/a b%2F"),
    { view: "route", route: "http://shop.example.com/a b%2F" },
  ],
  ["#/route/%", { view: "route", route: "%" }],
])("the address %j", (hash, address) => {
  expect(readAddress(hash)).toEqual(address);
});
