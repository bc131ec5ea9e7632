import json
import re
from pathlib import Path

import pytest

import freshness
import preparations
import recipes
from console import ProblemError
from layout import REPOSITORY, Layout
from oci import Image
from recipes import Python


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "operator" / "package").mkdir(parents=True)
    (tmp_path / "operator" / "package" / "a.py").write_text("a = 1\n")
    (tmp_path / "constraints.txt").write_text("kopf==1.45.2\n")
    return tmp_path


SOURCES = ("constraints.txt", "operator")


def test_the_same_inputs_have_the_same_hash(context: Path) -> None:
    before = freshness.of(["FROM scratch"], context, SOURCES)
    (context / "operator" / "package" / "__pycache__").mkdir()
    (context / "operator" / "package" / "__pycache__" / "a.pyc").write_text("compiled")
    (context / "README.md").write_text("not copied into the image")
    assert freshness.of(["FROM scratch"], context, SOURCES) == before


def test_every_input_changes_the_hash(context: Path) -> None:
    hashes = {freshness.of(["FROM scratch"], context, SOURCES)}
    hashes.add(freshness.of(["FROM scratch", "sha256:another base"], context, SOURCES))
    module = context / "operator" / "package" / "a.py"
    module.write_text("a = 2\n")
    hashes.add(freshness.of(["FROM scratch"], context, SOURCES))
    module.chmod(0o755)
    hashes.add(freshness.of(["FROM scratch"], context, SOURCES))
    module.rename(module.with_name("b.py"))
    hashes.add(freshness.of(["FROM scratch"], context, SOURCES))
    (context / "constraints.txt").write_text("kopf==1.45.3\n")
    hashes.add(freshness.of(["FROM scratch"], context, SOURCES))
    assert len(hashes) == 6


def test_the_sources_are_what_the_containerfile_copies() -> None:
    text = """\
FROM base
COPY constraints.txt operator/pyproject.toml ./
RUN echo COPY nothing
copy --chown=1:1 operator \\
  ./operator
COPY --from=other /x /y
"""
    assert recipes.copied(text) == ["constraints.txt", "operator/pyproject.toml", "operator"]


@pytest.mark.parametrize("recipe", recipes.ALL, ids=lambda recipe: recipe.name)
def test_each_image_builds_with_docker_too(recipe: recipes.Recipe) -> None:
    text = recipes.containerfile(recipe)
    if recipe.base:
        base = re.search(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
        assert base is not None
        assert base[1].startswith("docker.io/library/")
        assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE), "Pod Security `restricted` wants a number"
        assert re.search(r"^ENTRYPOINT \[", text, re.MULTILINE), "a shell would not pass SIGTERM on"
    if recipe.python:
        assert 'ARG PIP_ARGS=""' in text
        assert text.count("pip install ${PIP_ARGS} ") == text.count("pip install")


def test_requirements_are_gathered_without_our_own_names(tmp_path: Path) -> None:
    for name, dependencies in (("model_data", '["orjson>=3.9"]'), ("shim", '["Model.Data>=0.1"]')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(
            f'[build-system]\nrequires = ["hatchling"]\n[project]\nname = "{name}"\ndependencies = {dependencies}\n'
        )
    (tmp_path / "requirements.txt").write_text("# what it serves with\nscikit-learn # Ridge\n\n")
    python = Python("constraints.txt", projects=("model_data", "shim"), requirements=("requirements.txt",))
    assert preparations.python_requirements(python, tmp_path) == ["hatchling", "orjson>=3.9", "scikit-learn"]


def test_what_was_prepared_is_kept_and_an_older_one_goes(tmp_path: Path) -> None:
    made: list[str] = []
    layout = Layout(tmp_path / "state", tmp_path / "cache")

    def prepare(inputs: str) -> Path:
        return preparations._kept(layout, "wheels", inputs, lambda directory: made.append(inputs))

    first = prepare("one")
    assert prepare("one") == first
    second = prepare("two")
    assert made == ["one", "two"]
    assert second.exists()
    assert not first.exists()


def test_an_interrupted_preparation_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state", tmp_path / "cache")

    def interrupted(directory: Path) -> None:
        (directory / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preparations._kept(layout, "wheels", "one", interrupted)
    kept = preparations._kept(layout, "wheels", "one", lambda directory: (directory / "whole").touch())
    assert [entry.name for entry in kept.iterdir()] == ["whole"]


def test_an_image_is_complete_only_with_all_its_layers(tmp_path: Path) -> None:
    image = Image("localhost/x:dev", "sha256:aa", tmp_path)
    assert not image.complete()
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (blobs / "aa").write_text(json.dumps({"config": {"digest": "sha256:bb"}, "layers": [{"digest": "sha256:cc"}]}))
    (blobs / "bb").touch()
    assert not image.complete()
    (blobs / "cc").touch()
    assert image.complete()
    assert image.blobs() == ["sha256:aa", "sha256:bb", "sha256:cc"]


def test_an_unknown_image_is_answered_with_those_there_are() -> None:
    with pytest.raises(ProblemError, match="pause, python, node, azurite, operator, analytics, diabetes"):
        recipes.named("oprator")


def test_the_npm_lock_records_no_addresses() -> None:
    lock = json.loads((REPOSITORY / "localcluster/images/azurite/package-lock.json").read_text())
    assert lock["packages"]["node_modules/azurite"]["version"] == "3.35.0"
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
