"""A user's own arrays against the certified optimum of the same sizes and weights, in one call."""

from ufm.predict.predict import predict
from ufm.predict.reference import comparable, excess_loss, metrics_of, nearest, observed_of_samples
from ufm.predict.weights import effective_weights

__all__ = ["comparable", "effective_weights", "excess_loss", "metrics_of", "nearest", "observed_of_samples", "predict"]
