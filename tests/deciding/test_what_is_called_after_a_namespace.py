from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldata_operator.api import namespaces
from modeldata_operator.decide import document

LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
TEMPLATES = st.sampled_from(["{namespace}", "modeldata-{namespace}", "{namespace}-x", "c" * 40 + "{namespace}"])


@pytest.mark.parametrize(
    ("template", "name", "container"),
    [
        ("modeldata", "prod", "modeldata"),
        ("modeldata-{namespace}", "prod", "modeldata-prod"),
        ("{namespace}", "team-7", "team-7"),
        ("{namespace}-data", "prod", "prod-data"),
    ],
)
def test_a_container_is_called_after_the_namespace(template, name, container):
    assert namespaces.in_container(template, name) == container


@pytest.mark.parametrize("name", ["a", "a--b", "n" * 63])
def test_what_no_container_may_be_called_is_cut_and_told_apart(name):
    called = namespaces.in_container("{namespace}" if name == "a" else "modeldata-{namespace}", name)
    assert re.search("-[0-9a-f]{16}$", called)


def test_nobody_can_call_a_namespace_as_another_ones_container_is_called():
    victim = namespaces.in_container("{namespace}", "a--b")
    assert namespaces.in_container("{namespace}", victim) != victim


@given(TEMPLATES, LABELS)
def test_it_is_always_a_container_that_azure_takes(template, name):
    called = namespaces.in_container(template, name)
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", called)
    assert 3 <= len(called) <= 63


@given(TEMPLATES, LABELS, LABELS)
def test_two_namespaces_never_share_one(template, one, other):
    same = namespaces.in_container(template, one) == namespaces.in_container(template, other)
    assert same == (one == other)


def test_a_pod_is_told_its_own_container_and_path(build):
    storage = {"container": "data-{namespace}", "path": "{namespace}/{model}/{file}"}
    collection = build.collection(spec={"storage": storage})
    told = json.loads(document.settings(collection, build.pod(), None, rotation=0))["storage"]
    assert told["container"] == "data-models"
    assert told["path"] == "models/{model}/{file}"
