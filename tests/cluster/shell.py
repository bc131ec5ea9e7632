"""A user's shell in a checkout: what the pages say is typed into it."""

from __future__ import annotations

import json
import os
import pathlib
import typing

import yaml

from ..docs.pages import REPOSITORY, stand_in, typed

DOCKER = pathlib.Path(__file__).with_name("docker.py")


class Shell:
    """Runs commands with kubectl, helm, and stand-ins for docker and kind (``docker.py``).

    Args:
        cluster: what kubectl and helm talk to.
        directory: the user's home.
        namespace: the kubectl context's.
        variables: what the user has set.

    """

    def __init__(self, cluster: typing.Any, directory: pathlib.Path, namespace: str = "", **variables: str) -> None:
        config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
        for each in config["contexts"]:
            each["context"]["namespace"] = namespace or "default"
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(json.dumps(config), encoding="utf-8")
        programs = directory / "bin"
        programs.mkdir()
        for name in ("docker", "kind"):
            stand_in(programs / name, DOCKER, name)
        path = f"{programs}:{cluster.programs}:{os.environ['PATH']}"
        own = {"PATH": path, "KUBECONFIG": str(kubeconfig), "HOME": str(directory)}
        # docker.py runs localcluster, whose cache is at home: this machine's, whatever the user's is.
        cache = os.environ.get("XDG_CACHE_HOME", str(pathlib.Path.home() / ".cache"))
        self._environment = {**os.environ, **own, "XDG_CACHE_HOME": cache, **variables}

    def __call__(self, commands: str, *, check: bool = True) -> str:
        """Return what commands print; the first that fails is an error, unless told not to check."""
        return typed(commands, REPOSITORY, self._environment, check=check)
