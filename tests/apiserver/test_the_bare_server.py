"""The bare API server is one that the operator works against."""

from __future__ import annotations

import pytest

from ..conftest import Eventually
from .conftest import Start, healthy
from .server import ApiServer, Refused


def test_what_is_stored_outlives_a_restart(own_api: ApiServer) -> None:
    own_api.namespace("kept")
    own_api.stop()
    with pytest.raises(OSError, match="refused"):
        own_api.get("/api/v1/namespaces/kept")
    own_api.start()
    assert own_api.get("/api/v1/namespaces/kept")["metadata"]["name"] == "kept"


def test_the_crd_refuses_what_it_should(api: ApiServer, namespace: str) -> None:
    body = {"apiVersion": "modeldata.dev/v1alpha1", "kind": "DataCollection", "metadata": {"name": "x"}, "spec": {}}
    with pytest.raises(Refused, match="storage"):
        api.create(f"/apis/modeldata.dev/v1alpha1/namespaces/{namespace}/datacollections", body)


def test_the_controller_becomes_healthy(api: ApiServer, start_operator: Start, eventually: Eventually) -> None:
    controller = start_operator("controller", api.kubeconfig)
    eventually(lambda: healthy(controller.health_port))
