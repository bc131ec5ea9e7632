"""A model's collected rows, as one table."""

from __future__ import annotations

import typing

from . import frames, opening, selecting

if typing.TYPE_CHECKING:
    import pandas

Repeated = typing.Literal["keep", "last"]


class Model:
    """The rows of one model, from ``Store.model``."""

    def __init__(self, reader: opening.Reader, chosen: selecting.Chosen) -> None:
        self._reader = reader
        self._chosen = chosen

    def __repr__(self) -> str:
        """Return what is meant, and where."""
        return f"<{self._chosen} in {self._reader.store.address}>"

    def table(
        self,
        since: selecting.When = None,
        until: selecting.When = None,
        designations: typing.Sequence[str] | None = None,
        *,
        repeated: Repeated = "keep",
    ) -> pandas.DataFrame:
        """Return all rows as one frame, joined by ``$RequestId``."""
        answer = self._ask(since, until, designations, repeated)
        try:
            frame = frames.frame(answer.engine.connection.sql(answer.joined.sql).to_arrow_table(), answer.joined.names)
            frame.attrs["repeats"] = {name: each._asdict() for name, each in answer.repeats.items()}
            return frame
        finally:
            answer.close()

    def _ask(
        self,
        since: selecting.When,
        until: selecting.When,
        designations: typing.Sequence[str] | None,
        repeated: Repeated,
    ) -> opening.Answer:
        if isinstance(designations, str):
            designations = (designations,)
        asked = None if designations is None else tuple(designations)
        when = selecting.period(since, until)
        return opening.ask(self._reader, opening.Question(self._chosen, when, asked, repeated == "last"))
