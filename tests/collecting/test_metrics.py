"""Metrics in the real prometheus_client, scraped over HTTP from real processes. Storage is not asked here."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing

import pytest
from prometheus_client import parser

MODEL = """
import os, sys, time, urllib.request
import modeldata
from modeldata import ModelDataCollector
from modeldata.process import running

def collect(*numbers):
    model = ModelDataCollector("m", "inputs", ["n"])
    for n in numbers:
        model.collect([[n]])

def eventually(look):
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, look
        time.sleep(0.01)

def ticks(count=2):
    shipper = running.existing().shipper
    first = shipper.ticks
    eventually(lambda: shipper.ticks >= first + count)

def scrape():
    import prometheus_client
    server, _ = prometheus_client.start_http_server(0, addr="127.0.0.1")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
        text = answer.read().decode()
    server.shutdown()
    return text

def end(text=""):
    print(text, end="", flush=True)
    os._exit(0)  # without the wait for a delivery
"""

Run = typing.Callable[..., str]


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Run:
    """Run a model whose rows are not due for an hour; return what it prints."""
    (tmp_path / "settings").mkdir()
    document = {
        "version": 1,
        "enabled": True,
        "collection": "models/test",
        "generation": 7,
        "storage": {"endpoint": "http://127.0.0.1:9/account", "container": "c", "path": "{model}/{file}"},
        "flushInterval": "1h",
    }
    (tmp_path / "settings/settings.json").write_text(json.dumps(document))

    def run(script: str, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "MODELDATA_DIR": str(tmp_path), **environment},
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def samples(text: str) -> dict[str, float]:
    """Return ours of the samples of a scrape, by name and label."""
    found = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("modeldata_"):
                name = sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items())
                assert name not in found
                found[name] = sample.value
    return found


def test_a_model_that_has_prometheus_shows_what_is_collected(run: Run) -> None:
    shown = samples(run("import prometheus_client\n" + MODEL + "collect(1, 2, object()); ticks(8); end(scrape())"))
    assert shown.pop("modeldata_spool_waiting_bytes") > 0
    assert shown.pop("modeldata_oldest_waiting_row_age_seconds") > 0
    dropped = {name: count for name, count in shown.items() if name.startswith("modeldata_rows_dropped_total")}
    assert dropped.pop("modeldata_rows_dropped_total{reason=refused}") == 1
    assert dropped.pop("modeldata_rows_dropped_total{reason=spool_full}") == 0
    assert not any(dropped.values())
    refusals = {name: count for name, count in shown.items() if name.startswith("modeldata_storage_refusals_total")}
    assert set(refusals.values()) <= {0, refusals["modeldata_storage_refusals_total{cause=unreachable}"]}
    others = {name: count for name, count in shown.items() if name not in refusals and "dropped" not in name}
    assert others == {
        "modeldata_rows_accepted_total": 2,
        "modeldata_spool_set_aside_bytes": 0,
        "modeldata_unmatched_redactions": 0,
        "modeldata_rows_delivered_total": 0,
        "modeldata_requests_sampled_out_total": 0,
        "modeldata_enabled": 1,
        "modeldata_settings_generation": 7,
    }


def test_prometheus_may_be_imported_long_after_modeldata(run: Run) -> None:
    script = "collect(1); ticks(); import prometheus_client; ticks(); end(scrape())"
    assert samples(run(MODEL + script))["modeldata_rows_accepted_total"] == 1


def test_prometheus_is_never_imported_for_the_metrics(run: Run) -> None:
    assert run(MODEL + "collect(1); ticks(); end('prometheus_client' in sys.modules)") == "False"


def test_a_prometheus_that_is_still_being_imported_is_waited_for(run: Run) -> None:
    script = """
import types
sys.modules["prometheus_client"] = types.ModuleType("prometheus_client")
collect(1)
ticks()
del sys.modules["prometheus_client"]
import prometheus_client
ticks()
end(scrape())
"""
    assert samples(run(MODEL + script))["modeldata_rows_accepted_total"] == 1


def test_a_registry_of_the_models_own(run: Run) -> None:
    script = """
import prometheus_client
own = prometheus_client.CollectorRegistry()
modeldata.metrics.register(own)
modeldata.metrics.register(own)
collect(1, 2, 3)
ticks()
end(prometheus_client.generate_latest(own).decode())
"""
    assert samples(run(MODEL + script))["modeldata_rows_accepted_total"] == 3


def test_a_forked_child_shows_only_what_it_collected_itself(run: Run) -> None:
    script = """
import prometheus_client
collect(1, 2, 3)
ticks()
read, write = os.pipe()
child = os.fork()
if child == 0:
    before = prometheus_client.REGISTRY.get_sample_value("modeldata_rows_accepted_total")
    collect(4)
    ticks()
    after = prometheus_client.REGISTRY.get_sample_value("modeldata_rows_accepted_total")
    os.write(write, f"{before} {after:.0f}".encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
parents = prometheus_client.REGISTRY.get_sample_value("modeldata_rows_accepted_total")
end(os.read(read, 100).decode() + f" {parents:.0f}")
"""
    assert run(MODEL + script) == "None 1 3"


def test_forking_while_metrics_are_copied_leaves_the_child_its_locks(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shared").mkdir()
    script = """
import prometheus_client
own = prometheus_client.Counter("models_own", "")
collect(1)
ours = running.existing()
import threading
threading.Thread(target=lambda: [modeldata.observe.metrics.follow(ours) for _ in iter(int, 1)], daemon=True).start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        own.inc()  # would wait for ever for a lock that was held in the parent
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
end("all ended")
"""
    assert run(MODEL + script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "shared")) == "all ended"


def test_in_multiprocess_mode_the_processes_add_up(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "shared").mkdir()
    script = """
import prometheus_client, prometheus_client.multiprocess
collect(1, 2, 3)
ticks()
children = []
for n in range(2):
    child = os.fork()
    if child == 0:
        collect(4, 5, object())
        ticks()
        os._exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
ticks(8)
registry = prometheus_client.CollectorRegistry()
prometheus_client.multiprocess.MultiProcessCollector(registry)
modeldata.metrics.register(registry)
end(prometheus_client.generate_latest(registry).decode())
"""
    shown = samples(run(MODEL + script, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "shared")))
    assert shown["modeldata_rows_accepted_total"] == 3 + 2 * 2
    assert shown["modeldata_rows_dropped_total{reason=refused}"] == 2
    waiting = sum(path.stat().st_size for path in tmp_path.glob("spool/*/*.seg"))
    assert shown["modeldata_spool_waiting_bytes"] == waiting > 0  # the pod's, and not a sum over its processes


def test_a_model_with_metrics_of_the_same_names_keeps_them(run: Run) -> None:
    script = """
import prometheus_client
own = prometheus_client.Counter("modeldata_rows_accepted", "the model's")
own.inc(5)
collect(1, 2)
ticks(4)
assert modeldata.stats().accepted == 2
end(scrape())
"""
    assert samples(run(MODEL + script))["modeldata_rows_accepted_total"] == 5
