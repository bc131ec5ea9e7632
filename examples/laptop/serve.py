"""The demo's script, examples/diabetes/score.py, behind any WSGI server: gunicorn serve:app.

In a cluster it runs behind Azure ML's own server, which brings fifty more packages and does no more than this with it.
"""

import json

import score

import modeldata.web

score.init()


def answer(environ, start_response):
    if environ["REQUEST_METHOD"] != "POST":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ready\n"]
    asked = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    said = json.dumps(score.run(asked)).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(said)))])
    return [said]


app = modeldata.web.WSGIMiddleware(answer)
