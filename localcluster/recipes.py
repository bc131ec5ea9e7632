"""The images there are, and what each is made of."""

import dataclasses
from pathlib import Path

from console import ProblemError
from layout import REPOSITORY

OWN = Path("localcluster/images")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An image: its Containerfile, and what the host prepares so that the build needs no network."""

    name: str
    image: str
    containerfile: Path
    context: Path = Path()
    """What COPY's sources are relative to; itself relative to the repository."""
    base: str | None = None
    """The recipe whose image is given to the Containerfile as BASE, in the place of one from a registry."""
    debian: tuple[str, ...] = ()
    """Debian packages: the context gets root.tar, a Debian with these."""
    c_program: str | None = None
    """A C file of the context: the context gets the static program it becomes."""
    npm: bool = False
    """Whether the context gets the node_modules that its package-lock.json describes."""
    python: "Python | None" = None
    one_time: bool = False
    """Whether all files get one time, so that the same sources make the same image, to the byte. What Python compiled
    must then know its source by a hash: by its time it would be found stale, and compiled again at each start."""


@dataclasses.dataclass(frozen=True)
class Python:
    """What the image installs with pip: the build gets all of it as wheels."""

    constraints: str
    projects: tuple[str, ...]
    """Directories of ours with a pyproject.toml, whose dependencies and build requirements are needed."""
    requirements: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    """Of the projects' optional dependencies, those that the image installs too."""


ALL = (
    Recipe("pause", "localhost/pause:1", OWN / "pause/Containerfile", OWN / "pause", c_program="pause.c"),
    Recipe(
        "python",
        "localhost/python:3.11",
        OWN / "debian/Containerfile",
        OWN / "debian",
        debian=("python3", "python3-venv", "python3-pip", "ca-certificates"),
    ),
    Recipe(
        "node", "localhost/node:18", OWN / "debian/Containerfile", OWN / "debian", debian=("nodejs", "ca-certificates")
    ),
    Recipe("azurite", "localhost/azurite:dev", OWN / "azurite/Containerfile", OWN / "azurite", base="node", npm=True),
    Recipe(
        "operator",
        "localhost/modeldata-operator:dev",
        Path("operator/Containerfile"),
        base="python",
        python=Python("constraints.txt", projects=("operator",)),
        one_time=True,
    ),
    Recipe(
        "analytics",
        "localhost/modeldata-analytics:dev",
        Path("analytics/Containerfile"),
        base="python",
        python=Python("constraints.txt", projects=("analytics",), extras=("delta", "identity")),
        one_time=True,
    ),
    Recipe(
        "diabetes",
        "localhost/diabetes:dev",
        Path("examples/diabetes/Containerfile"),
        base="python",
        python=Python(
            "examples/diabetes/constraints.txt",
            projects=("client", "client/azureml"),
            requirements=("examples/diabetes/requirements.txt",),
        ),
    ),
    Recipe(
        "serving",
        "localhost/serving:dev",
        Path("examples/serving/Containerfile"),
        base="python",
        python=Python(
            "examples/serving/constraints.txt",
            projects=("client",),
            requirements=("examples/serving/requirements.txt",),
        ),
    ),
)
NAMES = tuple(recipe.name for recipe in ALL)


def named(name: str) -> Recipe:
    """The recipe of this name."""
    for recipe in ALL:
        if recipe.name == name:
            return recipe
    raise ProblemError(f"there is no image {name!r}; there are {', '.join(NAMES)}.")


def containerfile(recipe: Recipe, repository: Path = REPOSITORY) -> str:
    """The text of the recipe's Containerfile."""
    try:
        return (repository / recipe.containerfile).read_text()
    except FileNotFoundError as error:
        raise ProblemError(f"the image {recipe.name} has no {recipe.containerfile}.") from error


def copied(text: str) -> list[str]:
    """The sources of a Containerfile's COPY instructions: all that the image takes from its context."""
    sources: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0].upper() != "COPY":
            continue
        arguments = [word for word in words[1:] if not word.startswith("--")]
        if not any(word.startswith("--from=") for word in words):
            sources += arguments[:-1]
    return list(dict.fromkeys(sources))
