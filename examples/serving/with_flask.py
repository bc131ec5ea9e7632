"""The model behind Flask: gunicorn with_flask:app."""

from flask import Flask, request

import churn
from modeldata import ModelDataCollector

inputs = ModelDataCollector("churn", "inputs", churn.FEATURES)
predictions = ModelDataCollector("churn", "predictions", ["risk"])

app = Flask(__name__)  # nothing is needed for the header x-request-id


@app.post("/score")
def score():
    data = request.get_json()["data"]
    risks = churn.predict(data)
    inputs.collect(data)
    predictions.collect(risks)
    return risks


@app.get("/healthz")
def healthz():
    return "ready"
