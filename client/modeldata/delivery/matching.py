"""Whether features that are to be redacted were found at all: one that is misspelt hides nothing.

A feature is found or missed by all rows of a model together, as its inputs have columns that its predictions lack. What
was found is written down, for the processes that ship after this one and for those that only look.
"""

from __future__ import annotations

import contextlib
import logging
import pathlib
import typing

import orjson

from .. import settings
from ..spool import sharing

logger = logging.getLogger("modeldata")

FILE = "redactions"

_MOST = 1000
"""Models and features kept in mind; one that is forgotten is to be found once more."""

Pair = typing.Tuple[str, str]  # noqa: UP006 (evaluated at run time by 3.9)
"""A model and a feature."""


class Held(Exception):  # noqa: N818 (not an error: rows wait)
    """Rows of a model have to wait until a feature was found in one of them."""

    def __init__(self, model: str, features: tuple[str, ...]) -> None:
        super().__init__(model, features)
        self.model = model
        self.features = features


class Seen(typing.NamedTuple):
    """What is known of all models in a pod."""

    matched: frozenset[Pair] = frozenset()
    missed: frozenset[Pair] = frozenset()
    """Demanded of rows, and found in none of them so far."""

    def unmatched(self, redactions: typing.Iterable[settings.Redaction]) -> dict[str, tuple[str, ...]]:
        """Return the features that no row of any model had so far, each with the models whose rows were looked at."""
        wanted = dict.fromkeys(each.feature for each in redactions)
        found = {feature for _, feature in self.matched}
        models = {each: tuple(sorted(model for model, feature in self.missed if feature == each)) for each in wanted}
        return {feature: models[feature] for feature in wanted if models[feature] and feature not in found}


class Matching:
    """What this process finds. Used by the one process that ships.

    Args:
        file: where it is written down.

    """

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        seen = read(file)
        self._matched = dict.fromkeys(seen.matched)
        self._missed = dict.fromkeys(seen.missed)

    def look(
        self,
        model: str,
        designation: str,
        demanded: typing.Iterable[settings.Redaction],
        matched: typing.Iterable[settings.Redaction],
    ) -> None:
        """Note what was found in rows, of the redactions that are demanded.

        Raises:
            Held: rows of this model have to wait.

        """
        self.find(model, matched)
        missing = [each for each in demanded if (model, each.feature) not in self._matched]
        fresh = [each for each in missing if (model, each.feature) not in self._missed]
        for each in fresh:
            self._missed[model, each.feature] = None
            logger.info("modeldata: no column of %s/%s is to be redacted as %r", model, designation, each.feature)
        if fresh:
            self._write()
        held = tuple(each.feature for each in missing if each.hold)
        if held:
            raise Held(model, held)

    def find(self, model: str, matched: typing.Iterable[settings.Redaction]) -> None:
        """Note features that were found in rows of a model."""
        fresh = [each for each in matched if (model, each.feature) not in self._matched]
        for each in fresh:
            self._matched[model, each.feature] = None
            self._missed.pop((model, each.feature), None)
        if fresh:
            self._write()

    def unmatched(self, redactions: typing.Iterable[settings.Redaction]) -> dict[str, tuple[str, ...]]:
        """Return as ``Seen.unmatched``."""
        return Seen(frozenset(self._matched), frozenset(self._missed)).unmatched(redactions)

    def _write(self) -> None:
        for known in (self._matched, self._missed):
            while len(known) > _MOST:
                del known[next(iter(known))]
        content = orjson.dumps({"matched": list(self._matched), "missed": list(self._missed)})
        with contextlib.suppress(OSError):  # it is found once more then
            sharing.make(self._file.parent)
            sharing.replace(self._file, [content])


def read(file: pathlib.Path) -> Seen:
    """Return what was written down; nothing where nothing was, or it can't be read."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        document = orjson.loads(file.read_bytes())
        matched, missed = (
            frozenset((str(model), str(feature)) for model, feature in document[name]) for name in ("matched", "missed")
        )
        return Seen(matched, missed)
    return Seen()
