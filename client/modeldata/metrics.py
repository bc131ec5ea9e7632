"""Prometheus metrics in a registry of your own: ``modeldata.metrics.register(registry)``."""

from __future__ import annotations

from .observe.metrics import register

__all__ = ["register"]
