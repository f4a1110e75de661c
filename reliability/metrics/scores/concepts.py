"""Scores that look at more than the class names: image patches, and words for what is unfamiliar."""

from __future__ import annotations

import numpy as np

from reliability.metrics.probabilities import confidence
from reliability.metrics.scores.registry import score
from reliability.types import F64

GL_MCM_LOCAL_WEIGHT = 1.0
NEGLABEL_TEMPERATURE = 0.01
NEGLABEL_GROUPS = 100


@score
def gl_mcm(cosines: F64, patch_cosines: F64) -> F64:
    """Global and local maximum concept matching: MCM of the image plus that of its best patch.

    Args:
        cosines: [N, C].
        logit_scale: Not used.
        patch_cosines: [N, P, C] of patch features, projected as the image feature is.

    Raises:
        UsageError: No patch cosines.
        UndefinedMetricError: Empty, non-finite or mismatched input, or values no cosine can take.

    Conventions:
        Temperature 1 on raw cosines and weight 1 for the patches. The best patch is the one
        with the largest probability of any class, which need not be the image's class. Patch
        cosines are large: score images in batches, since they do not affect one another.

    Source:
        Miyai et al., GL-MCM: Global and Local Maximum Concept Matching for Zero-Shot
        Out-of-Distribution Detection, IJCV 2025, with its weight 1. No departure.

    >>> gl_mcm([[1.0, 0.0]], 100.0, patch_cosines=[[[0.0, 0.0], [0.0, 1.0]]]).round(4).tolist()
    [1.4621]
    """
    images, patches, classes = patch_cosines.shape
    local = confidence(patch_cosines.reshape(-1, classes)).reshape(images, patches)
    both: F64 = confidence(cosines) + GL_MCM_LOCAL_WEIGHT * local.max(axis=1)
    return both


@score
def neglabel(cosines: F64, negative_cosines: F64) -> F64:
    """Probability of any familiar class among these and groups of negative labels.

    The mean over groups of negatives of sum exp(s / 0.01) over the classes, divided by
    that sum over the classes and the group.

    Args:
        cosines: [N, C].
        logit_scale: Not used: the temperature 0.01 is the score's own.
        negative_cosines: [N, M] with labels that no familiar image has.

    Raises:
        UsageError: No negative cosines.
        UndefinedMetricError: Empty, non-finite or mismatched input, or values no cosine can take.

    Conventions:
        100 groups, or M where there are fewer labels. Label j belongs to group j modulo the
        number of groups, so every group spans the list whatever its order, and nothing is
        drawn at random. Many images can reach exactly 1 and tie.

    Source:
        Jiang et al., Negative Label Guided OOD Detection with Pretrained Vision-Language Models,
        ICLR 2024, with its temperature and number of groups. Departure: the published code
        shuffles the labels with a fixed seed and drops those left over when M is no multiple
        of 100; here groups differ by at most one label and none is dropped.

    >>> neglabel([[0.3, 0.1]], 100.0, negative_cosines=[[0.3]]).round(4).tolist()
    [0.5]
    """
    top = np.maximum(cosines.max(axis=1), negative_cosines.max(axis=1))[:, None]
    familiar = np.exp((cosines - top) / NEGLABEL_TEMPERATURE).sum(axis=1, keepdims=True)
    negative = np.exp((negative_cosines - top) / NEGLABEL_TEMPERATURE)
    groups = min(NEGLABEL_GROUPS, negative.shape[1])
    rivals = np.stack([negative[:, group::groups].sum(axis=1) for group in range(groups)], axis=1)
    probability: F64 = (familiar / (familiar + rivals)).mean(axis=1)
    return probability
