// Writes elements as HTML in template literals, without a compiler.

import htm from "htm";
import { h } from "preact";

export const html = htm.bind(h);
