"""Kubernetes quantities: "1Gi", "500M", "1e9"."""

from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}

MOST = 2**63 - 1
"""What Kubernetes, too, makes of anything more."""

LONGEST = 64
"""Characters; the API server writes a quantity with some twenty."""


def to_bytes(quantity: str) -> int:
    """Convert a quantity to whole bytes, rounded down. What can't be read counts as no room at all.

    "1e999999" is a number of a million digits, over which Python would be busy for a minute, and everybody would wait.
    """
    if len(quantity) > LONGEST:
        return 0
    text = quantity.strip()
    factor = Decimal(1)
    for suffix, value in _SUFFIXES.items():
        # "1E" is an exa-suffix, "1E3" an exponent: only a suffix stands at the end.
        if text.endswith(suffix):
            text, factor = text.removesuffix(suffix), value
            break
    try:
        number = Decimal(text)
        if number.adjusted() > len(str(MOST)):
            return MOST if number > 0 else 0
        return min(int(number * factor), MOST)
    except (InvalidOperation, ValueError, OverflowError):
        return 0
