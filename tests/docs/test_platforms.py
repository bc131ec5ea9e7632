"""docs/platforms.md: its values are the chart's, and its health check says what the status of a DataCollection says."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess
import typing

import pytest
import yaml

from modeldata_operator.api.observed import CredentialStatus, PodCounts, Status
from modeldata_operator.api.reasons import Reason
from modeldata_operator.decide import status

from .pages import DOCS, REPOSITORY, blocks

LUA = shutil.which("lua5.4") or shutil.which("lua")
PAGE = DOCS / "platforms.md"
VALUES = yaml.safe_load((REPOSITORY / "manifests/chart/values.yaml").read_text())
FINE = status.Finding(Reason.CREDENTIALS_VALID, "fine")
MISSING = status.Finding(Reason.SECRET_NOT_FOUND, 'there is no Secret "account"')
Object = dict[str, typing.Any]


def there(path: str) -> bool:
    values: typing.Any = VALUES
    for name in path.split("."):
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def test_the_values_that_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:webhook|controller|networkPolicy|monitoring)\.[A-Za-z.]+)(?::|`)", PAGE.read_text()))
    assert len(named) > 10
    assert [path for path in sorted(named) if not there(path)] == []
    for block in blocks("yaml", page="docs/platforms.md"):
        for document in yaml.safe_load_all(block.text):
            for name, part in document.items():
                if name == "ignoreDifferences":
                    continue
                assert there(name), name
                for inner in part if isinstance(part, dict) else ():
                    assert there(f"{name}.{inner}"), inner


def literal(value: typing.Any) -> str:
    """Write a value as Lua does, which Argo CD makes of an object before it asks."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(literal, value)) + "}"
    return "nil" if value is None else json.dumps(value)


def health(collection: Object, directory: pathlib.Path) -> tuple[str, str]:
    assert LUA is not None
    (source,) = re.findall(r"^```lua\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = directory / "health.lua"
    script.write_text(
        f"obj = {literal(collection)}\nlocal function ask()\n{source}end\nlocal said = ask()\n"
        'io.write(said.status, "\\n", said.message)\n'
    )
    done = subprocess.run([LUA, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, _, message = done.stdout.partition("\n")
    return found, message


def collection(*, generation: int = 3, **observed: typing.Any) -> Object:
    values = {
        "generation": 3,
        "enabled": True,
        "credential": CredentialStatus(2, "2026-11-20T18:00:00Z"),
        "credential_finding": FINE,
        "credential_ready": True,
        "pods": PodCounts(3, 3, 3),
        "verdicts": [],
    }
    made = status.from_observation(
        status.Observation(**{**values, **observed}), previous=Status(), now="2026-11-20T12:00:00Z"
    )
    return {"metadata": {"name": "churn", "generation": generation}, "status": status.serialized(made)}


@pytest.mark.skipif(LUA is None, reason="lua5.4 is missing: make test installs it")
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"metadata": {"generation": 1}}, ("Progressing", "not looked at yet")),
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}, ("Progressing", "not looked at yet")),
        (collection(), ("Healthy", "Collecting: 3 pods are collected")),
        (collection(generation=4), ("Progressing", "not looked at yet")),
        (collection(enabled=False), ("Healthy", "SwitchedOff: spec.enabled is false: nothing is collected")),
        (collection(pods=PodCounts()), ("Healthy", "NoPods: no running pod is selected or annotated")),
        (
            collection(pods=PodCounts(3, 3, 1)),
            ("Progressing", "PushingSettings: 2 pods do not have the present settings yet"),
        ),
        (
            collection(credential_ready=False, credential_finding=MISSING),
            ("Degraded", 'SecretNotFound: there is no Secret "account"'),
        ),
    ],
)
def test_argo_cd_would_say_what_the_status_says(
    asked: Object, expected: tuple[str, str], tmp_path: pathlib.Path
) -> None:
    assert health(asked, tmp_path) == expected
