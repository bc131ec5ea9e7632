"""Arguments that say which rows are meant, and what becomes of the command where they can't be had."""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
import typing
import warnings

from ..days import manifest, template
from ..reading import AmbiguousError, Model, NotFoundError, ReadingError, RepeatsWarning, Store, opening
from ..storage import StorageError
from . import storing

DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3

_MEMORY = re.compile(r"([1-9][0-9]{0,8})([KMGT])(i?)B?")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which store."""
    storing.add(parser)
    parser.add_argument(
        "--path", type=_template, default=template.Template(), help="spec.storage.path of the DataCollection"
    )


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which rows."""
    add_store(parser)
    parser.add_argument("model", metavar="MODEL", help="its name, as its collector was given it")
    parser.add_argument("--version", help="default: all versions, told apart by a column")
    for name in ("webservice", "workspace", "resource-group", "subscription", "namespace"):
        parser.add_argument(f"--{name}", help="needed where there is more than one; '*': all, told apart by a column")
    parser.add_argument("--since", metavar="TIME", help="the first day, such as 2026-11-01, or a time in ISO 8601")
    parser.add_argument("--until", metavar="TIME", help="the last day, or the time before which rows were collected")
    parser.add_argument(
        "--designation",
        action="append",
        metavar="NAME",
        dest="designations",
        help="may be given several times; default: inputs, predictions and labels",
    )
    parser.add_argument(
        "--last", action="store_true", help="of a request that was tried again, keep the last row that has all"
    )
    parser.add_argument(
        "--scratch", type=pathlib.Path, metavar="DIRECTORY", help="with room for what is read; default: the system's"
    )
    parser.add_argument("--memory", type=_memory, default="1GB", help="for DuckDB; default: 1GB")


def store(arguments: argparse.Namespace) -> Store:
    """Return the store. Raises ``storing.UsageError``."""
    memory, scratch = getattr(arguments, "memory", "1GB"), getattr(arguments, "scratch", None)
    return Store.of(opening.Reader(storing.open_store(arguments), arguments.path, memory, scratch))


def model(arguments: argparse.Namespace) -> Model:
    """Return the model. Raises ``storing.UsageError`` and ``NotFoundError``."""
    return store(arguments).model(
        arguments.model,
        version=arguments.version,
        webservice=arguments.webservice,
        workspace=arguments.workspace,
        resource_group=arguments.resource_group,
        subscription=arguments.subscription,
        namespace=arguments.namespace,
    )


def repeated(arguments: argparse.Namespace) -> typing.Literal["keep", "last"]:
    """Return what becomes of requests that were tried again."""
    return "last" if arguments.last else "keep"


def run(name: str, work: typing.Callable[[], None]) -> int:
    """Do the work of a command; say what goes wrong, and return the exit code."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", RepeatsWarning)
        code = _run(name, work)
    for each in told:
        text = str(each.message).replace('repeated="last"', "--last")
        print(f"modeldata {name}: {text}", file=sys.stderr)
    return code


def _run(name: str, work: typing.Callable[[], None]) -> int:
    try:
        work()
        return DONE
    except StorageError as error:
        code, text = REFUSED, str(error)
    except (storing.UsageError, AmbiguousError, ValueError) as error:
        code, text = USAGE, _as_options(str(error))
    except (NotFoundError, ReadingError, manifest.ManifestError) as error:
        code, text = FAILED, str(error)
    except OSError as error:
        code, text = FAILED, f"{error.filename or 'the disk'}: {error.strerror or error}"
    print(f"modeldata {name}: {text}", file=sys.stderr)
    return code


def _as_options(text: str) -> str:
    return re.sub(r"\b(webservice|workspace|resource_group|subscription|namespace)='", _option, text)


def _option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')}='"


def _template(text: str) -> template.Template:
    try:
        return template.Template(text)
    except template.TemplateError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _memory(text: str) -> str:
    found = _MEMORY.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 1GB or 1Gi")
    return f"{found[1]}{found[2]}{found[3]}B"
