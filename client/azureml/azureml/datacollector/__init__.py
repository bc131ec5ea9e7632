"""``from azureml.datacollector import ModelDataCollector``, the import name before ``azureml.monitoring``."""

from modeldata import ModelDataCollector

__all__ = ["ModelDataCollector"]
