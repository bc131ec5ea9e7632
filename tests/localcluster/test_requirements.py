import os

import pytest

import requirements
from console import ProblemError
from requirements import Requirement

MISSING = Requirement("containerd", "containerd", lambda: False)


def test_what_is_there_needs_nothing() -> None:
    requirements.need([Requirement("sh", "dash", lambda: True)])


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find", lambda name: None)
    with pytest.raises(ProblemError, match=r"missing: containerd, runc. .* packages containerd runc"):
        requirements.need([MISSING, Requirement("runc", "runc", lambda: False)])


def test_apt_installs_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    installed: list[str] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "find", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(requirements, "_install", installed.extend)
    requirements.need([Requirement("ctr", "containerd", lambda: bool(installed))])
    assert installed == ["containerd"]
    assert "installing containerd (for ctr)" in capsys.readouterr().out


def test_a_package_that_did_not_help_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "find", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(requirements, "_install", lambda packages: None)
    with pytest.raises(ProblemError, match="installed, but there is still no containerd"):
        requirements.need([MISSING])


def test_a_plain_user_is_told_to_be_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProblemError, match="needs root"):
        requirements.need_root()
