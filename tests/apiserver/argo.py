"""Argo Rollouts on a bare API server: a definition of our own, with what the operator reads and writes of it.

Where the real controller is there (test_argo_rollouts.py), the definition is the real one.
"""

from __future__ import annotations

import typing

from ..conftest import poll
from .server import ApiServer, Refused

GROUP = "argoproj.io"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install(api: ApiServer) -> None:
    """Make the kind Rollout known."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version: dict[str, typing.Any] = {
        "name": "v1alpha1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}},
        "subresources": {"status": {}},
    }
    body = {
        "metadata": {"name": f"rollouts.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Rollout", "listKind": "RolloutList", "plural": "rollouts", "singular": "rollout"},
            "versions": [version],
        },
    }
    api.create(DEFINITIONS, body)
    poll(lambda: served(api))


def served(api: ApiServer) -> bool:
    """Whether Rollouts can be listed."""
    try:
        api.get(f"/apis/{GROUP}/v1alpha1/rollouts")
    except Refused:
        return False
    return True
