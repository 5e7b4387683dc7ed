// A single-page application as a bundler builds it: every asset has an absolute URL.

import { element, price } from "./page.js";

// It routes by history.pushState, from wherever its first page is.
const base = location.pathname.replace(/products\/\d+$/, "");

window.addEventListener("popstate", () => void show());
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-route]");
  if (link === null) return;
  event.preventDefault();
  history.pushState(null, "", base + link.dataset.route);
  void show();
});

await Promise.all([showName(), showBasket(), show()]);

async function showName() {
  document.querySelector("#name").textContent = (await ask("/api/shop")).name;
}

async function showBasket() {
  document.querySelector("#basket").textContent = (await ask("/api/basket")).count;
}

async function show() {
  const id = /^products\/(\d+)$/.exec(location.pathname.slice(base.length))?.[1];
  const view = document.querySelector("#view");
  if (id === undefined) {
    const products = await ask("/api/products");
    view.replaceChildren(...products.map(line));
    return;
  }
  // A chunk of its own, which is fetched when it is needed.
  const { productPage } = await import("./product.js");
  view.replaceChildren(productPage(await ask(`/api/products/${id}`), buy));
}

function line({ id, name, cents }) {
  const link = element("a", { textContent: name, href: `${base}products/${id}` });
  link.dataset.route = `products/${id}`;
  return element("p", {}, link, ` ${price(cents)}`);
}

async function buy(id) {
  const body = JSON.stringify({ id });
  const headers = { "Content-Type": "application/json" };
  await ask("/api/basket", { method: "POST", headers, body });
  await showBasket();
}

async function ask(url, options) {
  const answer = await fetch(url, options);
  if (!answer.ok) throw new Error(`${url} is answered ${answer.status}`);
  return answer.json();
}
