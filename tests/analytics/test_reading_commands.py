"""The commands that read: what they show, and their exit codes."""

from __future__ import annotations

import csv
import io
import os
import pathlib
import pty
import subprocess
import sys
import typing

import pytest
from pyarrow import parquet

from modeldata_analytics import __main__

from . import stores
from .collecting import ORIGIN, Collected, into_container, into_directory


@pytest.fixture
def root(tmp_path: pathlib.Path) -> str:
    for webservice in ("churn", "other"):
        origin = ORIGIN._replace(webservice=webservice)
        collected = Collected(into_directory(tmp_path / "store"), origin=origin)
        collected.collect([[number, "é" if number else ""] for number in range(30)], ["n", "text"])
        collected.collect([[number / 2] for number in range(30)], ["risk"], designation="predictions")
    return str(tmp_path / "store")


Run = typing.Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    def ran(*words: str) -> tuple[int, str, str]:
        code = __main__.main(words)
        out, err = capfdbinary.readouterr()
        return code, out.decode(), err.decode()

    return ran


def test_streams(root: str, run: Run) -> None:
    code, out, _ = run("streams", root)
    lines = [line.split() for line in out.splitlines()]
    assert code == 0
    assert lines[0][:5] == ["WORKSPACE", "WEBSERVICE", "MODEL", "VERSION", "DESIGNATION"]
    assert [line[:9] for line in lines[1:]] == [
        ["models", webservice, "churn", "10", designation, "2026-11-20", "2026-11-20", "1", "?"]
        for webservice in ("churn", "other")
        for designation in ("inputs", "predictions")
    ]


def test_table(root: str, run: Run) -> None:
    code, out, err = run("table", root, "churn", "--webservice", "churn", "--rows", "2")
    assert (code, err) == (0, "2 of 30 rows\n")
    assert out.split("\n")[0].split() == [
        *("$Version", "$Timestamp", "$CorrelationId", "$RequestId", "n", "text", "risk")
    ]
    code, out, err = run("table", root, "churn", "--webservice", "churn", "--request", "r-7")
    assert (code, out.split()[-3:], err) == (0, ["7", "é", "3.5"], "1 of 1 rows\n")


def test_table_as_csv(root: str, run: Run) -> None:
    code, out, err = run("table", root, "churn", "--webservice", "churn", "--version", "10", "--csv")
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert (code, err, len(rows)) == (0, "", 31)
    assert rows[0] == ["$Timestamp", "$CorrelationId", "$RequestId", "n", "text", "risk"]
    assert ["2026-11-20T12:00:00.000000Z", "r", "r-4", "4", "é", "2.0"] in rows
    assert 'r-0,0,"",0.0\r\n' in out


def test_export(root: str, run: Run, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "rows.parquet"
    code, _, err = run("export", root, "churn", str(file), "--webservice", "*", "--designation", "inputs")
    assert (code, err) == (0, f"60 rows in {file}\n")
    assert parquet.read_schema(file).names[:2] == ["$Version", "$Webservice"]


def test_what_goes_wrong_is_told_by_the_exit_code(root: str, run: Run, tmp_path: pathlib.Path) -> None:
    for words, expected, said in [
        (("table", root, "none"), 1, "there are (webservice/model/version) churn/churn/10, other/churn/10"),
        (("table", root, "churn"), 2, "name one, as --webservice='churn', or all by --webservice='*'"),
        (("table", root, "churn", "--since", "x"), 2, "since must be a day"),
        (("table", root, "churn", "--webservice", "churn", "--request", "x", "--csv"), 2, "do not go together"),
        (("export", root, "churn", "x.xlsx", "--webservice", "churn"), 2, "must end in .parquet or .csv"),
        (("export", root, "churn", "/none/x.csv", "--webservice", "churn"), 1, "/none"),
        (("streams", f"{root}/none/"), 3, "no directory"),
        (("streams", "https://account.blob.core.windows.net/c"), 2, "no credential"),
    ]:
        code, out, err = run(*words)
        assert (code, out) == (expected, ""), err
        assert said in err
        assert err.startswith(f"modeldata {words[0]}: ")
    for usage in (("table", root), ("streams", root, "--path", "{year}/{file}"), ("table", root, "m", "--memory", "x")):
        with pytest.raises(SystemExit) as ended:
            run(*usage)
        assert ended.value.code == 2


def test_repeated_requests_are_said(root: str, run: Run) -> None:
    collected = Collected(into_directory(pathlib.Path(root)), file="data.pod")
    collected.collect([[1, "x"]], ["n", "text"])
    code, _, err = run("table", root, "churn", "--webservice", "churn", "--rows", "0")
    assert code == 0
    assert "of inputs, 1 have an id that stands there before; --last keeps one of each" in err
    assert run("table", root, "churn", "--webservice", "churn", "--rows", "0", "--last")[2] == "0 of 30 rows\n"


@pytest.mark.azurite
def test_a_container_by_a_credential_of_the_environment(
    run: Run, local_azurite: typing.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = stores.container(local_azurite)
    Collected(into_container(container)).collect([[1]], ["n"])
    address = f"{local_azurite.endpoint}/{container.container_name}"
    monkeypatch.setenv("AZURE_STORAGE_KEY", local_azurite.account_key)
    assert run("table", address, "churn")[2] == "1 of 1 rows\n"
    monkeypatch.setenv("AZURE_STORAGE_KEY", "AAAA")
    code, out, err = run("table", address, "churn")
    assert (code, out) == (3, "")
    assert "refuse" in err


def test_a_terminal_shows_how_much_was_read(root: str) -> None:
    script = "import sys\nfrom modeldata_analytics import __main__\nfrom modeldata_analytics.reading import progress\n"
    script += "progress._LEAST_BYTES = 0\nsys.exit(__main__.main(sys.argv[1:]))"
    words = [sys.executable, "-c", script, "table", root, "churn", "--webservice", "churn"]
    ours, theirs = pty.openpty()
    ran = subprocess.run(words, stderr=theirs, stdout=subprocess.PIPE, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)
    assert b"reading" in shown
    assert b"reading" not in ran.stdout
