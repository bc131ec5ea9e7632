"""A stand-in for docker and kind, which can't run everywhere: their command lines, by localcluster and containerd.

``docker build`` takes what docker would: a file named, or else ``Dockerfile``, that is one of the repository's, and a
context that has all that it copies. ``docker push`` and ``kind load`` take only what was built.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "localcluster"))

import layout  # noqa: E402 (localcluster is a program, not a package)
import recipes  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    programs = parser.add_subparsers(dest="program", required=True)
    docker = programs.add_parser("docker").add_subparsers(dest="verb", required=True)
    build = docker.add_parser("build")
    build.add_argument("-t", dest="name", required=True)
    build.add_argument("-f", dest="file", type=pathlib.Path)
    build.add_argument("context", type=pathlib.Path)
    docker.add_parser("push").add_argument("names", nargs=1)
    load = programs.add_parser("kind").add_subparsers(dest="verb", required=True).add_parser("load")
    load.add_argument("what", choices=["docker-image"])
    load.add_argument("names", nargs="+")
    given = parser.parse_args()
    if given.verb == "build":
        build_image(given.name, given.file or given.context / "Dockerfile", given.context)
    else:
        present = ctr("list", "--quiet").split()
        if missing := [name for name in given.names if name not in present]:
            sys.exit(f"there is no image {', '.join(missing)}")


def build_image(name: str, file: pathlib.Path, context: pathlib.Path) -> None:
    """Have localcluster build the image of this file, and give it this name in the cluster."""
    found = [each for each in recipes.ALL if (REPOSITORY / each.containerfile).samefile(file)]
    if not found:
        sys.exit(f"{file} is none of the repository's")
    (recipe,) = found
    copied = recipes.copied(recipes.containerfile(recipe))
    if missing := [each for each in copied if not (context / each).exists()]:
        sys.exit(f"{context} has no {', '.join(missing)}")
    subprocess.run([sys.executable, str(REPOSITORY / "localcluster"), "images", recipe.name], check=True)
    if name != recipe.image:
        ctr("tag", "--force", recipe.image, name)


def ctr(*arguments: str) -> str:
    socket = layout.from_environment().containerd_socket
    command = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
