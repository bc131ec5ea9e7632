"""``python -m modeldata``."""

from __future__ import annotations

import logging
import sys

from .process import lifecycle

USAGE = """usage: python -m modeldata doctor

  doctor    says what is configured here, whether storage can be reached, and what waits in the spool;
            changes nothing. Ends with 0 if nothing is wrong, else with 1.
"""


def main(arguments: list[str]) -> int:
    """Run a command; return the exit code."""
    if arguments == ["doctor"]:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        for logger in ("modeldata", "azure"):
            logging.getLogger(logger).addHandler(logging.NullHandler())  # what they would say, the report does
        missing = lifecycle.unsupported()
        if missing:  # the doctor would need it too
            sys.stdout.write(f"nothing is collected here: {missing}\n")
            return 1
        from .doctor import examination

        return examination.report(sys.stdout.write)
    asked = not arguments or arguments in (["-h"], ["--help"])
    (sys.stdout if asked else sys.stderr).write(USAGE)
    return 0 if asked else 2


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
