"""The command ``modeldata``."""

from __future__ import annotations

import argparse
import sys
import types
import typing

from .commands import close, export, streams, table

COMMANDS: tuple[types.ModuleType, ...] = (streams, table, export, close)


def main(words: typing.Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="modeldata", description="Reads, joins and closes the days of what models were seen to take and say."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    known = {}
    for command in COMMANDS:
        command.add(commands.add_parser(command.NAME, help=command.HELP, description=command.__doc__))
        known[command.NAME] = command
    arguments = parser.parse_args(words)
    try:
        return int(known[arguments.command].run(arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
