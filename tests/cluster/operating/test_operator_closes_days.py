"""spec.closing, from the DataCollection to the table: a real Job, its image, its SAS and what it leaves in storage."""

from __future__ import annotations

import datetime
import io
import json

import pandas
import pyarrow.parquet
import pytest

SYSTEM = "modeldata-system"


@pytest.fixture
def container(world):
    """A container with two days of rows that nobody has closed."""
    made = world.azurite.container(world.namespace)
    made.create_container()
    today = datetime.datetime.now(datetime.UTC).date()
    for ago in (3, 2):  # due at whatever hour this is run
        append(made, folder(world, today - datetime.timedelta(days=ago)), [f"r{ago}-{n}" for n in range(50)])
    return made


def folder(world, day: datetime.date) -> str:
    return f"default/default/{world.namespace}/churn/churn/10/inputs/{day:%Y/%m/%d}"


def append(container, where: str, ids: list[str]) -> None:
    """Append rows as a client does."""
    blob = container.get_blob_client(f"{where}/data.csv")
    if not blob.exists():
        blob.create_append_blob()
        blob.append_block(b"$Timestamp,$CorrelationId,$RequestId,age\r\n")
    rows = (f"2026-11-28T01:02:03.000004Z,{each},{each},{number}\r\n" for number, each in enumerate(ids))
    blob.append_block("".join(rows).encode())


def names(container) -> list[str]:
    return sorted(container.list_blob_names())


def test_days_are_closed_by_a_job(world, container):
    world.account()
    storage = {
        "endpoint": world.azurite.endpoint,
        "container": world.namespace,
        "credential": {"secretRef": {"name": "account"}},
    }
    world.collection(storage=storage, closing={})
    world.eventually(lambda: world.condition("DaysClosed").get("status") == "True", seconds=150)

    today = datetime.datetime.now(datetime.UTC).date()
    days = [today - datetime.timedelta(days=ago) for ago in (3, 2)]
    status = world.get("mdc", "churn")["status"]["closing"]
    assert (status["days"], status["rows"], status["through"]) == (2, 100, days[1].isoformat())
    for day in days:
        closed = pandas.read_csv(io.BytesIO(container.download_blob(f"closed/{folder(world, day)}/data.csv").readall()))
        assert len(closed) == 50
        assert closed["$RequestId"].is_monotonic_increasing
    parts = [name for name in names(container) if name.endswith(".parquet")]
    assert len(parts) == 2
    part = pyarrow.parquet.read_table(io.BytesIO(container.download_blob(parts[0]).readall()))
    assert (part.num_rows, str(part.schema.field("age").type)) == (50, "int64")

    # Nothing of it is in the tenant's namespace, and its pod had what a stranger's pod should have.
    assert world.get("jobs")["items"] == []
    (job,) = [each for each in world.get("jobs", namespace=SYSTEM)["items"] if world.namespace in json.dumps(each)]
    spec = job["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert world.azurite.account_key not in json.dumps(job)
    assert "sig=" not in json.dumps(job)

    world.kubectl("delete", "mdc", "churn")
    world.eventually(
        lambda: (
            not [
                each
                for each in world.get("jobs,secrets", namespace=SYSTEM)["items"]
                if each["metadata"]["name"].startswith(job["metadata"]["name"])
            ]
        )
    )
    assert len([name for name in names(container) if name.startswith("closed/")]) == 2
