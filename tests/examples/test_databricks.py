"""The notebook of examples/databricks, cell by cell, on closed days in a real Azurite."""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import typing
import urllib.parse

import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from ..conftest import Azurite
from . import days, sparks

pytestmark = [pytest.mark.java, pytest.mark.azurite]

HERE = pathlib.Path(__file__).resolve().parent
NOTEBOOK = HERE.parents[1] / "examples/databricks/closed_days.py"
WIDGETS = {"service": days.PATH.removesuffix("/churn/10"), "model": "churn", "version": "10"}


OVER_HTTP = {
    # Azurite is the proxy of all requests, and so stands for every host; it speaks no TLS here.
    "spark.driver.extraJavaOptions": f"{sparks.QUICKLY} -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={{port}}",
    "spark.hadoop.fs.azure.always.use.https": "false",
}
ABFS = {
    **OVER_HTTP,
    "spark.hadoop.fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
    "spark.hadoop.fs.azure.account.hns.enabled": "false",
    "spark.hadoop.fs.azure.account.auth.type": "SAS",
    "spark.hadoop.fs.azure.sas.fixed.token": "{sas}",
    "spark.hadoop.fs.abfss.impl": "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem",
    # Since Hadoop 3.5 there is no other driver for the scheme of the article.
    "spark.hadoop.fs.wasbs.impl": "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem",
}
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
OF_DATABRICKS = "FixedSASTokenProvider"
"""A class that only Databricks has."""

Shown = list[dict[str, typing.Any]]


class Account(typing.NamedTuple):
    container: str
    sas: str
    port: int


@pytest.fixture(scope="module")
def account(local_azurite: Azurite, closed: pathlib.Path) -> Account:
    """Closed days in a container, and a SAS that may read and list."""
    name = "closed-days"
    with ContainerClient.from_connection_string(local_azurite.connection_string, name) as container:
        container.create_container()
        for path in closed.rglob("*"):
            if path.is_file():
                container.upload_blob(path.relative_to(closed).as_posix(), path.read_bytes())
    sas = generate_container_sas(
        local_azurite.account_name,
        name,
        account_key=local_azurite.account_key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1),
    )
    return Account(name, sas, urllib.parse.urlsplit(local_azurite.endpoint).port or 0)


def run(
    spark: sparks.Spark,
    account: Account,
    options: typing.Mapping[str, str],
    *,
    changes: typing.Mapping[str, str],
    skipped: tuple[str, ...],
    failing: typing.Sequence[tuple[str, typing.Mapping[str, str]]],
    answer: pathlib.Path,
) -> Shown:
    """Return what the notebook's cells show."""
    asked = {
        "notebook": str(NOTEBOOK),
        "options": {
            **spark.options,
            **{name: value.format(port=account.port, sas=account.sas) for name, value in options.items()},
        },
        "widgets": {**WIDGETS, "account": "devstoreaccount1", "container": account.container},
        "sas": account.sas,
        "changes": changes,
        "skipped": skipped,
        "failing": failing,
        "answer": str(answer),
    }
    done = subprocess.run(
        [spark.python, HERE / "databricks_cells.py"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, f"jars come from Maven Central; is it there?\n{done.stderr[-6000:]}"
    found: Shown = json.loads(answer.read_text())
    return found


def rows(shown: typing.Any, *names: str) -> dict[str, tuple[str | None, ...]]:
    return {row["$RequestId"].removesuffix("-0"): tuple(row[name] for name in names) for row in shown["rows"]}


def texts(year: str = "") -> dict[str, tuple[str | None, ...]]:
    """Return what was collected in a year, as Spark shows it."""
    requests = [each for day, requests in days.DAYS.items() if day.startswith(year) for each in requests]
    return {each: tuple(map(text, days.INPUTS[each])) for each in requests}


def text(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def check_article(cell: typing.Any, count: typing.Any) -> None:
    """Check the article's cell, and its SQL."""
    assert rows(cell, *days.COLUMNS[:4]) == {request: row[:4] for request, row in texts("2026").items()}
    assert [cell["types"][name] for name in days.COLUMNS[:4]] == ["int", "double", "boolean", "string"]
    assert count["rows"] == [{"requests": "3", "income": str((1.5 - 0.0 + 0.1) / 3)}]


OTHER_COLUMNS = ('file_type = "csv"', {"/inputs/2026/*/*/": "/inputs/202*/*/*/"})


@pytest.mark.timeout(600)
def test_each_cell_on_this_spark_by_abfs(account: Account, tmp_path: pathlib.Path) -> None:
    cell, count, joined, refused = run(
        sparks.current(),
        account,
        ABFS,
        changes={},
        skipped=(OF_DATABRICKS, 'format("delta")'),
        failing=[OTHER_COLUMNS],
        answer=tmp_path / "shown.json",
    )
    check_article(cell, count)
    assert rows(joined, *days.COLUMNS, "risk") == {
        request: (*row, text(days.PREDICTIONS[request][0])) for request, row in texts().items()
    }
    assert joined["types"]["since"] == joined["types"]["day"] == "date"
    assert "CSV header" in str(refused)


@pytest.mark.timeout(600)
def test_the_articles_cell_by_the_wasb_driver_and_the_delta_table(
    account: Account, closed: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    tables = f"file://{closed}/tables"
    cell, count, table, refused = run(
        sparks.older(),
        account,
        {**OVER_HTTP, **DELTA},
        changes={"wasbs://": "wasb://", "abfss://{container}@{host}/tables": tables},
        skipped=(OF_DATABRICKS, "prediction"),
        failing=[OTHER_COLUMNS],
        answer=tmp_path / "shown.json",
    )
    check_article(cell, count)
    assert rows(table, *days.COLUMNS) == texts()
    assert "CSV header" in str(refused)
