"""A file takes 50,000 blocks, so a busy process makes one at a time, and not of every few rows."""

from __future__ import annotations

import typing

import pytest

pytestmark = pytest.mark.azurite

# Collects without a pause for two seconds, slowly enough for the interval to decide and not the bytes that wait.
_BUSY = """
import modeldata, time
collector = modeldata.ModelDataCollector("churn", designation="inputs", feature_names=["number"])
begin = time.monotonic()
number = 0
while time.monotonic() < begin + 2:
    collector.collect([[number]])
    number += 1
    time.sleep(0.002)
assert modeldata.flush(30)
print(number, time.monotonic() - begin)
"""


def test_what_comes_while_rows_are_sent_waits_for_its_own_interval(pod: typing.Any) -> None:
    pod.settings(flushInterval="1s")
    rows, seconds = pod.run(_BUSY).stdout.split()
    assert len(pod.rows("inputs")) == int(rows)
    (name,) = pod.blobs()
    blocks = pod.container.get_blob_client(name).get_blob_properties().append_blob_committed_block_count
    # The header, one for each interval, two for a flush that comes while rows are sent.
    assert blocks <= 1 + float(seconds) + 2
