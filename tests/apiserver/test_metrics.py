"""Both processes answer scrapes with what they did."""

from __future__ import annotations

import importlib.metadata
import itertools
import re
import time
import typing
import urllib.request

import yaml
from prometheus_client.parser import text_string_to_metric_families

from ..conftest import Eventually
from . import actors, installation, server
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
    # Before it made the webhook's certificate it looked for one.
    assert found["modeldata_operator_api_errors_total", (("code", "404"),)] >= 1
    assert found["modeldata_operator_queue_depth", (("queue", "collections"),)] >= 0
    assert found["modeldata_operator_queue_depth", (("queue", "deployments"),)] >= 0
    version = importlib.metadata.version("modeldata-operator")
    for port, process in zip(ports, ("controller", "webhook"), strict=True):
        assert of(port, "modeldata_operator_build_info", version=version, process=process)() == 1
    expiry = "modeldata_operator_webhook_certificate_expiry_timestamp_seconds"
    lasts = of(ports[1], expiry, secret="modeldata-webhook-tls")()
    assert lasts is not None
    assert lasts > time.time()
    # Not 0, which would look like one that has ended.
    assert of(ports[0], expiry, secret="modeldata-webhook-tls")() is None
    people.api.delete("/api/v1/namespaces/models/secrets/account")
    eventually(of(ports[0], "modeldata_operator_credential_failures_total", reason="SecretNotFound"))
    eventually(lambda: of(ports[0], "modeldata_operator_condition", type="Stalled", **where)() == 1)
    people.delete_collection("churn")
    eventually(lambda: of(ports[0], "modeldata_operator_pods", state="injected", **where)() is None)


def test_a_webhook_that_is_not_reached_is_counted_by_the_api_server_under_the_name_of_the_alert(
    own_api: server.ApiServer, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    own_api.namespace("models")
    numbers = itertools.count()

    def counted() -> re.Match[str] | None:
        # It heeds a configuration a moment after that is made.
        body = installation.pod(f"scoring-{next(numbers)}", app="scoring")
        own_api.create("/api/v1/namespaces/models/pods", body)
        text = own_api.request("GET", "/metrics", text=True)
        return re.search(r'^(\w*webhook_fail_open_count)\{name="(.*?)".*\} [1-9]', text, re.MULTILINE)

    metric, name = eventually(counted).groups()
    rules = yaml.safe_load((server.REPOSITORY / "manifests/chart/files/alerts.yaml").read_text())["groups"][0]["rules"]
    (expression,) = [rule["expr"] for rule in rules if rule["alert"] == "ModeldataWebhookUnreached"]
    assert f'{metric}{{name="{name}"}}' in expression
