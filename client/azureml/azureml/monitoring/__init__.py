"""``from azureml.monitoring import ModelDataCollector``, as scripts for Azure ML's data collection write it."""

from __future__ import annotations

from .modeldatacollector import ModelDataCollector

__all__ = ["ModelDataCollector"]
