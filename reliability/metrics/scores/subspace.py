"""Scores from the directions in which familiar images hardly vary."""

from __future__ import annotations

import numpy as np

from reliability.metrics.checks import undefined
from reliability.metrics.scores.logits import log_sum_exp
from reliability.metrics.scores.registry import Scorer, fitted_score
from reliability.types import F64

# Features have norm 1, so a mean residual of this size comes of rounding alone.
_NO_RESIDUAL = 1e-12


def principal_dimensions(dimensions: int) -> int:
    """How many of the feature's dimensions are principal: 1000 from 2048 on, 512 from 768 on, else half.

    >>> [principal_dimensions(d) for d in (2048, 1024, 768, 512)]
    [1000, 512, 512, 256]
    """
    if dimensions >= 2048:
        return 1000
    return 512 if dimensions >= 768 else dimensions // 2


@fitted_score("cosines", "logit_scale", "features")
def vim(features: F64, cosines: F64, logit_scale: float) -> Scorer:
    """Log-sum-exp of the logits minus a virtual logit: the scaled norm outside the principal subspace.

    The scale alpha makes the mean virtual logit of the training images their mean largest logit.

    Args:
        training: Its features, cosines and logit scale are used, not its labels.

    Returns:
        A function of cosines [N, C], the logit scale and features [N, D] to scores [N].

    Raises:
        UsageError: No features, or used at another logit scale than it was fitted at.
        UndefinedMetricError: Empty, non-finite or mismatched input; no more training images than
            principal dimensions, or none with a residual; or a mean largest logit that is not positive.

    Conventions:
        The principal subspace is that of ``residual``.

    Source:
        Wang et al., ViM: Out-Of-Distribution with Virtual-logit Matching, CVPR 2022. Departures:
        the head's weights are the logit scale times class text features and it has no bias, so
        the paper's origin is 0; features have norm 1; below 768 dimensions half are principal,
        where the paper's 512 would leave none over. The score is the paper's up to a monotone
        transform, without the softmax that would saturate.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[4, 3], [1, 0], [4, -3]], [0, 0, 0], [[0.8, 0.6], [1, 0], [0.8, -0.6]], logit_scale=2.0)
    >>> vim(training)([[0.6, 0.8]], 2.0, features=[[3, 4]]).round(4).tolist()
    [-1.3537]
    """
    axes = _residual_axes("vim", features)
    mean_residual = _norms(features @ axes).mean()
    mean_logit = logit_scale * cosines.max(axis=1).mean()
    if mean_logit <= 0 or mean_residual <= _NO_RESIDUAL:
        raise undefined(
            "vim", "training", "the mean largest logit and the mean residual must be positive",
            f"{mean_logit} and {mean_residual}", "use residual or energy, or more training images",
        )  # fmt: skip
    alpha = float(mean_logit / mean_residual)

    def scores(cosines: F64, logit_scale: float, features: F64) -> F64:
        return log_sum_exp(logit_scale * cosines) - alpha * _norms(features @ axes)

    return scores


@fitted_score("features")
def residual(features: F64) -> Scorer:
    """Minus the norm of the feature outside the principal subspace of the training images.

    Args:
        training: Its features are used.

    Returns:
        A function of cosines and the logit scale (not used) and features [N, D] to scores [N].

    Raises:
        UsageError: No features.
        UndefinedMetricError: Empty, non-finite or mismatched input, or no more training images
            than principal dimensions.

    Conventions:
        Features have norm 1, so scores lie in [-1, 0]. The principal subspace is spanned by the
        first eigenvectors of the mean outer product of training features, not centred: 1000 of
        2048 dimensions or more, 512 of 768 or more, else half of them. Where eigenvalues tie at
        that border the subspace is not unique.

    Source:
        Wang et al., ViM, CVPR 2022, where it is the score of the residual alone.
        Departures: as for ``vim``.

    >>> from reliability.metrics.scores import Training
    >>> training = Training([[4, 3], [1, 0], [4, -3]], [0, 0, 0], [[0.8, 0.6], [1, 0], [0.8, -0.6]], logit_scale=2.0)
    >>> residual(training)([[0.6, 0.8]], 2.0, features=[[3, 4]]).round(4).tolist()
    [-0.8]
    """
    axes = _residual_axes("residual", features)

    def scores(features: F64) -> F64:
        return -_norms(features @ axes)

    return scores


def _norms(rows: F64) -> F64:
    norms: F64 = np.linalg.norm(rows, axis=1)
    return norms


def _residual_axes(name: str, features: F64) -> F64:
    """[D, R] orthonormal axes of the directions that are not principal."""
    images, dimensions = features.shape
    principal = principal_dimensions(dimensions)
    if images <= principal:
        raise undefined(
            name, "training.features", f"more training images than the {principal} principal dimensions are needed",
            f"{images} images", "fit it on several images per dimension",
        )  # fmt: skip
    _, directions = np.linalg.eigh(features.T @ features / images)
    axes: F64 = directions[:, : dimensions - principal]
    return axes
