"""Which file a row belongs to."""

from __future__ import annotations

import pytest

from modeldata import settings
from modeldata.encoding import paths
from modeldata.spool import records

MIDNIGHT = 1_795_219_200_000_000  # 2026-11-21T00:00:00Z


def directory(stream: records.Stream, microseconds: int = MIDNIGHT, identity: settings.Origin | None = None) -> str:
    known = settings.Settings(origin=identity or settings.Origin(webservice="scoring", model_version="3"))
    return paths.directory(stream, microseconds, known, settings.DEFAULT_PATH)


def test_the_default_template_is_filled() -> None:
    stream = records.Stream(model="ridge", designation="inputs")
    assert directory(stream) == "default/default/default/scoring/ridge/3/inputs/2026/11/21/{file}"


def test_the_day_is_the_rows_own_in_utc() -> None:
    stream = records.Stream(model="ridge", designation="inputs")
    assert "/2026/11/20/" in directory(stream, MIDNIGHT - 1)


def test_what_the_collector_was_told_goes_before_what_the_operator_knows() -> None:
    stream = records.Stream(model="m", designation="inputs", version="9", workspace="s/g/w", webservice="own")
    assert directory(stream).startswith("s/g/w/own/m/9/inputs/")


@pytest.mark.parametrize("text", ["../../etc", "a/b", "..", "", "a\\b", "{file}", "x" * 5000, "\x00\r\n"])
def test_no_text_climbs_out_of_its_folder(text: str) -> None:
    path = directory(records.Stream(model=text, designation=text))
    parts = path.split("/")
    assert len(parts) == 11
    assert all(part not in ("", ".", "..") for part in parts)
    assert path.count("{file}") == 1


def test_names_in_other_scripts_stay_apart() -> None:
    names = {directory(records.Stream(model=name, designation="inputs")) for name in ("日本", "中国", "Ελλάδα")}
    assert len(names) == 3


@pytest.mark.parametrize("field", ["model", "designation", "version", "webservice", "workspace"])
def test_different_names_never_share_a_folder(field: str) -> None:
    names = [
        *(
            "fraud/v1",
            "fraud v1",
            "fraud@v1",
            "fraud-v1",
            "fraud\\v1",
            "fraud--v1",
            "-fraud-v1",
            "fraud-v1.",
            "FRAUD-V1",
        ),
        *(
            "\U0001f600",
            "\U0001f680",
            "-1",
            "1",
            ".1",
            "..",
            "...",
            " ",
            "  ",
            "\n",
            "{file}",
            "{model}",
            "a" * 200 + "/",
        ),
        *("a" * 200, "a" * 201, "a/" * 200, "a " * 200, "e\u0301", "\u00e9"),
    ]
    named: dict[str, str] = {}
    for name in names:
        fields = {"model": "m", "designation": "inputs", field: name}
        path = directory(records.Stream(**fields))
        assert path not in named, (name, named[path])
        named[path] = name


@pytest.mark.parametrize("name", ["fraud-v1", "Fraud_1.2", "a(b)", "\u65e5\u672c", "2026-11-21", "x" * 128])
def test_a_name_that_is_a_folders_name_already_keeps_it(name: str) -> None:
    assert f"/{name}/3/{name}/" in directory(records.Stream(model=name, designation=name))
