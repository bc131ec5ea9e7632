"""The webhook looks at the namespaces that its configuration selects, and the selection is the user's."""

from __future__ import annotations

from ..conftest import Eventually
from . import installation
from .conftest import Start
from .installation import JSON_PATCH, WEBHOOK_CONFIGURATION
from .server import ApiServer
from .world import World

SELECTED = {"matchLabels": {"app": "scoring"}}


def test_limited_by_a_namespace_label_only_pods_there_are_injected_and_the_limit_stays(
    own_api: ApiServer, start_operator: Start, eventually: Eventually
) -> None:
    installation.install_operator(own_api)
    limit = {"key": "modeldata.dev/collect", "operator": "In", "values": ["enabled"]}
    operation = {"op": "add", "path": "/webhooks/0/namespaceSelector/matchExpressions/-", "value": limit}
    own_api.request("PATCH", WEBHOOK_CONFIGURATION, [operation], content_type=JSON_PATCH)
    selector = own_api.get(WEBHOOK_CONFIGURATION)["webhooks"][0]["namespaceSelector"]
    world = World(own_api, eventually)
    world.start(start_operator)
    for name, labels in (("models", {"modeldata.dev/collect": "enabled"}), ("others", {})):
        own_api.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        world.account(name)
        world.collect("churn", name, selector=SELECTED)
    world.injected_pod("scoring", "models")
    assert "modeldata.dev/injected" not in world.pod("scoring", "others")["metadata"]["annotations"]
    # The operator wrote its caBundle, and nothing else.
    entry = own_api.get(WEBHOOK_CONFIGURATION)["webhooks"][0]
    assert entry["clientConfig"]["caBundle"]
    assert entry["namespaceSelector"] == selector
