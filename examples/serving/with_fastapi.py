"""The model behind FastAPI: uvicorn with_fastapi:app."""

from fastapi import FastAPI
from pydantic import BaseModel

import churn
import modeldata.web
from modeldata import ModelDataCollector

inputs = ModelDataCollector("churn", "inputs", churn.FEATURES)
predictions = ModelDataCollector("churn", "predictions", ["risk"])

app = FastAPI()
app.add_middleware(modeldata.web.ASGIMiddleware)  # the header x-request-id becomes $RequestId


class Customers(BaseModel):
    data: list[list[float]]


@app.post("/score")
def score(customers: Customers) -> list[float]:
    risks = churn.predict(customers.data)
    inputs.collect(customers.data)
    predictions.collect(risks)
    return risks


@app.get("/healthz")
def healthz() -> str:
    return "ready"
