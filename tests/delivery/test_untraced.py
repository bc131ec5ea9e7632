"""Tracing of the model does not see what is sent: no spans, no breadcrumbs, whose URLs would hold the signature."""

from __future__ import annotations

import subprocess
import sys
import typing

import pytest

pytestmark = pytest.mark.azurite

OPENTELEMETRY = """
import sys
import modeldata
from modeldata import ModelDataCollector
import requests, urllib3
from opentelemetry import trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
RequestsInstrumentor().instrument()
URLLib3Instrumentor().instrument()
"""

OPENTELEMETRY_SAYS = """
with trace.get_tracer("model").start_as_current_span("the model's"):
    model = ModelDataCollector("m", "inputs", ["n"])
    model.collect([[1]])
    assert modeldata.flush(60)
    requests.get(sys.argv[1], timeout=30)
    model.collect([[2]])
    assert modeldata.flush(60)
for span in exporter.get_finished_spans():
    print(span.name.replace(" ", "-"), span.attributes.get("http.url") or span.attributes.get("url.full") or "-")
"""


def spans(pod: typing.Any, script: str, **environment: str) -> list[list[str]]:
    """Return what a script says it saw, a name and a URL each; it makes one request of its own, to ``sys.argv[1]``."""
    command = [sys.executable, "-c", script, f"{pod.azurite.endpoint}/own"]
    done = subprocess.run(
        command, env=pod.environment(**environment), text=True, stdout=subprocess.PIPE, timeout=120, check=True
    )
    assert pod.numbers() == [1, 2]
    assert "sig=" not in done.stdout
    return [line.rsplit(maxsplit=1) for line in done.stdout.splitlines()]


def urls(found: list[list[str]]) -> list[str]:
    assert found[-1] == ["the-model's", "-"]
    return [url for _, url in found[:-1]]


def test_opentelemetry_sees_the_models_requests_and_none_of_ours(pod: typing.Any) -> None:
    found = spans(pod, OPENTELEMETRY + OPENTELEMETRY_SAYS)
    assert len(found) >= 2, "the instrumentation works"
    assert all(url.endswith("/own") for url in urls(found))


def test_opentelemetry_that_is_set_up_after_the_collector_sees_none_of_ours_either(pod: typing.Any) -> None:
    begun = "from modeldata import ModelDataCollector\nfirst = ModelDataCollector('m', 'inputs', ['n'])\n"
    found = spans(pod, begun + OPENTELEMETRY + OPENTELEMETRY_SAYS)
    assert all(url.endswith("/own") for url in urls(found))


def test_the_tracing_of_azures_own_sdk_sees_none_of_ours(pod: typing.Any) -> None:
    found = spans(pod, OPENTELEMETRY + OPENTELEMETRY_SAYS, AZURE_TRACING_ENABLED="true")
    assert all(url.endswith("/own") for url in urls(found))


def test_sentry_sees_the_models_requests_and_none_of_ours(pod: typing.Any) -> None:
    found = spans(
        pod,
        """
import sys
import modeldata
from modeldata import ModelDataCollector
import requests, sentry_sdk
from sentry_sdk.transport import Transport

class Kept(Transport):
    envelopes = []
    def capture_envelope(self, envelope):
        self.envelopes.append(envelope)

sentry_sdk.init(transport=Kept, traces_sample_rate=1.0)
with sentry_sdk.start_transaction(name="the model's"):
    model = ModelDataCollector("m", "inputs", ["n"])
    model.collect([[1]])
    assert modeldata.flush(60)
    requests.get(sys.argv[1], timeout=30)
    model.collect([[2]])
    assert modeldata.flush(60)
sentry_sdk.capture_message("said")
for envelope in Kept.envelopes:
    for item in envelope.items:
        event = item.payload.json or {}
        for span in event.get("spans", ()):
            print("span", (span.get("description") or str(span).replace(" ", "")).split()[-1])
        for crumb in event.get("breadcrumbs", {}).get("values", ()):
            print("crumb", crumb.get("data", {}).get("url") or crumb)
""",
        SENTRY_DSN="http://key@127.0.0.1:9/1",
    )
    assert {kind for kind, _ in found} == {"span", "crumb"}, "the instrumentation works"
    assert [url for _, url in found if not url.endswith("/own")] == []


def test_without_such_libraries_none_is_loaded(pod: typing.Any) -> None:
    said = pod.run(
        "import sys, modeldata\nmodel = modeldata.ModelDataCollector('m', 'inputs', ['n'])\nmodel.collect([[1]])\n"
        "assert modeldata.flush(60)\nprint(sorted(set(sys.modules) & {'opentelemetry', 'sentry_sdk'}))"
    ).stdout
    assert said == "[]\n"
