"""Models under load do not notice that the operator is replaced, and clients and operators of two versions get on."""

from __future__ import annotations

import pathlib
import subprocess
import threading
import typing

import pytest

from .. import conftest, diabetes, installation

REPOSITORY = conftest.REPOSITORY
PARTS = ("operator", "client", "crds", "manifests", "examples/diabetes")


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, check=False)
    if done.returncode:
        pytest.fail(f"an upgrade begins with the release before, which git has: {done.stderr.decode()}", pytrace=False)
    return done.stdout


@pytest.fixture
def previous(tmp_path: pathlib.Path) -> pathlib.Path:
    """The repository as it was at the last tag, else before the last change of what is released."""
    tags = git("tag", "--merged", "HEAD^", "--sort=-creatordate").decode().split()
    release = tags[0] if tags else git("log", "-1", "--format=%H", "--", *PARTS).decode().strip() + "^"
    content = git("archive", "--format=tar", release)
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=content, check=True)
    return tmp_path


class Load:
    """Asks pods for predictions, one after the other, until it is ended."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.answered: list[tuple[float, ...]] = []
        self._ended = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def send(self) -> None:
        for address in self.addresses:
            row = diabetes.row()
            diabetes.score(address, [row])
            self.answered.append(row)

    def _run(self) -> None:
        # Some twenty requests a second: a load, and little enough for two cores that bring up pods meanwhile.
        while not self._ended.wait(0.1):
            try:
                self.send()
            except Exception as error:
                self._error = error
                return


@pytest.mark.timeout(600)
def test_models_do_not_notice_an_upgrade(
    world: typing.Any, previous: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    cluster, azurite, eventually = world.cluster, world.azurite, world.eventually

    def bring(root: pathlib.Path) -> None:
        conftest.localcluster("images", "operator", "diabetes", root=root)

    def replace_operator(root: pathlib.Path) -> None:
        installation.install(cluster, root)

    def address(name: str) -> str:
        (pod,) = world.get("pods", "-l", f"deployment={name}")["items"]
        assert world.injected(pod)
        return str(pod["status"]["podIP"])

    # Whatever happens, the tests behind this one find the present operator.
    request.addfinalizer(lambda: (bring(REPOSITORY), replace_operator(REPOSITORY)))
    bring(previous)
    replace_operator(previous)
    diabetes.collect(cluster, world.namespace, azurite)
    eventually(lambda: world.sas("modeldata-diabetes"))
    with Load() as load:
        diabetes.deploy(cluster, world.namespace, name="old")
        load.addresses.append(address("old"))
        bring(REPOSITORY)
        diabetes.deploy(cluster, world.namespace, name="new")
        load.addresses.append(address("new"))
        before = world.identity("diabetes")
        replace_operator(REPOSITORY)
        upgraded = len(load.answered)
        eventually(lambda: len(load.answered) > upgraded + 20)
    assert world.identity("diabetes") == before

    # Clients of both versions obey the present operator.
    generation = world.settings("diabetes")[0]["generation"]
    world.kubectl("patch", "mdc", "diabetes", "--type=merge", "-p", '{"spec": {"enabled": false}}')
    eventually(lambda: world.enabled("diabetes") == {False})
    # Looked at once more: by now the clients, who look ten times a second, have done so too.
    assert all(each["generation"] > generation for each in world.settings("diabetes"))
    answered = list(load.answered)
    load.send()
    load.answered[:] = answered
    world.kubectl("patch", "mdc", "diabetes", "--type=merge", "-p", '{"spec": {"enabled": true}}')
    eventually(lambda: world.enabled("diabetes") == {True})
    world.settings("diabetes")
    load.send()
    assert world.identity("diabetes") == before

    eventually(lambda: len(diabetes.collected(azurite, world.namespace)) >= len(load.answered), seconds=90)
    assert sorted(diabetes.collected(azurite, world.namespace)) == sorted(load.answered)
