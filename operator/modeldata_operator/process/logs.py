"""How the processes log: one line a message, to standard error, for people or for a machine."""

import json
import logging
from datetime import UTC, datetime


class OneLine(logging.Formatter):
    """A line for each message: what an API server or somebody's webhook says of itself may have several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802 (logging's)
        return super().formatMessage(record).replace("\r", "").replace("\n", "\\n")


class JsonLine(logging.Formatter):
    """A JSON object for each message, on a line of its own, with a traceback in it if there is one."""

    def format(self, record: logging.LogRecord) -> str:  # noqa: D102 (logging's)
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def set_up(level: str, *, as_json: bool = False) -> None:
    """Log from this level on; what libraries say is kept to what a person can use."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLine() if as_json else OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("kopf.objects", "kopf._core.engines.activities", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Kopf warns at each end that its start was broken off: it lasts as long as the process, see framework.py.
    for warning in ("kopf.activities", "kopf._core.reactor.running"):
        logging.getLogger(warning).setLevel(logging.ERROR)
    # What the SDK warns about is told by a condition, in words that a user understands.
    logging.getLogger("azure").setLevel(logging.ERROR)
