"""Who may use what lies in the spool."""

from __future__ import annotations

import pathlib

import pytest

from modeldata.spool import sharing


def test_a_directory_can_be_used_by_all_from_the_moment_it_is_there(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)
    real, there = sharing.share, []
    monkeypatch.setattr(sharing, "share", lambda path: (there.append((tmp_path / "made").exists()), real(path)))
    sharing.make(tmp_path / "made")
    assert there == [False]
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o777
    assert [each.name for each in tmp_path.iterdir()] == ["made"]


def test_a_directory_that_somebody_else_makes_meanwhile_stays(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def share(_: pathlib.Path) -> None:
        (tmp_path / "made").mkdir()
        (tmp_path / "made/lock").touch()

    monkeypatch.setattr(sharing, "share", share)
    sharing.make(tmp_path / "made")
    assert (tmp_path / "made/lock").exists()
    assert [each.name for each in tmp_path.iterdir()] == ["made"]
