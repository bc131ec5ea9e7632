"""What our threads are called, in a debugger and in each other's eyes."""

from __future__ import annotations

SHIPPER = "modeldata-shipper"
TAKER = "modeldata-taker"
