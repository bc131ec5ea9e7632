"""The model behind BentoML: bentoml serve with_bentoml:Churn."""

import bentoml

import churn
import modeldata.web
from modeldata import ModelDataCollector


@bentoml.service
class Churn:
    def __init__(self) -> None:
        self.inputs = ModelDataCollector("churn", "inputs", churn.FEATURES)
        self.predictions = ModelDataCollector("churn", "predictions", ["risk"])

    @bentoml.api
    def score(self, data: list[list[float]]) -> list[float]:
        risks = churn.predict(data)
        self.inputs.collect(data)
        self.predictions.collect(risks)
        return risks


Churn.add_asgi_middleware(modeldata.web.ASGIMiddleware)  # the header x-request-id becomes $RequestId
