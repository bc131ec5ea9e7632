"""Trains the demo's model: ridge regression on scikit-learn's diabetes data (442 people, 10 features)."""

import pathlib
import sys

import joblib
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
features, target = load_diabetes(return_X_y=True)
joblib.dump(Ridge(alpha=0.03).fit(features, target), directory / "ridge.pkl")
