// What leaves its prefix by dots. HAProxy refuses it, by the rules in templates/climbing.hbs, which this
// file must say again for those who ask beforehand.

/** What some applications take for a slash. */
const MAYBE_SLASHES = ["\\", "%2f", "%5c"];
/** So many segments in a row can be taken back. Nobody needs more, and HAProxy has a rule for each. */
const DEEPEST = 8;

/**
 * Whether HAProxy answers 400 to a path, as it leaves its prefix or may be taken so.
 * @param rest what follows the prefix, without the query
 */
export function climbs(rest: string): boolean {
  const path = rest.replaceAll(/%2e/gi, ".").toLowerCase();
  if (!path.includes("..") && path === rest.toLowerCase()) return false;
  // With several of these nobody knows which ones are meant as slashes.
  if (MAYBE_SLASHES.filter((each) => path.includes(each)).length > 1) return true;
  return [path, path.replaceAll(/\\|%2f|%5c/g, "/")].some(leaves);
}

function leaves(path: string): boolean {
  const segments = path.split("/").map((each) => each.replace(/;.*$/, ""));
  let way = segments
    .filter((each) => each !== "" && each !== ".")
    .map((each) => (each === ".." ? "<" : ">"))
    .join("");
  for (let count = 0; count < DEEPEST; count++) way = way.replaceAll("><", "");
  return way.includes("<");
}
