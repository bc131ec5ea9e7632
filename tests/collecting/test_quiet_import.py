"""Importing the client changes nothing in a process, and fails nowhere; nor does making a collector."""

from __future__ import annotations

import json
import pathlib

import pytest

from .test_light_import import run

HOOKS = """
import atexit, logging, os, signal, sys, threading
logging.disable()
calls = []
def watch(module, name):
    real = getattr(module, name)
    def watched(*arguments, **more):
        if sys._getframe(1).f_globals["__name__"].startswith("modeldata"):
            calls.append(name)
        return real(*arguments, **more)
    setattr(module, name, watched)
for module, name in ((atexit, "register"), (os, "register_at_fork"), (signal, "signal"), (threading.Thread, "start")):
    watch(module, name)
"""

ELSEWHERE = """
import os, sys, types, importlib.abc
taken = {taken!r}.split()
for name in taken:
    vars(os).pop(name, None)
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in taken:
            raise ModuleNotFoundError(name=name)
sys.modules.pop("fcntl", None)
sys.meta_path.insert(0, Missing())
import modeldata  # what it imports of others is for the platform that runs it
sys.platform = {platform!r}
"""

POSIX = "fcntl register_at_fork posix_fallocate fork uname geteuid writev pwrite pread"


@pytest.fixture
def configured(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "settings").mkdir()
    document = {"version": 1, "enabled": True, "storage": {"endpoint": "http://127.0.0.1:1/x"}}
    (tmp_path / "settings/settings.json").write_text(json.dumps(document))
    return tmp_path


def test_importing_hooks_into_nothing(configured: pathlib.Path) -> None:
    assert (
        run(f"{HOOKS}import modeldata, modeldata.web, modeldata.metrics; print(calls)", MODELDATA_DIR=str(configured))
        == "[]"
    )


def test_a_collector_that_is_not_configured_hooks_into_nothing() -> None:
    script = (
        f"{HOOKS}import modeldata; modeldata.install(); modeldata.ModelDataCollector('m').collect([[1]]); print(calls)"
    )
    assert run(script) == "[]"


def test_the_first_collector_that_is_configured_hooks_in_once(configured: pathlib.Path) -> None:
    script = f"""{HOOKS}
import modeldata
for _ in range(3):
    modeldata.ModelDataCollector("m").collect([[1]])
modeldata.install()
print(sorted(set(calls)), calls.count("signal"), calls.count("register_at_fork"))
"""
    found = run(script, MODELDATA_DIR=str(configured))
    assert found == "['register', 'register_at_fork', 'signal', 'start'] 1 1"


def test_install_chains_the_handler_that_a_pools_thread_can_not(configured: pathlib.Path) -> None:
    script = """
import signal, threading, modeldata
{install}
thread = threading.Thread(target=modeldata.ModelDataCollector, args=("m",))
thread.start()
thread.join()
print(callable(signal.getsignal(signal.SIGTERM)))
"""
    for install, expected in (("", "False"), ("modeldata.install()", "True")):
        assert run(script.format(install=install), MODELDATA_DIR=str(configured)) == expected


def test_a_child_of_a_process_without_hooks_has_ids_of_its_own(configured: pathlib.Path) -> None:
    script = """
import os, modeldata
def ask():
    with modeldata.request_id("") as made:
        return made[9:28]
before = ask()
reader, writer = os.pipe()
if not os.fork():
    modeldata.ModelDataCollector("m")
    os.write(writer, ask().encode())
    os._exit(0)
modeldata.ModelDataCollector("m")
print(len({before[5:], ask()[5:], os.read(reader, 100).decode()[5:]}))
"""
    assert run(script, MODELDATA_DIR=str(configured)) == "3"


@pytest.mark.parametrize(
    "handler", ["[].append", "print", "type('C', (), {'__call__': lambda *_: None, '__module__': 3})()"]
)
def test_any_sigterm_handler_is_chained(configured: pathlib.Path, handler: str) -> None:
    script = f"""
import logging, signal
logging.disable()
signal.signal(signal.SIGTERM, {handler})
from modeldata import ModelDataCollector
ModelDataCollector("m").collect([[1]])
print("made", type(signal.getsignal(signal.SIGTERM)).__name__)
"""
    assert run(script, MODELDATA_DIR=str(configured)) == "made _Chained"


@pytest.mark.parametrize("names", ["Odd()", "[Odd()]", "(1 / 0 for _ in 'a')", "7"])
def test_making_a_collector_never_raises(names: str) -> None:
    script = f"""
import logging
logging.disable()
from modeldata import ModelDataCollector
class Odd:
    def __str__(self): raise LookupError
    def __iter__(self): raise LookupError
    def __bool__(self): raise LookupError
ModelDataCollector(Odd(), Odd(), {names}, Odd(), Odd(), Odd()).collect([[1]])
print("made")
"""
    assert run(script) == "made"


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_on_other_platforms_it_does_nothing(platform: str, configured: pathlib.Path) -> None:
    taken = POSIX if platform == "win32" else "posix_fallocate"
    script = f"""{ELSEWHERE.format(taken=taken, platform=platform)}
import threading
import modeldata.web, modeldata.metrics
modeldata.install()
collector = modeldata.ModelDataCollector("m", "inputs", ["a"])
assert collector.collect([[1]]) is None
assert collector.add_correlations([1], None) == [1]
assert modeldata.flush() and modeldata.close() and modeldata.stats() == modeldata.Statistics()
assert threading.active_count() == 1
import modeldata.__main__
print(modeldata.__main__.main(["doctor"]))
"""
    said, code = run(script, MODELDATA_DIR=str(configured)).splitlines()
    assert said == f"nothing is collected here: Linux is needed, and this is {platform}"
    assert code == "1"
    assert not (configured / "spool").exists()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_on_other_platforms_debugging_prints_the_rows(platform: str) -> None:
    script = f"""{ELSEWHERE.format(taken=POSIX, platform=platform)}
modeldata.ModelDataCollector("m", "inputs", ["a"]).collect([[7]])
"""
    header, row = run(script, AML_MODEL_DC_DEBUG="true").splitlines()
    assert header == "$Timestamp,$CorrelationId,$RequestId,a"
    assert row.endswith(",7")


@pytest.mark.parametrize("name", POSIX.split())
def test_whatever_is_missing_importing_works(name: str) -> None:
    assert run(f"{ELSEWHERE.format(taken=name, platform='linux')}print('imported')") == "imported"
