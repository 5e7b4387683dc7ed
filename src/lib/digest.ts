// Short names for texts that cannot be names themselves.

import { createHash } from "node:crypto";

/**
 * A name of 12 letters, digits, `-` and `_` that stands for a text. It is 72 bits of a hash: nobody finds
 * another text with the same one.
 */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, 12);
}
