"""Scores made of other scores."""

from __future__ import annotations

import numpy as np

from reliability.metrics.scores.evidence import Evidence, Training
from reliability.metrics.scores.registry import Scorer, fitted_score, get_score
from reliability.types import F64, I64

MEMBERS = ("mcm", "energy", "mahalanobis", "knn", "residual")
"""One score of each family, told apart by what it reads: the cosines, the scaled logits, Gaussians
around class means, single neighbours, the subspace of small variance. No unfamiliar picture and no
result had a say, and all weigh the same, so the ensemble cannot be fitted to a benchmark."""

# A matrix product rounds one image's score apart by where the image stands in it.
_SAME = 1e-9


@fitted_score("cosines", "logit_scale", "features")
def rank_ensemble(features: F64, labels: I64, cosines: F64, logit_scale: float) -> Scorer:
    """Mean rank under five scores: MCM, energy, Mahalanobis, kNN and residual.

    Every member says which share of the training images it finds less familiar than the image;
    the score is the mean of these shares.

    Args:
        training: Its features, labels, cosines and logit scale are used.

    Returns:
        A function of cosines [N, C], the logit scale and features [N, D] to scores [N].

    Raises:
        UsageError: No features, or used at another logit scale than it was fitted at.
        UndefinedMetricError: Wherever a member is undefined: among others fewer than 50 training
            images, or no more of them than principal dimensions.

    Conventions:
        Members are chosen by family, without any unfamiliar image, and weigh the same. Ranks are
        among the training images, on which the members are fitted too; a training image that
        ties, within 1e-9 of the scores' range, counts one half. So scores lie in [0, 1], and an
        image has the same one whatever it is scored beside. An image that every member finds
        less familiar than any training image has 0, and several such tie.

    Source:
        Borda's count, as in Dwork et al., Rank Aggregation Methods for the Web, WWW 2001.
        Departure: ranks among training images, not among those that are compared.

    >>> from reliability.metrics.scores import Training
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(60, 2)) + [3, 0]
    >>> z = features / np.linalg.norm(features, axis=1, keepdims=True)
    >>> score = rank_ensemble(Training(features, (features[:, 1] > 0).astype(int), z, logit_scale=2.0))
    >>> score([[1, 0], [0, -1]], 2.0, features=[[3, 0], [0, -1]]).round(2).tolist()
    [0.62, 0.12]
    """
    training = Training(features, labels, cosines, logit_scale)
    known = Evidence(cosines, logit_scale, features)
    members = [_Ranked(get_score(name).fit(training), known) for name in MEMBERS]

    def scores(cosines: F64, logit_scale: float, features: F64) -> F64:
        asked = Evidence(cosines, logit_scale, features)
        mean: F64 = np.mean([member(asked) for member in members], axis=0)
        return mean

    return scores


class _Ranked:
    """A score as a share of training images."""

    def __init__(self, score: Scorer, known: Evidence) -> None:
        self._score, self._ladder = score, np.sort(score(known))

    def __call__(self, asked: Evidence) -> F64:
        values = self._score(asked)
        same = _SAME * (self._ladder[-1] - self._ladder[0])
        below = np.searchsorted(self._ladder, values - same, side="left")
        upto = np.searchsorted(self._ladder, values + same, side="right")
        share: F64 = (below + upto) / (2.0 * len(self._ladder))
        return share
