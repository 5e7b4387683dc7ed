"""A guestbook in Flask: forms, redirects made by url_for, flashed messages, a static file."""

import os

from flask import Flask, flash, redirect, render_template_string, request, session, url_for

app = Flask(__name__)
app.secret_key = os.environ["NAME"]
entries = []

PAGE = """<!doctype html>
<html lang="en">
  <head>
    <title>{{ name }}</title>
    <link rel="stylesheet" href="{{ url_for('static', filename='style.css') }}">
  </head>
  <body>
    <h1>{{ name }}</h1>
    {% for message in get_flashed_messages() %}<p role="status">{{ message }}</p>{% endfor %}
    <form action="/search"><label>Search <input name="q"></label><button>Find</button></form>
    <form action="/sign" method="post">
      <label>Message <input name="message"></label><button>Sign</button>
    </form>
    <form action="/picture" method="post" enctype="multipart/form-data">
      <label>Picture <input type="file" name="picture"></label><button>Send</button>
    </form>
    <ul>{% for entry in shown %}<li>{{ entry }}</li>{% endfor %}</ul>
    <p>Signed by you: {{ session.get("signed", 0) }}</p>
    <a href="{{ url_for('index') }}">All messages</a>
  </body>
</html>
"""


def page(shown):
    return render_template_string(PAGE, name=os.environ["NAME"], shown=shown)


@app.after_request
def tell(response):
    response.headers["X-Application"] = os.environ["NAME"]
    return response


@app.get("/")
def index():
    return page(entries)


@app.get("/search")
def search():
    return page([entry for entry in entries if request.args["q"] in entry])


@app.post("/picture")
def picture():
    flash(f"Got {len(request.files['picture'].read())} bytes")
    return redirect(url_for("index"))


@app.post("/sign")
def sign():
    entries.append(request.form["message"])
    session["signed"] = session.get("signed", 0) + 1
    flash("Thank you for your message")
    return redirect(url_for("index"))
