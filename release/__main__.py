"""Build what is released: sdist and wheel of each distribution, and its bill of materials.

    make dist
    .venv/bin/python release --directory elsewhere

The same commit gives the same bytes, whoever builds it and where: times are the commit's, tools and dependencies are
pinned in constraints.txt. The images are built from the Containerfiles.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECTS = ("client", "client/azureml", "operator")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(prog="python release", description=__doc__.partition("\n")[0])
    parser.add_argument("--directory", type=pathlib.Path, default=ROOT / "dist", help="default: dist")
    parser.add_argument("--source", type=pathlib.Path, default=ROOT, help="another checkout to build")
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": commit_time()}
    for project in PROJECTS:
        build(arguments.source / project, directory, environment)
    for project in PROJECTS:
        bill_of_materials(arguments.source / project, directory, environment)
    for path in sorted(directory.iterdir()):
        print(path.name)  # noqa: T201 (what was asked for)


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


def build(project: pathlib.Path, directory: pathlib.Path, environment: dict[str, str]) -> None:
    """Build a project's sdist and wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--target", "wheel"]
    run([*command, "--directory", str(directory)], environment, cwd=project)


def bill_of_materials(project: pathlib.Path, directory: pathlib.Path, environment: dict[str, str]) -> None:
    """List what comes with a distribution when it is installed, in CycloneDX's JSON."""
    metadata = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = metadata["name"], metadata["version"]
    with tempfile.TemporaryDirectory(prefix="modeldata-release-") as scratch:
        run([sys.executable, "-m", "venv", "--without-pip", scratch], environment)
        python = str(pathlib.Path(scratch) / "bin/python")
        # By its name, as users do it: installed from a path, the path would be part of the list.
        options = [
            "--quiet",
            "--disable-pip-version-check",
            "--find-links",
            str(directory),
            "-c",
            str(ROOT / "constraints.txt"),
        ]
        run([sys.executable, "-m", "pip", "--python", python, "install", *options, f"{name}=={version}"], environment)
        target = directory / f"{name.replace('-', '_')}-{version}.cdx.json"
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
        pyproject = ["--pyproject", str(project / "pyproject.toml"), "--mc-type", "library"]
        run([*command, *pyproject, "-o", str(target), python], environment)


def run(command: list[str], environment: dict[str, str], *, cwd: pathlib.Path | None = None) -> None:
    """Run a program; if it fails, end with what it said."""
    done = subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
