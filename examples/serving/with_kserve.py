"""The model behind KServe's Python runtime: python with_kserve.py."""

import kserve
from kserve.model_server import app

import churn
import modeldata.web
from modeldata import ModelDataCollector

app.add_middleware(modeldata.web.ASGIMiddleware)  # the header x-request-id becomes $RequestId


class Churn(kserve.Model):
    def load(self):
        self.inputs = ModelDataCollector("churn", "inputs", churn.FEATURES)
        self.predictions = ModelDataCollector("churn", "predictions", ["risk"])
        self.ready = True

    def predict(self, payload, headers=None):
        data = payload["instances"]
        risks = churn.predict(data)
        self.inputs.collect(data)
        self.predictions.collect(risks)
        return {"predictions": risks}


if __name__ == "__main__":
    model = Churn("churn")
    model.load()
    kserve.ModelServer().start([model])
