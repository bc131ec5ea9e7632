"""What the host makes for an image before it is built, so that no step in it needs a network.

A build step could reach a package registry only through the machine's own proxies and certificates, which an image must
not hold. What is made is kept in the cache, under a name that says what it was made from.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import requirements
from console import ProblemError, step
from layout import REPOSITORY, Layout
from recipes import Python, Recipe

DEBIAN = "bookworm"
PYTHON = "3.11"
"""The Python that Debian bookworm has: it chooses the wheels."""


def debian(layout: Layout, recipe: Recipe) -> Path:
    """A directory with root.tar, a small Debian with the recipe's packages."""

    def make(directory: Path) -> None:
        with step(f"making a Debian {DEBIAN} with {', '.join(recipe.debian)}"):
            _run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(recipe.debian)}",
                  # Documentation and translations are a fifth of it.
                  "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                  "--dpkgopt=path-exclude=/usr/share/doc/*", DEBIAN, str(directory / "root.tar")])  # fmt: skip

    return _kept(layout, f"debian-{recipe.name}", " ".join((DEBIAN, *recipe.debian)), make)


def c_program(layout: Layout, recipe: Recipe, source: str) -> Path:
    """A directory with the static program that the C file becomes."""
    path = REPOSITORY / recipe.context / source

    def make(directory: Path) -> None:
        _run(["cc", "-Os", "-static", "-s", "-Wall", "-Werror", "-o", str(directory / path.stem), str(path)])

    return _kept(layout, f"c-{path.stem}", path.read_text(), make)


def node_modules(layout: Layout, recipe: Recipe) -> Path:
    """A directory with the node_modules of the recipe's package-lock.json."""
    requirements.need(requirements.NODE)
    sources = [REPOSITORY / recipe.context / name for name in ("package.json", "package-lock.json")]

    def make(directory: Path) -> None:
        for source in sources:
            shutil.copy(source, directory)
        with step(f"fetching the npm packages of {recipe.name}"):
            # No install scripts: what the image runs is JavaScript alone, and scripts would run here as root.
            _run(["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"], directory)

    return _kept(layout, f"npm-{recipe.name}", "".join(source.read_text() for source in sources), make)


def wheels(layout: Layout, recipe: Recipe, python: Python) -> Path:
    """A directory with a wheel of everything that the image installs, its build requirements too."""
    wanted = python_requirements(python)
    constraints = REPOSITORY / python.constraints

    def make(directory: Path) -> None:
        requirements.need_pip()
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--dest",
            str(directory),
            "--constraint",
            str(constraints),
        ]
        with step(f"fetching the wheels of {recipe.name}"):
            _run([*command, *_platform(), *wanted])

    return _kept(layout, f"wheels-{recipe.name}", "\n".join((*wanted, constraints.read_text(), *_platform())), make)


def python_requirements(python: Python, repository: Path = REPOSITORY) -> list[str]:
    """All requirements of the image, sorted, without our own projects: on PyPI their names may be someone else's."""
    wanted: set[str] = set()
    own: set[str] = set()
    for directory in python.projects:
        project = tomllib.loads((repository / directory / "pyproject.toml").read_text())
        own.add(distribution(project["project"]["name"]))
        wanted.update(project["project"].get("dependencies", ()))
        wanted.update(project["build-system"]["requires"])
        optional = project["project"].get("optional-dependencies", {})
        wanted.update(each for extra in python.extras for each in optional.get(extra, ()))
    for file in python.requirements:
        lines = (line.partition("#")[0].strip() for line in (repository / file).read_text().splitlines())
        wanted.update(line for line in lines if line)
    return sorted(requirement for requirement in wanted if distribution(requirement) not in own)


def distribution(requirement: str) -> str:
    """The normalized name of the distribution that a requirement is for."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    if name is None:
        raise ProblemError(f"{requirement!r} is no requirement: it begins with no name.")
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def _platform() -> list[str]:
    """Pip's options for the image's Python, which need not be the host's."""
    machine = platform.machine()
    tags = [*(f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)), f"manylinux2014_{machine}"]
    if machine == "x86_64":
        tags += [f"manylinux2010_{machine}", f"manylinux1_{machine}"]
    options = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp"]
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        options += ["--abi", abi]
    for tag in tags:
        options += ["--platform", tag]
    return options


def _kept(layout: Layout, name: str, inputs: str, make: Callable[[Path], None]) -> Path:
    """The cache's directory of this name and inputs, made if it is not there. An older one of the same name goes."""
    kept = layout.cache / "prepared"
    wanted = kept / f"{name}-{hashlib.sha256(inputs.encode()).hexdigest()[:12]}"
    if wanted.exists():
        return wanted
    kept.mkdir(parents=True, exist_ok=True)
    for unfinished in kept.glob(f"{name}.unfinished.*"):
        shutil.rmtree(unfinished)
    # A name of its own each time: what a killed run has started may still be writing into the former.
    unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.unfinished.", dir=kept))
    make(unfinished)
    for older in kept.glob(f"{name}-{'?' * 12}"):
        shutil.rmtree(older)
    unfinished.rename(wanted)
    return wanted


def _run(command: Sequence[str], directory: Path | None = None) -> None:
    environment = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProblemError(f"`{' '.join(command[:4])} ...` failed:\n{(done.stdout + done.stderr)[-2000:]}")
