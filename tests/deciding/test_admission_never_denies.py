from __future__ import annotations

import asyncio
import base64
import copy
import json

import jsonpatch
import pytest

from modeldata_operator.api import workloads
from modeldata_operator.configuration import Configuration
from modeldata_operator.known.inventory import Inventory
from modeldata_operator.kube.store import Store
from modeldata_operator.kube.watching import Watches
from modeldata_operator.webhook import review
from modeldata_operator.webhook.server import NoReviewError


@pytest.fixture
def admission(build):
    hook = review.Webhook(Configuration("modeldata-system"))
    hook._inventory = Inventory(
        collections=Store(), deployments=Store(), namespaces=Store(), operator_namespace="modeldata-system"
    )
    hook._inventory.collections.put(build.collection())
    hook._inventory.deployments.put(build.deployment())
    hook._watches = Watches(cluster=None)
    hook._watches._synced.set()
    return hook


async def admit(hook, manifest):
    before = copy.deepcopy(manifest)
    review = {"request": {"uid": "asked", "namespace": "models", "object": manifest}}
    response = json.loads(await hook.review(json.dumps(review).encode()))["response"]
    assert manifest == before
    assert response["uid"] == "asked"
    assert response["allowed"] is True
    return json.loads(base64.b64decode(response.get("patch", "W10=")))


async def test_a_selected_pod_is_patched_minimally(admission, build):
    operations = await admit(admission, build.pod_manifest())
    assert {operation["op"] for operation in operations} == {"add"}
    assert all("/containers/1/" not in operation["path"] for operation in operations)


async def test_the_second_time_there_is_nothing_to_patch(admission, build):
    manifest = jsonpatch.apply_patch(build.pod_manifest(), await admit(admission, build.pod_manifest()))
    assert workloads.pod(manifest).injection is not None
    assert await admit(admission, manifest) == []


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"metadata": None, "spec": None},
        {"metadata": {"labels": {"app": "churn"}}, "spec": {"containers": None}},
        {"metadata": {"labels": {"app": "churn"}}, "spec": {"containers": [{}]}},
        {"metadata": {"labels": ["app"]}, "spec": {"containers": "x"}},
        {
            "metadata": {"labels": {"app": "churn"}, "annotations": []},
            "spec": {"volumes": [None], "containers": [None]},
        },
        {
            "metadata": {"ownerReferences": [{}], "labels": {"app": "churn"}},
            "spec": {"containers": [{"name": "a", "env": "x"}]},
        },
        {
            # Numbers of a million digits, each of which would be a minute's work.
            "metadata": {"labels": {"app": "churn"}},
            "spec": {
                "containers": [{"name": "a", "resources": {"limits": {"ephemeral-storage": "1e999999"}}}] * 9,
                "volumes": [{"name": "modeldata-spool", "emptyDir": {"sizeLimit": "9" * 100_000}}],
            },
        },
    ],
)
async def test_no_pod_however_odd_raises(admission, nonsense):
    await admit(admission, nonsense)


async def test_a_bug_admits_the_pod_unchanged(admission, build, monkeypatch, caplog):
    def bug(*_, **__):
        raise RuntimeError("bug")

    monkeypatch.setattr(review.injection, "inject", bug)
    assert await admit(admission, build.pod_manifest()) == []
    assert "admitted unchanged" in caplog.text


async def test_a_pod_of_a_namespace_that_is_not_the_operators_is_admitted_unchanged(admission, build):
    admission._configuration = Configuration("modeldata-system", namespaces=("others",))
    assert await admit(admission, build.pod_manifest()) == []


async def test_before_everything_is_listed_nothing_is_injected(admission, build):
    admission._watches._synced.clear()
    assert await admit(admission, build.pod_manifest()) == []


async def test_a_deployment_that_is_just_being_learned_of_is_waited_for(admission, build):
    deployments = admission._inventory.deployments
    deployments.drop(build.deployment().key)
    off = build.deployment(metadata={"annotations": {"collect_model_data": "false"}})

    async def learn():
        await asyncio.sleep(0.05)
        deployments.put(off)

    learning = asyncio.ensure_future(learn())
    assert await admit(admission, build.pod_manifest()) == []
    await learning


async def test_a_deployment_nobody_ever_learns_of_does_not_hold_the_pod_up(admission, build):
    admission._inventory.deployments.drop(build.deployment().key)
    started = asyncio.get_running_loop().time()
    assert await admit(admission, build.pod_manifest())
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_where_nothing_can_serve_the_pod_does_not_wait(admission, build):
    admission._inventory.deployments.drop(build.deployment().key)
    admission._inventory.collections.drop(build.collection().key)
    started = asyncio.get_running_loop().time()
    assert await admit(admission, build.pod_manifest()) == []
    assert asyncio.get_running_loop().time() - started < review.DEPLOYMENT_GRACE


async def test_readiness_fails_until_everything_is_listed(admission):
    admission._listens = True
    assert await admission.unready() == ""
    admission._watches._synced.clear()
    assert await admission.unready()


async def test_while_it_waits_for_the_api_server_or_a_certificate_it_is_no_use_to_begin_anew(admission):
    admission._watches._synced.clear()
    assert await admission.sick() == ""
    assert await admission.unready()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"{}", b'{"request": null}', b'{"request": {}}'])
async def test_what_is_no_review_is_told_from_a_fault(admission, body):
    with pytest.raises(NoReviewError):
        await admission.review(body)
