from __future__ import annotations

import copy

import jsonpatch
import pytest

from modeldata_operator.decide import injection, patching


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"a": None}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": None}),
        ({"a": {"x/y~z": "1"}}, {"a": {"x/y~z": "2", "~1/": "3"}}),
        ({"a": []}, {"a": [1, {"b": 2}]}),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 1, "c": []}, 2, 3]}),
        ({"a": [1, 2, 3]}, {"a": [3]}),
        ({"a": [1, 2]}, {"a": {"0": 1}}),
    ],
)
def test_the_operations_make_one_of_the_other(before, after):
    kept = copy.deepcopy(before)
    assert jsonpatch.apply_patch(before, patching.operations(before, after)) == after
    assert before == kept


def test_an_injection_only_adds(build):
    manifest = build.pod_manifest(metadata={"annotations": {"a": "b"}}, spec={"volumes": [{"name": "models"}]})
    before = copy.deepcopy(manifest)
    injection.inject(manifest, injection.plan(build.collection(), build.pod()), "{}")
    operations = patching.operations(before, manifest)
    assert {operation["op"] for operation in operations} == {"add"}
    assert jsonpatch.apply_patch(before, operations) == manifest
