"""Both processes answer scrapes with what they did."""

from __future__ import annotations

import typing
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from ..conftest import Eventually
from . import actors, server
from .conftest import Start, healthy


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_was_done_is_counted(own_api: server.ApiServer, start_operator: Start, eventually: Eventually) -> None:
    ports = server.free_ports(2)
    controller, webhook = (
        start_operator(role, own_api.kubeconfig, environment={"MODELDATA_METRICS_PORT": str(port)})
        for role, port in zip(("controller", "webhook"), ports, strict=True)
    )
    actors.lead_to_webhook(own_api, webhook.webhook_port)
    eventually(lambda: healthy(controller.health_port) and healthy(webhook.health_port))
    eventually(lambda: actors.trusted(own_api))
    own_api.namespace("models")
    people = actors.Actors(own_api, "models")
    people.account()
    people.collection()

    def of(port: int, name: str, **labels: str) -> typing.Callable[[], float | None]:
        return lambda: scrape(port).get((name, tuple(sorted(labels.items()))))

    where = {"namespace": "models", "collection": "churn"}
    eventually(of(ports[0], "modeldata_operator_sas_expiry_timestamp_seconds", **where))
    people.deployment("scoring", pods=2)
    eventually(lambda: of(ports[1], "modeldata_operator_admissions_total", result="injected")() == 2)
    eventually(lambda: of(ports[0], "modeldata_operator_pods", state="injected", **where)() == 2)
    found = scrape(ports[0])
    assert found["modeldata_operator_reconciles_total", (("result", "done"),)] >= 2
    assert found["modeldata_operator_credential_rotations_total", ()] == 1
    assert found["modeldata_operator_watch_silence_seconds", ()] < 300
    assert scrape(ports[1])["modeldata_operator_admission_seconds_count", ()] >= 2
    people.api.delete("/api/v1/namespaces/models/secrets/account")
    eventually(of(ports[0], "modeldata_operator_credential_failures_total", reason="SecretNotFound"))
    eventually(lambda: of(ports[0], "modeldata_operator_condition", type="Stalled", **where)() == 1)
    people.delete_collection("churn")
    eventually(lambda: of(ports[0], "modeldata_operator_pods", state="injected", **where)() is None)
