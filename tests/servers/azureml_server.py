"""azureml-inference-server-http in an environment of its own: it wants older libraries than the tests do."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import venv

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


def python() -> pathlib.Path:
    """Return its interpreter; installed once, outside the repository, in the versions that the demo's image pins."""
    constraints = REPOSITORY / "examples/diabetes/constraints.txt"
    client = tomllib.loads((REPOSITORY / "client/pyproject.toml").read_text())
    wanted = ["azureml-inference-server-http", *client["project"]["dependencies"]]
    key = hashlib.sha256(repr((sys.version, constraints.read_text(), wanted)).encode()).hexdigest()[:12]
    caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "modeldata"
    caches.mkdir(parents=True, exist_ok=True)
    directory = caches / f"azureml-server-{key}"
    with (caches / "azureml-server.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not (directory / "ready").exists():
            shutil.rmtree(directory, ignore_errors=True)
            venv.create(directory, with_pip=True)
            pip = [directory / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "-c", constraints, *wanted], check=True)
            (directory / "ready").touch()
    return directory / "bin/python"


def environment() -> dict[str, str]:
    """Return what its processes are to find beside what they have: the client as it is here, and the shim."""
    return {
        "PYTHONPATH": os.pathsep.join(str(REPOSITORY / path) for path in ("client", "client/azureml")),
        "GUNICORN_CMD_ARGS": "--worker-tmp-dir /dev/shm",
    }
