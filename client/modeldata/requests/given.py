"""Ids that callers give, made safe: they stand in files that spreadsheets open, and come from anywhere."""

from __future__ import annotations

import zlib

from ..tables import cells

MOST_CHARACTERS = 128

_FORMULAS = tuple("=+-@＝＋－＠")
"""What a cell that a spreadsheet takes for a formula begins with."""


def safe(given: object) -> str:
    """Return the text of an id; the same one for the same id. Empty where there is none. Never raises.

    What can't be printed becomes ``?``; then, and where more than ``MOST_CHARACTERS`` are cut, a digest follows, so
    that different ids stay different. An apostrophe goes before what would be a formula: spreadsheets take it for text.

    Args:
        given: a text, or anything that has one (a UUID, a number, bytes in UTF-8); None is none.

    """
    try:
        text = _text(given)
    except Exception:  # of the caller's own class
        return ""
    if text.isprintable() and len(text) < MOST_CHARACTERS and not text.startswith(_FORMULAS):
        return text
    clean = "".join(each if each.isprintable() else "?" for each in text)
    if clean.startswith(_FORMULAS):
        clean = f"'{clean}"
    if not text.isprintable() or len(clean) > MOST_CHARACTERS:
        clean = f"{clean[: MOST_CHARACTERS - 9]}~{zlib.crc32(text.encode()):08x}"
    return clean


def _text(given: object) -> str:
    if given is None:
        return ""
    text = bytes(given).decode("utf-8", "replace") if isinstance(given, (bytes, bytearray)) else cells.name_text(given)
    return text.strip()
