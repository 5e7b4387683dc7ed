// What the address bar says behind `#`: which view is shown, and of what.

import { useEffect, useState } from "preact/hooks";

/** @typedef {"routes" | "route" | "changes" | "not-routed" | "failures" | "certificates"} ViewName */

/**
 * @typedef {object} Address
 * @property {ViewName} view
 * @property {string} route the route as a person reads it; empty for other views
 */

/** @type {readonly ViewName[]} */
const LISTS = ["changes", "not-routed", "failures", "certificates"];

/**
 * Reads what stands behind `#`. What is not understood is the list of routes.
 * @param {string} hash
 * @returns {Address}
 */
export function readAddress(hash) {
  const [, first = "", rest = ""] = /^#?\/([^/]*)\/?(.*)$/.exec(hash) ?? [];
  if (first === "route" && rest !== "") return { view: "route", route: decode(rest) };
  return { view: LISTS.find((each) => each === first) ?? "routes", route: "" };
}

/** @param {string} route as a person reads it */
export function addressOf(route) {
  return `#/route/${encodeURIComponent(route)}`;
}

/** The address now. The view that uses it is drawn again when it changes. */
export function useAddress() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return readAddress(hash);
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
