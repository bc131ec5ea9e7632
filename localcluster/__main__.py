"""The machine-local Kubernetes that the demo and the tests run on."""

import argparse
import sys

import cluster
import image_store
import images
import layout
import programs
import recipes
import requirements
from console import ProblemError, complain, note

INTERRUPTED = 130


def main() -> int:
    arguments = parser().parse_args()
    try:
        where = layout.from_environment()
        return run(arguments, where)
    except ProblemError as problem:
        complain(str(problem))
    except KeyboardInterrupt:
        complain("interrupted. The same command goes on from here; `down` removes what there is.")
        return INTERRUPTED
    return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 localcluster", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="bring the cluster up, repair it, or do nothing if it is well")
    commands.add_parser("down", help="take it down and remove every trace of it")
    commands.add_parser("status", help="say whether it is up; exit 1 if not")
    commands.add_parser("packages", help="install what the cluster needs of the distribution; bring nothing up")
    commands.add_parser("programs", help="build the cluster's programs if they are not there; bring nothing up")
    build = commands.add_parser("images", help="build images, and import them if the cluster is up")
    build.add_argument("names", nargs="*", metavar="IMAGE", help=f"of {', '.join(recipes.NAMES)}; default: all")
    commands.add_parser("kubeconfig", help="print the kubeconfig's path")
    commands.add_parser("bin", help="print the directory of kubectl, helm and the others")
    commands.add_parser("env", help="print lines for a shell to eval: KUBECONFIG and PATH")
    return top


def run(arguments: argparse.Namespace, where: layout.Layout) -> int:
    match arguments.command:
        case "up":
            cluster.up(where)
        case "down":
            cluster.down(where)
        case "status":
            note(cluster.describe(where))
            return 0 if cluster.healthy(where) else 1
        case "packages":
            requirements.need((*requirements.CLUSTER, *requirements.IMAGES))
        case "programs":
            note(str(programs.find_or_build(where)))
        case "images":
            bring_images(where, arguments.names or list(recipes.NAMES))
        case "kubeconfig":
            note(str(where.kubeconfig))
        case "bin":
            note(str(programs.directory(where)))
        case "env":
            note(cluster.environment(where))
    return 0


def bring_images(where: layout.Layout, names: list[str]) -> None:
    """Builds these images, and imports them into the cluster if it is up."""
    built = [images.build(where, name) for name in names]
    if not image_store.answers(where):
        note("the cluster is not up, so the images are only built")
        return
    for image in built:
        image_store.bring(where, image)
    note(f"the cluster holds {', '.join(image.name for image in built)}")


if __name__ == "__main__":
    sys.exit(main())
