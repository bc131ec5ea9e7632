"""``python -m modeldata``."""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import sys

from .process import lifecycle

USAGE = """usage: python -m modeldata doctor
       python -m modeldata init DIRECTORY --local
       python -m modeldata init DIRECTORY [--connection-string TEXT] [--container NAME]

  doctor    says what is configured here, whether storage can be reached, and what waits in the spool;
            changes nothing. Ends with 0 if nothing is wrong, else with 1.
  init      makes a directory for MODELDATA_DIR: settings, a credential, room for what waits. With --local rows go to
            DIRECTORY/data; else to a container (modeldata) of the account whose connection string is in
            AZURE_STORAGE_CONNECTION_STRING, by a SAS for seven days. Called again, it makes a new SAS.
"""


class _Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        return USAGE

    def format_usage(self) -> str:
        return USAGE


def main(arguments: list[str]) -> int:
    """Run a command; return the exit code."""
    if not arguments:
        sys.stdout.write(USAGE)
        return 0
    options = _options(arguments)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    for logger in ("modeldata", "azure"):
        logging.getLogger(logger).addHandler(logging.NullHandler())  # what they would say, the report does
    missing = lifecycle.unsupported()
    if missing:  # both would need it too
        sys.stdout.write(f"nothing is collected here: {missing}\n")
        return 1
    if options.command == "doctor":
        from .doctor import examination

        return examination.report(sys.stdout.write)
    return _init(options)


def _options(arguments: list[str]) -> argparse.Namespace:
    """Return what is asked for.

    Raises:
        SystemExit: with 2, where that is no command of ours.

    """
    parser = _Parser(prog="python -m modeldata", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    commands.add_parser("doctor", allow_abbrev=False)
    init = commands.add_parser("init", allow_abbrev=False)
    init.add_argument("directory", type=pathlib.Path)
    where = init.add_mutually_exclusive_group()
    where.add_argument("--local", action="store_true")
    where.add_argument("--connection-string")
    init.add_argument("--container")
    return parser.parse_args(arguments)


def _init(options: argparse.Namespace) -> int:
    from . import preparation

    connection = options.connection_string or os.environ.get(preparation.VARIABLE, "")
    try:
        if options.local and options.container:
            raise preparation.RefusedError("--container is an account's: with --local rows go to DIRECTORY/data")
        if options.local:
            made = preparation.local(options.directory)
        elif connection:
            made = preparation.remote(options.directory, connection, options.container or preparation.CONTAINER)
        else:
            raise preparation.RefusedError(
                f"where are rows to go? --local, or a connection string in {preparation.VARIABLE}"
            )
    except preparation.RefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    sys.stdout.write(preparation.describe(made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
