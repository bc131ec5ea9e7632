"""What a container's cgroup says of its memory, in both versions that nodes have."""

from __future__ import annotations

import pathlib

import pytest

from modeldata.doctor import memory


def write(directory: pathlib.Path, **files: str) -> pathlib.Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / f"memory.{name}").write_text(content)
    return directory


def test_version_2(tmp_path: pathlib.Path) -> None:
    write(tmp_path, max="1000\n", current="700\n", stat="anon 500\ninactive_file 150\nactive_file 50\n")
    assert memory.left(tmp_path) == 450


def test_version_1(tmp_path: pathlib.Path) -> None:
    stat = "inactive_file 1\ntotal_inactive_file 150\n"
    write(tmp_path / "memory", limit_in_bytes="1000\n", usage_in_bytes="700\n", stat=stat)
    assert memory.left(tmp_path) == 450


def test_nothing_left_is_never_negative(tmp_path: pathlib.Path) -> None:
    write(tmp_path, max="1000\n", current="1100\n", stat="inactive_file 0\n")
    assert memory.left(tmp_path) == 0


@pytest.mark.parametrize("limit", ["max\n", ""])
def test_no_limit(tmp_path: pathlib.Path, limit: str) -> None:
    write(tmp_path, max=limit, current="700\n", stat="inactive_file 150\n")
    assert memory.left(tmp_path) is None


def test_no_cgroups(tmp_path: pathlib.Path) -> None:
    assert memory.left(tmp_path) is None
