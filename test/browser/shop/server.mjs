// Serves the built shop and its API. NAME is the shop's.

import express from "express";

const products = [
  { id: 1, name: "Lamp", cents: 1999 },
  { id: 2, name: "Table", cents: 14900 },
];
const basket = [];
const app = express();

app.use((_request, response, next) => {
  response.set("X-Application", process.env.NAME);
  next();
});
app.get("/api/shop", (_request, response) => response.json({ name: process.env.NAME }));
app.get("/api/products", (_request, response) => response.json(products));
app.get("/api/products/:id", (request, response) => {
  response.json(products.find(({ id }) => id === Number(request.params.id)));
});
app.get("/api/basket", (_request, response) => response.json({ count: basket.length }));
app.post("/api/basket", express.json(), (request, response) => {
  basket.push(request.body.id);
  response.status(201).json({ count: basket.length });
});
app.use(express.static("/app/site"));
// Every other path is one of the application's own routes.
app.get("/{*route}", (_request, response) => response.sendFile("/app/site/index.html"));
app.listen(8000);
