"""``from azureml.monitoring import ModelDataCollector``, as scripts for Azure ML's data collection write it."""

from modeldata import ModelDataCollector

__all__ = ["ModelDataCollector"]
