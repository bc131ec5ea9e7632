"""The manifest of a day says again what was said to it, and nothing that is no manifest is taken for one."""

from __future__ import annotations

import json
import typing

import pytest

from modeldata_analytics.days import manifest

FULL = manifest.Manifest(
    2,
    412,
    (manifest.Column("$RequestId", "VARCHAR"), manifest.Column("größe", "DOUBLE")),
    {"data.csv": manifest.Source("2026", "f1", 812, 400), "data.pod-1.csv": manifest.Source("2027", "f2", 12, 12)},
    (manifest.Part("part-0001.parquet", 400, ()), manifest.Part("part-0002.parquet", 12, ("größe",))),
    ("CSV", "Parquet"),
    manifest.Next(
        3,
        (manifest.Range("data.csv", "2026", "f1", 812, 900, 9), manifest.Range("data.1.csv", "2028", "f3", 0, 20, 1)),
        (
            manifest.Column("$RequestId", "VARCHAR"),
            manifest.Column("größe", "DOUBLE"),
            manifest.Column("new", "BIGINT"),
        ),
        8,
        ("größe",),
        ("CSV", "Parquet"),
    ),
)


def test_it_is_read_as_it_was_written() -> None:
    for each in (manifest.Manifest(), FULL):
        assert manifest.read(each.to_bytes()) == each


def test_what_is_covered_is_of_the_same_file() -> None:
    assert FULL.covered("data.csv", "2026") == 812
    assert FULL.covered("data.csv", "another") == 0
    assert FULL.covered("data.1.csv", "2026") == 0


def test_a_copy_of_a_file_is_told_by_its_first_row() -> None:
    assert FULL.covered("data.csv", "f1") == 812


def test_a_finished_pass_is_what_is_closed() -> None:
    done = FULL.advanced()
    assert done.next is None
    assert (done.number, done.rows, len(done.columns)) == (3, 420, 3)
    assert done.sources["data.csv"] == manifest.Source("2026", "f1", 900, 409)
    assert done.sources["data.1.csv"] == manifest.Source("2028", "f3", 20, 1)
    assert done.sources["data.pod-1.csv"] == FULL.sources["data.pod-1.csv"]
    assert done.parts[-1] == manifest.Part("part-0003.parquet", 8, ("größe",))


def test_a_newer_one_is_told_from_a_damaged_one() -> None:
    with pytest.raises(manifest.Newer, match="upgrade"):
        manifest.read(b'{"version": 2}')


def damaged() -> typing.Iterator[bytes]:
    whole = FULL.to_bytes()
    yield from (b"", b"[]", b"null", b"\xff", whole[:-10], b"[" * 100_000)
    for key in json.loads(whole):
        document = json.loads(whole)
        del document[key]
        yield json.dumps(document).encode()
        for wrong in ("x", -1, [1], {"x": 1}, True):
            yield json.dumps({**document, key: wrong}).encode()
    for name in ("../data.csv", "data/../x.csv", "other.csv"):
        yield whole.replace(b'"data.csv"', json.dumps(name).encode())
    yield whole.replace(b"part-0001.parquet", b"../part-0001.parquet")
    yield whole.replace(b'"DOUBLE"', b'"DOUBLE); drop table x; --"')
    yield whole.replace(b'"end": 900', b'"end": 812')


@pytest.mark.parametrize("content", list(damaged()))
def test_a_damaged_one_is_refused(content: bytes) -> None:
    with pytest.raises(manifest.ManifestError):
        manifest.read(content)
