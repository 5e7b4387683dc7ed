// The page of one product.

import lamp from "./assets/lamp.png";
import { element, price } from "./page.js";
import styles from "./product.module.css";

export function productPage({ id, name, cents }, buy) {
  const button = element("button", { textContent: "Buy", onclick: () => void buy(id) });
  const picture = element("img", { src: lamp, alt: name });
  const heading = element("h2", { textContent: name, className: styles.name });
  const page = element("article", {}, heading, picture);
  page.append(element("p", { textContent: price(cents) }), button);
  return page;
}
