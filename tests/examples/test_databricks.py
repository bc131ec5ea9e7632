"""The notebook of examples/databricks, cell by cell, on closed days in a real Azurite."""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import sys
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

ABFS = {
    "fs.azure.always.use.https": "false",
    "fs.azure.networking.library": "JDK_HTTP_URL_CONNECTION",
    "fs.azure.account.hns.enabled": "false",
    # Azurite speaks no TLS here, and the scheme of the articles is the ABFS driver's since Hadoop 3.5.
    "fs.abfss.impl": "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem",
    "fs.wasbs.impl": "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem",
}

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
    options: dict[str, str],
    *,
    changes: dict[str, str] | None = None,
    skipped: tuple[str, ...] = (),
) -> Shown:
    """Return what the notebook's cells show."""
    hadoop = {f"spark.hadoop.{name}": value for name, value in options.items() if not name.startswith("spark.")}
    asked = {
        "notebook": str(NOTEBOOK),
        "options": {**sparks.ALONE, **{k: v for k, v in options.items() if k.startswith("spark.")}, **hadoop},
        "widgets": {**WIDGETS, "account": "devstoreaccount1", "container": account.container},
        "sas": account.sas,
        "changes": changes or {},
        "skipped": skipped,
    }
    asked["options"]["spark.jars"] = ",".join(map(str, spark.jars))
    done = subprocess.run(
        [spark.python, str(HERE / "databricks_cells.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    found: Shown = json.loads(done.stdout)
    return found


def test_try(account: Account) -> None:
    spark = sparks.current()
    options = {
        **ABFS,
        "fs.azure.abfs.endpoint": f"127.0.0.1:{account.port}",
        "fs.azure.account.auth.type": "SAS",
        "fs.azure.sas.fixed.token": account.sas,
    }
    for each in run(
        spark,
        account,
        options,
        skipped=('format("delta")',),
        changes={"wasbs://{container}@{account}.blob.": "abfss://{container}@{account}.dfs."},
    ):
        print(json.dumps(each, indent=1))


def test_wasb(account: Account) -> None:
    spark = sparks.older()
    options = {
        "fs.azure.storage.emulator.account.name": "devstoreaccount1.blob.core.windows.net",
        "spark.driver.extraJavaOptions": f"-Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort={account.port} -Dhttp.nonProxyHosts=none",
    }
    for each in run(spark, account, options, skipped=("tables", "predictions")):
        print(json.dumps(each, indent=1))
