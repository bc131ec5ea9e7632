"""Quantities are read as Kubernetes reads them, and in no time whatever somebody wrote."""

from __future__ import annotations

import pytest

from modeldata_operator.api import quantities


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256Mi", 256 * 1024**2),
        (" 1G ", 10**9),
        ("1E", 10**18),
        ("1E3", 1000),
        ("1500m", 1),
        ("0", 0),
        ("-5", -5),
        ("9223372036854775807", quantities.MOST),
        # Not kept waiting for: Python would write out each of its digits.
        ("9223372036854775808", quantities.MOST),
        ("100Ei", quantities.MOST),
        ("1e999999", quantities.MOST),
        ("1e999999Ei", quantities.MOST),
        ("-1e999999", 0),
        ("0e999999", 0),
        ("1e-999999", 0),
        ("1e9999999999", quantities.MOST),
        ("1" * 65, 0),
        ("NaN", 0),
        ("Infinity", 0),
        ("much", 0),
        ("", 0),
    ],
)
def test_a_quantity_of_any_size_is_read_at_once(text, expected):
    assert quantities.to_bytes(text) == expected
