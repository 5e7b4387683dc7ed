// An application with a login: pages made by the server, sessions in a cookie for the whole host.

import express from "express";
import session from "express-session";

const notes = new Map();
const app = express();

app.use((_request, response, next) => {
  response.set("X-Application", process.env.NAME);
  // As Helmet does, which many applications in Express have.
  if (process.env.NAME === "vault") response.set("Referrer-Policy", "no-referrer");
  next();
});
app.use(express.urlencoded());
app.use(session({ secret: process.env.NAME, resave: false, saveUninitialized: false }));

app.get("/style.css", (_request, response) => {
  response.type("css").send("h1 { color: rgb(20, 90, 20); }");
});
app.get("/login", (_request, response) => {
  response.send(
    page(`<h1>Log in</h1>
      <form method="post" action="/login">
        <label>Name <input name="name"></label>
        <button>Log in</button>
      </form>`),
  );
});
app.post("/login", (request, response) => {
  request.session.user = request.body.name;
  response.redirect("/");
});
app.use((request, response, next) => {
  if (request.session.user) next();
  else response.redirect("/login");
});
app.get("/", (request, response) => {
  // A link that an application makes from the Host, as many do for mails and feeds.
  const own = `${request.protocol}://${request.host}`;
  response.send(
    page(`<h1>Welcome, ${request.session.user}</h1>
      <a href="/notes">Notes</a> <a href="${own}/notes">Notes by a whole URL</a>
      <form method="post" action="/logout"><button>Log out</button></form>`),
  );
});
app.get("/notes", (request, response) => {
  const lines = notes.get(request.session.user) ?? [];
  response.send(
    page(`<h1>Notes of ${request.session.user}</h1>
      <ul>${lines.map((line) => `<li>${line}</li>`).join("")}</ul>
      <form method="post"><label>Note <input name="note"></label><button>Add</button></form>
      <a href="/">Home</a>`),
  );
});
app.post("/notes", (request, response) => {
  const { user } = request.session;
  notes.set(user, [...(notes.get(user) ?? []), request.body.note]);
  response.redirect(303, `${request.protocol}://${request.host}/notes`);
});
app.post("/logout", (request, response) => {
  request.session.destroy(() => response.clearCookie("connect.sid").redirect("/login"));
});
app.listen(8000);

function page(body) {
  return `<!doctype html><html lang="en"><head><title>${process.env.NAME}</title>
    <link rel="stylesheet" href="/style.css"></head><body>${body}</body></html>`;
}
