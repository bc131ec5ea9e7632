"""Kubernetes quantities: "1Gi", "500M", "1e9"."""

from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


def to_bytes(quantity: str) -> int:
    """Convert a quantity to whole bytes, rounded down. What can't be read counts as no room at all."""
    text = quantity.strip()
    factor = Decimal(1)
    for suffix, value in _SUFFIXES.items():
        # "1E" is an exa-suffix, "1E3" an exponent: only a suffix stands at the end.
        if text.endswith(suffix):
            text, factor = text.removesuffix(suffix), value
            break
    try:
        return int(Decimal(text) * factor)
    except (InvalidOperation, ValueError, OverflowError):
        return 0
