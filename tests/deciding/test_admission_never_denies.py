from __future__ import annotations

import asyncio

import kopf
import pytest

from modeldata_operator import webhook, workloads
from modeldata_operator.configuration import Configuration
from modeldata_operator.inventory import Inventory


class Index(dict):
    """What kopf's index is to a reader."""


@pytest.fixture
def admission(build):
    collection, deployment = build.collection(), build.deployment()
    hook = webhook.Webhook(Configuration("modeldata-system"))
    hook._inventory = Inventory(
        collections=Index({collection.key: [collection]}),
        collections_by_namespace=Index({"models": [collection]}),
        deployments=Index({deployment.key: [deployment]}),
        operator_namespace="modeldata-system",
    )
    hook._synced.set()
    return hook


async def admit(hook, manifest):
    patch = kopf.Patch(body=manifest)
    await hook._admit(body=manifest, patch=patch, namespace="models")
    return patch.as_json_patch()


async def test_a_selected_pod_is_patched_minimally(admission, build):
    operations = await admit(admission, build.pod_manifest())
    assert {operation["op"] for operation in operations} == {"add"}
    assert all("/containers/1/" not in operation["path"] for operation in operations)


async def test_the_second_time_there_is_nothing_to_patch(admission, build):
    manifest = build.pod_manifest()
    patch = kopf.Patch(body=manifest)
    await admission._admit(body=manifest, patch=patch, namespace="models")
    patch.fns[0](manifest)
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
    ],
)
async def test_no_pod_however_odd_raises(admission, nonsense):
    await admit(admission, nonsense)


async def test_a_bug_admits_the_pod_unchanged(admission, build, monkeypatch, caplog):
    def bug(*_, **__):
        raise RuntimeError("bug")

    monkeypatch.setattr(webhook.injection, "inject", bug)
    assert await admit(admission, build.pod_manifest()) == []
    assert "admitted unchanged" in caplog.text


async def test_a_pod_of_a_namespace_that_is_not_the_operators_is_admitted_unchanged(admission, build):
    admission._configuration = Configuration("modeldata-system", namespaces=("others",))
    assert await admit(admission, build.pod_manifest()) == []


async def test_before_the_indexes_are_whole_nothing_is_injected(admission, build):
    admission._synced.clear()
    assert await admit(admission, build.pod_manifest()) == []


async def test_a_deployment_that_is_just_being_learned_of_is_waited_for(admission, build):
    deployments = admission._inventory._deployments
    known = dict(deployments)
    deployments.clear()
    off = build.deployment(metadata={"annotations": {"collect_model_data": "false"}})

    async def learn():
        await asyncio.sleep(0.05)
        deployments.update({key: [off] for key in known})

    learning = asyncio.ensure_future(learn())
    assert await admit(admission, build.pod_manifest()) == []
    await learning


async def test_a_deployment_nobody_ever_learns_of_does_not_hold_the_pod_up(admission, build):
    admission._inventory._deployments.clear()
    started = asyncio.get_running_loop().time()
    assert await admit(admission, build.pod_manifest())
    assert asyncio.get_running_loop().time() - started < 1.0


async def test_where_nothing_can_serve_the_pod_does_not_wait(admission, build):
    admission._inventory._deployments.clear()
    admission._inventory._collections_by_namespace.clear()
    started = asyncio.get_running_loop().time()
    assert await admit(admission, build.pod_manifest()) == []
    assert asyncio.get_running_loop().time() - started < webhook.DEPLOYMENT_GRACE


async def test_readiness_fails_until_the_indexes_are_whole(admission):
    admission._synced.clear()
    with pytest.raises(kopf.PermanentError):
        await admission._probe()
