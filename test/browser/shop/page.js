// What the first page and the lazy chunk share.

/** Makes an element. */
export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** An amount of cents as text. */
export function price(cents) {
  return `${(cents / 100).toFixed(2)} €`;
}
