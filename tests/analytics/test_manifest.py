"""The manifest of a day says again what was said to it, and nothing that is no manifest is taken for one."""

from __future__ import annotations

import json
import typing

import pytest

from modeldata_analytics.days import manifest

FULL = manifest.Manifest(
    2,
    412,
    (("$RequestId", "VARCHAR"), ("größe", "DOUBLE")),
    {"data.csv": manifest.Source("2026", 812, 400), "data.pod-1.csv": manifest.Source("2027", 12, 12)},
    (manifest.Part("part-0001.parquet", 400), manifest.Part("part-0002.parquet", 12)),
    ("CSV", "Parquet"),
    manifest.Next(3, (manifest.Range("data.csv", "2026", 812, 900),)),
)


def test_it_is_read_as_it_was_written() -> None:
    for each in (manifest.Manifest(), FULL):
        assert manifest.read(each.to_bytes()) == each


def test_what_is_covered_is_of_the_same_file() -> None:
    assert FULL.covered("data.csv", "2026") == 812
    assert FULL.covered("data.csv", "another") == 0
    assert FULL.covered("data.1.csv", "2026") == 0


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
    yield whole.replace(b'"end": 900', b'"end": 812')


@pytest.mark.parametrize("content", list(damaged()))
def test_a_damaged_one_is_refused(content: bytes) -> None:
    with pytest.raises(manifest.ManifestError):
        manifest.read(content)
