"""Stands for your model: a logistic regression, the risk that a customer leaves."""

import numpy

FEATURES = ["age", "tenure"]


def predict(customers):
    """Return the risk of each row of ages and tenures, both in years."""
    scores = numpy.asarray(customers, dtype=float) @ [-0.02, -0.3] + 1.5
    return (1 / (1 + numpy.exp(-scores))).tolist()
