"""Starts one of the operator's two processes, or takes it out of the cluster; see USAGE."""

import asyncio
import os
import sys

from . import configuration
from .observe import metrics
from .process import logs, retirement, running

USAGE = "usage: python -m modeldata_operator webhook|controller|retire"


def main() -> None:
    """Read the role and the environment."""
    role = sys.argv[1] if len(sys.argv) == 2 else ""
    if role not in ("webhook", "controller", "retire"):
        raise SystemExit(USAGE)
    config = configuration.from_environment(os.environ)
    logs.set_up(config.log_level)
    if role == "retire":
        asyncio.run(retirement.retire(config))
        return
    metrics.serve(config.metrics_port)
    asyncio.run(running.run(role, config))


if __name__ == "__main__":
    main()
