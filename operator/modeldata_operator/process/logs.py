"""How the processes log: one line a message, to standard error."""

import logging


class OneLine(logging.Formatter):
    """A line for each message: what an API server or somebody's webhook says of itself may have several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802 (logging's)
        return super().formatMessage(record).replace("\r", "").replace("\n", "\\n")


def set_up(level: str) -> None:
    """Log from this level on; what libraries say is kept to what a person can use."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for chatty in ("kopf.objects", "kopf.activities", "kopf._core.engines.activities", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(_said_by_its_probe)
    # What the SDK warns about is told by a condition, in words that a user understands.
    logging.getLogger("azure").setLevel(logging.ERROR)


def _said_by_its_probe(record: logging.LogRecord) -> bool:
    """Leave out aiohttp's traceback of a probe that failed: kopf has logged the reason, in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != "ActivityError"  # kopf's, which it does not export
