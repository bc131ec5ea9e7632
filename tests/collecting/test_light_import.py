"""What importing and using the client costs a model that is not collected."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
HEAVY = {"azure", "pandas", "numpy", "aiohttp", "requests"}


def run(script: str, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELDATA", "AML_"))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**clean, **environment},
        cwd=REPOSITORY,
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_importing_is_light() -> None:
    loaded = run("import sys, modeldata; print(*sys.modules)").split()
    assert "modeldata" in loaded
    assert not HEAVY & set(loaded)


LOAD = "import sys; from modeldata.delivery.azure import sdk; sdk.load(); import azure.storage.blob; "


def test_what_sends_rows_imports_no_library_that_it_does_not_use() -> None:
    pytest.importorskip("aiohttp")
    loaded = run(LOAD + "print(*sys.modules)").split()
    assert {"azure.storage.blob", "requests"} <= set(loaded)
    assert "aiohttp" not in loaded


@pytest.mark.parametrize("before", ["", "from azure.core.pipeline.transport import AioHttpTransport; "])
def test_a_model_that_uses_azures_transport_for_aiohttp_has_the_real_one(before: str) -> None:
    pytest.importorskip("aiohttp")
    script = """
from azure.core.pipeline import transport
from azure.storage.blob._shared import authentication
late, real = authentication.AioHttpTransport, transport.AioHttpTransport
assert isinstance(real, type) and "AioHttpTransport" not in vars(transport)
assert isinstance(real(), late) and isinstance(late(), real) and not isinstance(7, late)
class Derived(late): pass
assert issubclass(Derived, real) and issubclass(Derived, late) and not issubclass(int, late)
assert late.send is real.send
print("aiohttp" in sys.modules)
"""
    assert run(before + LOAD + script) == "True"


def test_where_nothing_is_configured_collecting_does_nothing() -> None:
    script = """
import sys, threading
from modeldata import ModelDataCollector
inputs = ModelDataCollector("m", "inputs", ["a"])
assert inputs.collect([[1]]) is None
assert inputs.add_correlations([1], None) == [1]
assert threading.active_count() == 1
print(*sys.modules)
"""
    assert not HEAVY & set(run(script).split())


def test_debug_prints_the_rows() -> None:
    script = 'from modeldata import ModelDataCollector as C; C("m", "inputs", ["a"]).collect([[7]])'
    header, row = run(script, AML_MODEL_DC_DEBUG="true").splitlines()
    assert header == "$Timestamp,$CorrelationId,$RequestId,a"
    assert row.endswith(",7")


def test_python_started_in_the_repositorys_root_has_its_own_operator() -> None:
    assert run("import operator; print(operator.add(2, 3))") == "5"
