"""Two copies of the package in one process: each row arrives once, whatever makes the second copy."""

from __future__ import annotations

import os
import pathlib
import typing

import pytest

from modeldata.spool import locks

from . import ledger

pytestmark = pytest.mark.azurite

HERE = pathlib.Path(__file__).resolve().parent
CALLS = 150
BEGIN = """
import importlib, importlib.util, os, pathlib, sys, threading, time
sys.path.insert(0, {here!r})
import ledger
plan = ledger.Plan({seed}, 5)

def collector(package):
    return package.ModelDataCollector("m", "inputs", ledger.FEATURES)

def live(model, life):
    for call in range({calls}):
        model.collect(plan.rows(life, call))
        time.sleep(0.005)

def forget():
    for name in [name for name in sys.modules if name.partition(".")[0] == "modeldata"]:
        del sys.modules[name]

def together(*lives):
    threads = [threading.Thread(target=live, args=each) for each in lives]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

import modeldata
"""
COPIES = {
    "imported anew": """
first = collector(modeldata)
live(first, 0)
forget()
import modeldata as second
assert second is not modeldata
together((first, 1), (collector(second), 2))
""",
    "imported anew before the first had shipped": """
first = collector(modeldata)
forget()
import modeldata as second
together((first, 0), (collector(second), 1))
""",
    "imported three times": """
copies = []
for _ in range(3):
    copies.append(collector(importlib.import_module("modeldata")))
    forget()
together(*((each, life) for life, each in enumerate(copies)))
""",
    "under another name": """
place = pathlib.Path(modeldata.__file__)
spec = importlib.util.spec_from_file_location("again", place, submodule_search_locations=[str(place.parent)])
again = sys.modules["again"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(again)
together((collector(modeldata), 0), (collector(again), 1))
""",
    "reloaded in place": """
first = collector(modeldata)
live(first, 0)
for name in sorted(name for name in sys.modules if name.partition(".")[0] == "modeldata"):
    importlib.reload(sys.modules[name])
together((first, 1), (collector(modeldata), 2))
""",
    "forked": """
first = collector(modeldata)
forget()
import modeldata as second
both = [first, collector(second)]
together(*((each, life) for life, each in enumerate(both)))
child = os.fork()
together(*((each, life) for life, each in enumerate(both, 2 if child else 4)))
if child:
    assert os.waitpid(child, 0) == (child, 0)
else:
    first_closed = modeldata.close(60), second.close(60)
    os._exit(0)
""",
    "forked without a hook of Python's": """
import ctypes
first = collector(modeldata)
live(first, 0)
assert modeldata.close(60)
# A child of such a fork hangs in CPython if another thread wanted the interpreter's lock just then: there is none now.
while len(os.listdir("/proc/self/task")) > 1:
    time.sleep(0.01)
child = ctypes.PyDLL(None).fork()
time.sleep(0.2)  # which process this is, is asked ten times a second: what follows such a fork at once is not meant
live(first, 1 if child else 2)
if child:
    assert os.waitpid(child, 0) == (child, 0)
else:
    modeldata.close(60)
    os._exit(0)
""",
    "a subinterpreter": """
interpreters = importlib.import_module("_xxsubinterpreters")
code = "life = %d\\n" + BEGIN + "live(collector(modeldata), life); modeldata.close(60)"
model = collector(modeldata)
live(model, 0)
beside = threading.Thread(target=live, args=(model, 3))
beside.start()
for life in (1, 2):  # on the main thread: a module of C that asks for the interpreter's lock elsewhere gets the first's
    there = interpreters.create(isolated=False)
    interpreters.run_string(there, code % life)
    interpreters.destroy(there)
beside.join()
""",
}
LIVES = {"imported anew before the first had shipped": 2, "under another name": 2, "forked": 6, "a subinterpreter": 4}


def interpreters() -> bool:
    try:
        import _xxsubinterpreters
    except ImportError:
        return False
    return hasattr(_xxsubinterpreters, "run_string")


@pytest.mark.parametrize("way", COPIES)
def test_each_row_arrives_once(
    pod: typing.Any, model: typing.Any, eventually: typing.Any, way: str, tmp_path: pathlib.Path
) -> None:
    if way == "a subinterpreter" and not interpreters():
        pytest.skip("this Python offers none")
    seed = int(os.environ.get("MODELDATA_TEST_SEED") or 1)
    begin = BEGIN.format(here=str(HERE), seed=seed, calls=CALLS)
    script = tmp_path / "script.py"
    script.write_text(f"BEGIN = {begin!r}\n{begin}{COPIES[way]}")
    done = pod.run(f"exec(open({str(script)!r}).read())")
    print(done.stderr)
    assert "Traceback" not in done.stderr
    model(pod)  # sends what is left
    eventually(lambda: pod.waits() == 0)
    returned = dict.fromkeys(range(LIVES.get(way, 3)), CALLS)
    verdict = ledger.check(ledger.Plan(seed, 5), returned, pod.blobs())
    assert verdict.violations == []
    assert verdict.rows == sum(len(ledger.Plan(seed, 5).rows(life, call)) for life in returned for call in range(CALLS))


def test_one_of_two_processes_with_two_copies_each_ships(
    pod: typing.Any, model: typing.Any, eventually: typing.Any
) -> None:
    twice = """
import modeldata, sys
other = modeldata.ModelDataCollector("m", "inputs", ["n"])
for name in [name for name in sys.modules if name.partition(".")[0] == "modeldata"]:
    del sys.modules[name]
"""
    models = [model(pod, before=twice) for _ in range(2)]
    for number, each in enumerate(models):
        each.collect(10 * number, 10)
        each.ask(f"[other.collect([[n]]) for n in range({20 + 10 * number}, {30 + 10 * number})]")
    eventually(pod.arrived(40))
    models[0].kill()
    models[1].collect(40, 10)
    eventually(pod.arrived(50))
    assert locks.is_taken(pod.directory / "spool/.shipper/lock")
    assert models[1].ask("modeldata.stats().dropped, modeldata.flush(30)") == "({}, True)\n"
