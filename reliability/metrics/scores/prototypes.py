"""Scores that compare an image with averages over familiar ones: a posterior, a pattern, a centre."""

from __future__ import annotations

import numpy as np

from reliability.metrics.checks import refuse
from reliability.metrics.probabilities import log_softmax
from reliability.metrics.scores.registry import Scorer, fitted_score
from reliability.types import F64, I64


@fitted_score("cosines", "logit_scale")
def kl_matching(cosines: F64, logit_scale: float) -> Scorer:
    """Minus the smallest divergence from the predicted probabilities to a class's usual ones.

    The usual probabilities of a class are the mean over the training images predicted as it;
    the divergence is KL(image || class), in nats.

    Args:
        training: Its cosines and logit scale are used, not its labels.

    Returns:
        A function of cosines [N, C] and the logit scale to scores [N].

    Raises:
        UsageError: Used at another logit scale than it was fitted at.
        UndefinedMetricError: Empty or non-finite input, or values no cosine can take.

    Conventions:
        A class that no training image is predicted as has no usual probabilities and is left out.
        Means are taken over logarithms of probabilities that cannot underflow, so every
        divergence is finite.

    Source:
        Hendrycks et al., Scaling Out-of-Distribution Detection for Real-World Settings,
        ICML 2022. No departure.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[1, 0], [0, 1]], labels=[0, 1], cosines=[[1, 0], [0, 1]], logit_scale=2.0)
    >>> kl_matching(training)([[0.5, 0.5]], 2.0).round(4).tolist()
    [-0.4338]
    """
    predicted, log_p = cosines.argmax(axis=1), log_softmax(logit_scale * cosines)
    usual = np.stack([_log_mean(log_p[predicted == label]) for label in np.unique(predicted)])

    def scores(cosines: F64, logit_scale: float) -> F64:
        log_p = log_softmax(logit_scale * cosines)
        p = np.exp(log_p)
        divergences = np.einsum("nc,nc->n", p, log_p)[:, None] - p @ usual.T
        smallest: F64 = divergences.min(axis=1)
        return -smallest

    return scores


def _log_mean(log_values: F64) -> F64:
    mean: F64 = np.logaddexp.reduce(log_values, axis=0) - np.log(len(log_values))
    return mean


@fitted_score("features", "cosines")
def she(features: F64, labels: I64, cosines: F64) -> Scorer:
    """Simplified Hopfield energy: inner product of the image and its predicted class's stored pattern.

    The pattern of a class is the mean feature of the training images of that class which the
    model classifies correctly.

    Args:
        training: Its features, labels and cosines are used.

    Returns:
        A function of cosines [N, C], the logit scale (not used) and features [N, D] to scores [N].

    Raises:
        UsageError: No features.
        UndefinedMetricError: Empty, non-finite or mismatched input; labels outside 0..C-1; or an
            image predicted as a class of which no training image is classified correctly.

    Conventions:
        Features have norm 1, so scores lie in [-1, 1]. A tie of cosines goes to the lowest class number.

    Source:
        Zhang et al., Out-of-Distribution Detection based on In-Distribution Data Patterns
        Memorization with Modern Hopfield Energy, ICLR 2023. Departure: features of norm 1,
        since a zero-shot head never sees the norm.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[1, 0], [0, 1]], labels=[0, 1], cosines=[[1, 0], [0, 1]], logit_scale=2.0)
    >>> she(training)([[0.6, 0.8]], 2.0, features=[[3, 4]]).round(4).tolist()
    [0.8]
    """
    right = cosines.argmax(axis=1) == labels
    known = np.bincount(labels[right], minlength=cosines.shape[1]) > 0
    patterns = np.zeros((cosines.shape[1], features.shape[1]))
    for label in np.flatnonzero(known):
        patterns[label] = features[right & (labels == label)].mean(axis=0)

    def scores(features: F64, cosines: F64) -> F64:
        predicted = cosines.argmax(axis=1)
        refuse(
            "she",
            "predicted class",
            predicted,
            ~known[predicted],
            "every predicted class needs a training image that is classified correctly",
            "fit it on more images of that class",
        )
        inner: F64 = np.einsum("nd,nd->n", features, patterns[predicted])
        return inner

    return scores


@fitted_score("features", "text", "cosines")
def fdbd(features: F64) -> Scorer:
    """Mean distance to the decision boundaries of the predicted class, per distance from the centre.

    For every other class, the distance from the image feature to the plane on which that class
    and the predicted one have equal logits; the mean of these, divided by the distance to the
    mean training feature.

    Args:
        training: Its features are used.

    Returns:
        A function of cosines [N, C], the logit scale (not used), features [N, D] and text [C, D]
        to scores [N].

    Raises:
        UsageError: No features or no text.
        UndefinedMetricError: Empty, non-finite or mismatched input; two classes with one text
            feature; or an image at the mean training feature.

    Conventions:
        A tie of the two largest cosines makes one of the distances 0; the mean still runs over
        all other classes. The logit scale cancels.

    Source:
        Liu & Qin, Fast Decision Boundary based Out-of-Distribution Detector, ICML 2024.
        Departure: the head's weights are the class text features and it has no bias; image
        features have norm 1.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[1, 0], [0, 1]], labels=[0, 1], cosines=[[1, 0], [0, 1]], logit_scale=2.0)
    >>> fdbd(training)([[0.6, 0.8]], 2.0, features=[[3, 4]], text=[[1, 0], [0, 1]]).round(4).tolist()
    [0.4472]
    """
    centre = features.mean(axis=0)

    def scores(features: F64, text: F64, cosines: F64) -> F64:
        predicted = cosines.argmax(axis=1)
        apart = _distances(text)
        heights = cosines.max(axis=1, keepdims=True) - cosines
        distance = (heights / apart[predicted]).sum(axis=1) / (cosines.shape[1] - 1)
        with np.errstate(divide="ignore", invalid="ignore"):  # refused for every score when not finite
            relative: F64 = distance / np.linalg.norm(features - centre, axis=1)
        return relative

    return scores


def _distances(text: F64) -> F64:
    """[C, C] between class text features, 1 from each to itself."""
    apart = np.stack([np.linalg.norm(text - row, axis=1) for row in text])
    np.fill_diagonal(apart, 1.0)
    refuse(
        "fdbd", "text", apart, apart == 0, "two classes with one text feature have no boundary", "name classes apart"
    )
    return apart
