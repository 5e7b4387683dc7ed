// How large a page may be that HAProxy answers with.

/** So many bytes fit into HAProxy's buffer, with the headers (`tune.bufsize` in `templates/global.hbs`). */
export const LARGEST_PAGE = 32_000;

/** How long a text is in UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
