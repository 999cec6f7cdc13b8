# SPDX-License-Identifier: BSD-3-Clause
"""The estimator of the page "Recipes": a module, because scikit-learn's checks pickle it."""

# ---
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

import fastdrop as fd


class DropoutRegressor(RegressorMixin, BaseEstimator):
    """A network with one hidden layer, whose elements are dropped in training."""

    def __init__(self, hidden=64, p=0.1, steps=600, rate=0.1, random_state=None):
        self.hidden, self.p, self.steps = hidden, p, steps
        self.rate, self.random_state = rate, random_state

    def fit(self, X, y):
        """Train with dropout, and return itself."""
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        random = check_random_state(self.random_state)
        source = fd.Xoshiro256PlusPlus(random.randint(2**31))
        self.center_, self.width_ = X.mean(0), X.std(0) + 1e-9
        self.mean_, self.scale_ = y.mean(), y.std() + 1e-9
        x, target = (X - self.center_) / self.width_, (y - self.mean_) / self.scale_
        first = random.normal(size=(X.shape[1], self.hidden)) / np.sqrt(X.shape[1])
        second = random.normal(size=self.hidden) / np.sqrt(self.hidden)
        bias = np.zeros(self.hidden)
        for _ in range(self.steps):
            hidden = np.tanh(x @ first + bias)
            dropped, mask = fd.dropout(hidden, p=self.p, rng=source)
            error = (dropped @ second - target) / len(x)
            inner = fd.dropout_backward(np.outer(error, second), mask) * (1 - hidden**2)
            second = second - self.rate * (error @ dropped)
            first = first - self.rate * (x.T @ inner)
            bias = bias - self.rate * inner.sum(0)
        self.first_, self.second_, self.bias_ = first, second, bias
        return self

    def predict(self, X):
        """Return the output for samples, without dropout."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        hidden = np.tanh((X - self.center_) / self.width_ @ self.first_ + self.bias_)
        return hidden @ self.second_ * self.scale_ + self.mean_
