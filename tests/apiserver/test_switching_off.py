"""Whatever takes a workload away from its collection reaches running pods at once, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import typing

import pytest

from ..conftest import Eventually
from .actors import MARK, Actors

SWITCHES: dict[str, typing.Callable[[Actors], None]] = {
    "opted out": lambda actors: actors.annotate("a", "false"),
    "annotation removed": lambda actors: actors.annotate("a", None),
    "collection deleted": lambda actors: actors.delete_collection("default"),
}


def left_by_the_next_start(actors: Actors) -> set[str]:
    """Start a Deployment's pods anew, and list everything in them that has a name of ours."""
    actors.roll_out("a")
    found = set()
    for pod in actors.pods("a"):
        text = json.dumps({**pod["metadata"], "managedFields": []}) + json.dumps(pod["spec"])
        found |= set(re.findall(r"modeldata[.]dev/[a-z-]+|modeldata-[a-z]+|MODELDATA_[A-Z_]+", text))
    return found


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_deployment_is_switched_off_at_once_and_its_next_pod_has_nothing_of_ours(
    actors: Actors, eventually: Eventually, switch: str
) -> None:
    actors.deployment("a", pods=2, annotations={"collect_model_data": "true"})
    actors.collection("default", selector=None)
    eventually(lambda: actors.mark("a"))
    actors.roll_out("a")
    eventually(lambda: actors.enabled("a") == {True})
    before = {pod["metadata"]["uid"] for pod in actors.pods("a")}

    SWITCHES[switch](actors)
    eventually(lambda: actors.enabled("a") == {False})
    assert {pod["metadata"]["uid"] for pod in actors.pods("a")} == before

    # Of what was written, only the mark of the restart is left: it is in the template, and without a meaning now.
    eventually(lambda: left_by_the_next_start(actors) == {MARK})


def test_a_collection_is_switched_off_and_on_without_a_restart(actors: Actors, eventually: Eventually) -> None:
    actors.deployment("a")
    actors.collection()
    eventually(lambda: actors.mark("a"))
    actors.roll_out("a")
    eventually(lambda: actors.enabled("a") == {True})
    before = {pod["metadata"]["uid"] for pod in actors.pods("a")}
    actors.patch_collection("churn", {"enabled": False})
    eventually(lambda: actors.enabled("a") == {False})
    actors.patch_collection("churn", {"enabled": True})
    eventually(lambda: actors.enabled("a") == {True})
    assert {pod["metadata"]["uid"] for pod in actors.pods("a")} == before


def test_the_sas_goes_with_its_collection(actors: Actors, eventually: Eventually) -> None:
    actors.collection()
    secret = eventually(lambda: actors.secret("modeldata-churn"))
    (owner,) = secret["metadata"]["ownerReferences"]
    # Garbage collection does the rest; nothing holds the collection's own deletion up.
    assert (owner["kind"], owner["name"]) == ("DataCollection", "churn")
    assert not owner.get("blockOwnerDeletion")
