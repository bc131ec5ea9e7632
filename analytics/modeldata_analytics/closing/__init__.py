"""Closes days: a checkpoint of raw files, by the protocol of docs/closing.md."""

from .closer import Closer, Outcome, State, Watch
from .passes import Tools
from .plan import DayError, Wish

__all__ = ["Closer", "DayError", "Outcome", "State", "Tools", "Watch", "Wish"]
