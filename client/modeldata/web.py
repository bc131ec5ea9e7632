"""Ids of HTTP requests: what is collected within one has the id that its client, or the ingress before us, gave it.

    app = modeldata.web.ASGIMiddleware(app)  # FastAPI, Starlette; or app.add_middleware(modeldata.web.ASGIMiddleware)
    app.wsgi_app = modeldata.web.WSGIMiddleware(app.wsgi_app)  # Django, any WSGI; Flask needs no line of it

The id is the header ``x-request-id``, else ``x-ms-client-request-id``, as in azureml-inference-server-http. Not the
trace id of ``traceparent``: one trace may ask a model many times, and rows join by their request's id. Without a header
that can be taken the id is our own; either way a request begins here, whatever the thread or task has collected before.

A fault of ours costs a request its id, and nothing else. No framework is imported.
"""

from __future__ import annotations

from .requests.asgi import ASGIMiddleware
from .requests.wsgi import WSGIMiddleware

__all__ = ["ASGIMiddleware", "WSGIMiddleware"]
