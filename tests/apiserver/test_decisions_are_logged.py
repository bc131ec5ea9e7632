"""Each decision is one line in the log, with the namespace and the name of what it is about."""

from __future__ import annotations

import re

from ..conftest import Eventually
from . import proxy as proxies
from . import server
from .actors import Actors
from .conftest import Operated, Start, healthy

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING|ERROR) [\w.]+ \S.*")


def test_each_decision_is_a_line_that_names_what_it_is_about(
    actors: Actors, operated: Operated, eventually: Eventually
) -> None:
    where = actors.namespace

    def said(text: str) -> int:
        logs = operated.controller.said() + operated.webhook.said()
        return sum(text in line for line in logs.splitlines())

    actors.deployment("a", pods=2)
    actors.collection()
    eventually(lambda: said(f"minted collection={where}/churn namespace={where} ") == 1)
    eventually(lambda: said(f"restarted deployment={where}/a for={where}/churn/") == 1)
    actors.roll_out("a")
    names = [pod["metadata"]["name"] for pod in actors.pods("a")]
    for name in names:
        eventually(lambda name=name: said(f"injected pod={where}/{name} collection={where}/churn ") == 1)
    eventually(lambda: said(f"status collection={where}/churn ready="))
    actors.patch_collection("churn", {"sampling": {"percent": 5}})
    eventually(lambda: said(f"pushed collection={where}/churn pods=2 taken=2 ") == 1)
    taken = {"volumes": [{"name": "modeldata-spool", "hostPath": {"path": "/tmp"}}]}
    actors.start({"name": "taken", "labels": {"app": "churn"}}, taken)
    eventually(lambda: said(f"not injected pod={where}/taken collection={where}/churn reason=NameTaken") == 1)
    actors.delete_collection("churn")
    eventually(lambda: said(f"switched off collection={where}/churn pods=2 taken=2") == 1)

    for process in (operated.controller, operated.webhook):
        assert [line for line in process.said().splitlines() if not LINE.fullmatch(line)] == []


def test_a_failing_probe_is_a_line_too(
    own_api: server.ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    proxy = proxies.Proxy(own_api)
    try:
        proxy.refuse(403, "/deployments")
        start_operator("controller", own_api.kubeconfig)  # who makes the webhook's certificate
        webhook = start_operator("webhook", proxy.kubeconfig)
        eventually(lambda: not healthy(webhook.health_port))
        eventually(lambda: "not everything has been listed yet" in webhook.said())
        proxy.heal()
        eventually(lambda: healthy(webhook.health_port))
        assert [line for line in webhook.said().splitlines() if not LINE.fullmatch(line)] == []
    finally:
        proxy.close()
