"""What is to be redacted reaches no storage, whatever the settings, the shapes and the moments."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing

import pytest

pytestmark = pytest.mark.azurite

SECRET = "123-45-6789"
COLLECT = f"""
import modeldata
inputs = modeldata.ModelDataCollector("m", "inputs", ["age", "ssn"])
predictions = modeldata.ModelDataCollector("m", "predictions")
with modeldata.request_id("r"):
    predictions.collect([0.5])
    inputs.collect([[41, "{SECRET}"]])
"""
SHIP = """
import json, modeldata
modeldata.ModelDataCollector("m", "other")
print(json.dumps([modeldata.flush({timeout}), modeldata.close(0.1), modeldata.stats().unmatched_redactions]))
"""


def doctor(pod: typing.Any) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "modeldata", "doctor"],
        env=pod.environment(),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def in_spool(pod: typing.Any) -> bool:
    return any(SECRET.encode() in path.read_bytes() for path in pathlib.Path(pod.directory).glob("spool/*/*.seg"))


@pytest.mark.parametrize(
    "unknown",
    [
        {"version": 2},
        {"redact": [{"feature": "ssn", "action": "Blur"}]},
        {"redact": [{"feature": "ssn", "action": "Drop", "onMissing": "Ask"}]},
        {"redact": "ssn"},
        {"columns": "Trailing"},
    ],
    ids=str,
)
def test_what_waits_stays_under_settings_that_cannot_be_fulfilled(pod: typing.Any, unknown: dict[str, object]) -> None:
    pod.settings(flushInterval="60s")
    script = COLLECT + "import os; os._exit(0)"
    pod.run(script)
    assert in_spool(pod)
    pod.settings(**unknown)
    done = pod.run(SHIP.format(timeout=3))
    assert "can't do" in done.stderr
    assert pod.blobs() == {}
    assert in_spool(pod)
    assert "wrong" in doctor(pod)
    pod.settings(redact=[{"feature": "SSN", "action": "Drop"}])
    assert json.loads(pod.run("import modeldata, time\n" + drain()).stdout)
    files = pod.blobs()
    assert len(files) == 2
    assert SECRET not in str(files)


def drain() -> str:
    """Return a script that ends when nothing waits, and prints whether it has come so far."""
    return """
modeldata.ModelDataCollector("m", "other")
deadline = time.monotonic() + 50
while time.monotonic() < deadline:
    time.sleep(0.1)
    seen = modeldata.stats()
    if seen.delivered >= 2 and not seen.waiting_bytes:
        break
print("true" if seen.delivered >= 2 else "false")
"""


def test_rows_are_held_until_a_misspelt_feature_is_mended(pod: typing.Any) -> None:
    pod.settings(redact=[{"feature": "snn", "action": "Drop", "onMissing": "Hold"}])
    done = pod.run(COLLECT + SHIP.format(timeout=3))
    flushed, _, unmatched = json.loads(done.stdout)
    assert not flushed
    assert unmatched == {"snn": ["m"]}
    assert pod.blobs() == {}
    assert "rows of m wait for one that has snn" in done.stderr
    assert SECRET not in done.stderr
    report = doctor(pod)
    assert "nothing is redacted as 'snn'" in report
    assert "all rows wait" in report
    pod.settings(redact=[{"feature": "ssn", "action": "Drop", "onMissing": "Hold"}])
    assert json.loads(pod.run("import modeldata, time\n" + drain()).stdout)
    files = pod.blobs()
    assert sorted(name.split("/")[3] for name in files) == ["inputs", "predictions"]
    assert SECRET not in str(files)
    assert "nothing is redacted" not in doctor(pod)


def test_a_misspelt_feature_is_said_on_the_first_day(pod: typing.Any) -> None:
    pod.settings(redact=[{"feature": "snn", "action": "Drop"}, {"feature": "Age", "action": "Drop"}])
    done = pod.run(COLLECT + SHIP.format(timeout=30))
    flushed, _, unmatched = json.loads(done.stdout)
    assert flushed
    assert unmatched == {"snn": ["m"]}
    assert "nothing is redacted as 'snn'" in done.stderr
    report = doctor(pod)
    (line,) = [each for each in report.splitlines() if "nothing is redacted" in each]
    assert line.startswith("warning")


def test_a_metric_says_that_nothing_is_redacted(pod: typing.Any) -> None:
    pod.settings(redact=[{"feature": "snn", "action": "Drop"}])
    script = COLLECT + "import prometheus_client\n" + SHIP.format(timeout=30) + "\n"
    script += "modeldata.metrics.register(); print(prometheus_client.generate_latest().decode())"
    out = pod.run("import modeldata.metrics\n" + script).stdout
    assert "modeldata_unmatched_redactions 1.0" in out
