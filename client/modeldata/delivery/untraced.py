"""Delivery is no part of the model's traces: the URLs of its requests hold the signature of the SAS.

The shipper's thread may begin in a request of the model's, and libraries that trace threads hand its span on. Each of
these is asked, in its own way, to leave this thread alone for as long as it delivers; none is imported for it.
"""

from __future__ import annotations

import contextlib
import sys
import typing

_SUPPRESS = ("suppress_instrumentation", "suppress_http_instrumentation")
"""Keys of OpenTelemetry's context that its instrumentations of requests, urllib3 and http.client look for."""


@contextlib.contextmanager
def thread() -> typing.Iterator[None]:
    """Have nothing traced that this thread does within. Never raises by itself: without it, delivery must go on."""
    with contextlib.ExitStack() as stack:
        for suppress in (_of_opentelemetry, _of_sentry):
            with contextlib.suppress(Exception):
                suppress(stack)
        yield


def _of_opentelemetry(stack: contextlib.ExitStack) -> None:
    context, trace = sys.modules.get("opentelemetry.context"), sys.modules.get("opentelemetry.trace")
    if context is None:
        return
    changed = context.get_current()
    if trace is not None:
        # The SDK's own tracing and that of other libraries look for no key. A span below one that is not sampled is
        # not recorded either, as long as the sampler goes by the parent, as the default one does.
        above = trace.SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=trace.TraceFlags(0))
        changed = trace.set_span_in_context(trace.NonRecordingSpan(above), changed)
    for name in _SUPPRESS:
        # Once a text, since 1.0 a key made from it at the start of the process; some look for both.
        for key in (name, getattr(context, f"_{name.upper()}_KEY", name)):
            changed = context.set_value(key, True, changed)
    stack.callback(context.detach, context.attach(changed))


def _of_sentry(stack: contextlib.ExitStack) -> None:
    global _client
    sentry = sys.modules.get("sentry_sdk")
    if sentry is None or not hasattr(sentry, "new_scope"):  # still being imported, or before 2.0
        return
    if _client is None:
        # With no integrations, what they have put into http.client does nothing. Without dsn and release, it would take
        # the environment's, and ask git.
        _client = sentry.Client(
            dsn="", release="-", default_integrations=False, auto_enabling_integrations=False, integrations=[]
        )
    stack.enter_context(sentry.new_scope()).set_client(_client)


_client: typing.Any = None
"""Sentry's, which does nothing."""
