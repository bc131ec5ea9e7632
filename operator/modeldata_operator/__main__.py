"""Starts one of the operator's two processes, or takes it out of the cluster; see USAGE."""

import asyncio
import os
import sys

from . import configuration
from .observe import metrics
from .process import logs, retirement, running

USAGE = "usage: python -m modeldata_operator webhook|controller|retire [--option=value ...]"


def main() -> None:
    """Read the role, the options and the environment."""
    role, *options = sys.argv[1:] or [""]
    if role not in ("webhook", "controller", "retire"):
        raise SystemExit(USAGE)
    config = configuration.from_environment(configuration.with_options(options, os.environ))
    logs.set_up(config.log_level, as_json=config.json_logs)
    if role == "retire":
        refused = asyncio.run(retirement.retire(config))
        if refused:
            raise SystemExit("\n".join((f"not done, {len(refused)}; run it again once this is mended:", *refused)))
        return
    metrics.show_build(role)
    metrics.serve(config.metrics_port)
    asyncio.run(running.run(role, config))


if __name__ == "__main__":
    main()
