import shutil
from pathlib import Path

import pytest

import programs
import requirements
from console import ProblemError
from layout import MODULES, Layout


def complete(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for name in programs.NAMES:
        (directory / name).touch(0o755)
    return directory


@pytest.fixture
def no_go(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> str:
        raise AssertionError("nothing needs to be built")

    monkeypatch.setattr(requirements, "go", never)


@pytest.mark.usefixtures("no_go")
def test_the_named_directory_comes_before_the_cache(tmp_path: Path) -> None:
    named = complete(tmp_path / "named")
    layout = Layout(tmp_path / "state", tmp_path / "cache", named)
    complete(programs.cached(layout))
    assert programs.find_or_build(layout) == named


def test_a_named_directory_that_lacks_a_program_is_refused(tmp_path: Path) -> None:
    named = complete(tmp_path / "named")
    (named / "kubelet").unlink()
    (named / "helm").chmod(0o644)
    with pytest.raises(ProblemError, match=r"LOCALCLUSTER_BIN names .* has no kubelet, helm"):
        programs.find_or_build(Layout(tmp_path / "state", tmp_path / "cache", named))


@pytest.mark.usefixtures("no_go")
def test_a_complete_cache_builds_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "cache")
    directory = complete(programs.cached(layout))
    assert programs.find_or_build(layout) == directory


def test_an_upgrade_goes_to_another_directory(tmp_path: Path) -> None:
    modules = shutil.copytree(MODULES, tmp_path / "modules")
    before = programs.key(modules)
    assert before == programs.key(MODULES)
    (modules / "etcd" / "go.mod").write_text("module other\n")
    assert programs.key(modules) != before


def test_versions_are_those_that_the_modules_pin() -> None:
    assert programs.version(programs.KUBERNETES) == "v1.35.4"
    assert "gitVersion=v1.35.4" in programs._link_flags(programs.KUBERNETES)
    assert "gitMinor=35" in programs._link_flags(programs.KUBERNETES)


def test_the_newest_go_that_a_module_asks_for_counts() -> None:
    assert requirements.wanted_go(["module a\n\ngo 1.25.0\n", "module b\n\ngo 1.26\n"]) == (1, 26, 0)


def test_without_go_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name, **options: None)
    with pytest.raises(ProblemError, match=r"there is no Go.*Install Go 1\.26\.0 or later.*LOCALCLUSTER_BIN"):
        requirements.go()


def test_too_old_a_go_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go version go1.19.8 linux/amd64\n")
    old.chmod(0o755)
    monkeypatch.setattr(requirements, "find", lambda name: str(old))
    with pytest.raises(ProblemError, match=r"too old \(go version go1\.19\.8"):
        requirements.go()
