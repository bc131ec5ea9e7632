"""Build what is released: sdist and wheel of each distribution, and its bill of materials.

    make dist
    .venv/bin/python release --directory elsewhere

The same commit gives the same bytes, whoever builds it and where: times are the commit's, tools and dependencies are
pinned in constraints.txt. The images are built from the Containerfiles.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECTS = ("client", "client/azureml", "operator")
SUMS = "SHA256SUMS"


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="python release", description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument("--source", type=pathlib.Path, default=ROOT, help="another checkout to build")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    for older in (*directory.glob("modeldata*"), *directory.glob(SUMS)):
        older.unlink()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": commit_time()}
    wheels = [build(arguments.source / project, directory, environment) for project in PROJECTS]
    for project, wheel in zip(PROJECTS, wheels, strict=True):
        bill_of_materials(arguments.source / project, wheel, wheels, environment)
    built = sorted(directory.glob("modeldata*"))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in built)
    (directory / SUMS).write_text(sums, encoding="utf-8")
    print(sums, end="")  # noqa: T201 (what was asked for)


def commit_time() -> str:
    """Return when the last commit was made, in seconds since the epoch: what files in the archives say of their age."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return given
    done = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit("no git history to take the time from: set SOURCE_DATE_EPOCH")
    return done.stdout.strip()


def build(project: pathlib.Path, directory: pathlib.Path, environment: dict[str, str]) -> pathlib.Path:
    """Build a project's sdist and, of it, so that it is known to be whole, the wheel; return the wheel."""
    sdist = archive("sdist", project, directory, environment)
    with tempfile.TemporaryDirectory(prefix="modeldata-release-") as unpacked:
        with tarfile.open(sdist) as packed:
            packed.extractall(unpacked, filter="data")
        (inner,) = pathlib.Path(unpacked).iterdir()
        return archive("wheel", inner, directory, environment)


def archive(target: str, project: pathlib.Path, directory: pathlib.Path, environment: dict[str, str]) -> pathlib.Path:
    """Have hatchling build an sdist or a wheel; return it."""
    with tempfile.TemporaryDirectory(prefix=f"{target}-", dir=directory) as alone:
        run(
            [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", alone], environment, project
        )
        (built,) = pathlib.Path(alone).iterdir()
        return built.rename(directory / built.name)


def bill_of_materials(
    project: pathlib.Path, wheel: pathlib.Path, wheels: list[pathlib.Path], environment: dict[str, str]
) -> None:
    """List what comes with a distribution when it is installed, in CycloneDX's JSON, beside its wheel."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Of ours, what was built just now: their names may be someone else's where pip looks for all others.
    needed = [each for each in wheels if each == wheel or any(is_of(each, text) for text in metadata["dependencies"])]
    with tempfile.TemporaryDirectory(prefix="modeldata-release-") as scratch:
        run([sys.executable, "-m", "venv", "--without-pip", scratch], environment)
        python = str(pathlib.Path(scratch) / "bin/python")
        options = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--no-compile"]
        command = [sys.executable, "-m", "pip", "--python", python, "install", *options]
        run([*command, "-c", str(ROOT / "constraints.txt"), *(str(each) for each in needed)], environment)
        # It is validated by a test: that takes 13 s.
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--no-validate"]
        command += ["--short-PURLs", "--pyproject", str(project / "pyproject.toml"), "--mc-type", "library", python]
        bill = without_addresses(json.loads(run(command, environment)))
    target = wheel.with_name(f"{'-'.join(wheel.name.split('-')[:2])}.cdx.json")
    target.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def is_of(wheel: pathlib.Path, requirement: str) -> bool:
    """Tell whether a wheel is what a requirement asks for."""
    name = re.match(r"[\w.-]+", requirement)
    return name is not None and name[0].replace("-", "_") == wheel.name.partition("-")[0]


def without_addresses(part: typing.Any) -> typing.Any:
    """Leave out where things can be got, and where ours lay: what they are, name and version say."""
    if isinstance(part, list):
        return [without_addresses(each) for each in part]
    if isinstance(part, dict):
        return {name: without_addresses(each) for name, each in part.items() if name != "externalReferences"}
    return part


def run(command: list[str], environment: dict[str, str], directory: pathlib.Path | None = None) -> str:
    """Run a program and return what it printed; if it fails, end with what it said."""
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
