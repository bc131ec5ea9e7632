# A scoring script as written for Azure Machine Learning's data collection on AKS: not a line of it knows about us.
import json
import os

import joblib
import numpy as np
from azureml.monitoring import ModelDataCollector


def init():
    global model, inputs_dc, prediction_dc
    model = joblib.load(os.path.join(os.getenv("AZUREML_MODEL_DIR"), "ridge.pkl"))
    inputs_dc = ModelDataCollector(
        "diabetes",
        designation="inputs",
        feature_names=["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"],
    )
    prediction_dc = ModelDataCollector("diabetes", designation="predictions", feature_names=["prediction"])


def run(raw_data):
    data = np.array(json.loads(raw_data)["data"])
    result = model.predict(data)
    inputs_dc.collect(data)
    prediction_dc.collect(result)
    return result.tolist()
