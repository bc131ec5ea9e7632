"""A scoring script as written for Azure Machine Learning. Loaded by its inference server, never by pytest."""

from __future__ import annotations

import json
import os

from azureml.monitoring import ModelDataCollector

import modeldata.process.ending

modeldata.process.ending.EXIT_SECONDS = 60  # the machine may be slow

inputs_dc: ModelDataCollector
predictions_dc: ModelDataCollector


def init() -> None:
    global inputs_dc, predictions_dc
    inputs_dc = ModelDataCollector("m", designation="inputs", feature_names=["n"])
    predictions_dc = ModelDataCollector("m", designation="predictions", feature_names=["twice"])


def run(raw_data: str) -> int:
    n = json.loads(raw_data)["n"]
    inputs_dc.collect([[n]])
    predictions_dc.collect([2 * n])
    return os.getpid()
