"""Whether an image's texts, and a text's image, are among the first found."""

from __future__ import annotations

from functools import partial

import numpy as np

from reliability.metrics.checks import undefined
from reliability.metrics.matches import Matches, Places
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register
from reliability.types import F64

_register = partial(
    register, "retrieval", direction="higher", low=0.0, high=1.0, unit="fraction", depends_on_size=True
)  # fmt: skip
_by_image = _register(defined="every image has a text, and there are more than k texts")
_by_text = _register(defined="there are more than k images")


@_by_image
def image_to_text_recall_at_1(matches: Matches) -> PerImage:
    """Share of images whose closest text is one of their own.

    Args:
        image_features: [N, D].
        image_ids: [N] whole numbers or names, each once.
        text_features: [T, D]; an image may have several texts.
        image_of_text: [T] id of each text's image; or booleans [T, N], where a text may be true
            of several images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, a feature that is all zero,
            ids that repeat or do not match, an image without a text, or no more than k texts in all.

    Conventions:
        An image is found if any of its texts is among the k closest by cosine. Ties are taken
        at their expected value over random orders, so constant features score chance and
        not 1; cosines within 1e-12 are tied, since a matrix product rounds by position.
        Image weights repeat queries while all texts stay to be chosen from, so an image
        drawn twice is asked twice and never competes with itself.

    Source:
        Karpathy & Fei-Fei, Deep Visual-Semantic Alignments, CVPR 2015. Departure: ties.

    >>> texts = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    >>> image_to_text_recall_at_1([[1.0, 0.0], [0.0, 1.0]], ["a", "b"], texts, ["a", "a", "b"])
    0.5
    """
    return _images_found("image_to_text_recall_at_1", matches, 1)


@_by_image
def image_to_text_recall_at_5(matches: Matches) -> PerImage:
    """Share of images with one of their own texts among the closest five.

    Args:
        image_features, image_ids, text_features, image_of_text: As :func:`image_to_text_recall_at_1`.

    Raises:
        UndefinedMetricError: As :func:`image_to_text_recall_at_1`.

    Conventions:
        As :func:`image_to_text_recall_at_1`.

    >>> texts = [[1.0, 0.1 * k] for k in range(6)]
    >>> image_to_text_recall_at_5([[1.0, 0.5], [1.0, 0.0]], [7, 9], texts, [9, 7, 7, 7, 7, 9])
    1.0
    """
    return _images_found("image_to_text_recall_at_5", matches, 5)


@_by_image
def image_to_text_recall_at_10(matches: Matches) -> PerImage:
    """Share of images with one of their own texts among the closest ten.

    Args:
        image_features, image_ids, text_features, image_of_text: As :func:`image_to_text_recall_at_1`.

    Raises:
        UndefinedMetricError: As :func:`image_to_text_recall_at_1`.

    Conventions:
        As :func:`image_to_text_recall_at_1`.

    >>> texts = [[1.0, 0.1 * k] for k in range(11)]
    >>> image_to_text_recall_at_10([[1.0, 0.0], [1.0, 0.1]], [0, 1], texts, [1] * 10 + [0])
    0.5
    """
    return _images_found("image_to_text_recall_at_10", matches, 10)


@_by_text
def text_to_image_recall_at_1(matches: Matches) -> PerImage:
    """Share of texts whose closest image is their own.

    Args:
        image_features: [N, D].
        image_ids: [N] whole numbers or names, each once.
        text_features: [T, D]; an image may have several texts, or none.
        image_of_text: [T] id of each text's image; or booleans [T, N].

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, a feature that is all zero,
            ids that repeat or do not match, or no more than k images in all.

    Conventions:
        As :func:`image_to_text_recall_at_1`, with texts as queries. Texts of one image are not
        independent, so they carry that image's weight together: a resample draws images. A text
        that is true of several images is asked for each of them, and found with any of them.

    Source:
        Karpathy & Fei-Fei, Deep Visual-Semantic Alignments, CVPR 2015. Departure: ties.

    >>> text_to_image_recall_at_1([[1.0, 0.0], [0.0, 1.0]], ["a", "b"], [[1.0, 0.0], [1.0, 0.1]], ["a", "b"])
    0.5
    """
    return _texts_found("text_to_image_recall_at_1", matches, 1)


@_by_text
def text_to_image_recall_at_5(matches: Matches) -> PerImage:
    """Share of texts with their own image among the closest five.

    Args:
        image_features, image_ids, text_features, image_of_text: As :func:`text_to_image_recall_at_1`.

    Raises:
        UndefinedMetricError: As :func:`text_to_image_recall_at_1`.

    Conventions:
        As :func:`text_to_image_recall_at_1`.

    >>> text_to_image_recall_at_5([[1.0, 0.1 * k] for k in range(6)], list(range(6)), [[1.0, 0.0]] * 2, [4, 5])
    0.5
    """
    return _texts_found("text_to_image_recall_at_5", matches, 5)


@_by_text
def text_to_image_recall_at_10(matches: Matches) -> PerImage:
    """Share of texts with their own image among the closest ten.

    Args:
        image_features, image_ids, text_features, image_of_text: As :func:`text_to_image_recall_at_1`.

    Raises:
        UndefinedMetricError: As :func:`text_to_image_recall_at_1`.

    Conventions:
        As :func:`text_to_image_recall_at_1`.

    >>> text_to_image_recall_at_10([[1.0, 0.0]] * 20, list(range(20)), [[1.0, 0.0]], [3])
    0.5
    """
    return _texts_found("text_to_image_recall_at_10", matches, 10)


def _images_found(metric: str, matches: Matches, k: int) -> PerImage:
    lonely = np.setdiff1d(np.arange(len(matches.image)), matches.pairs[0])
    if len(lonely):
        raise undefined(
            metric, f"image_features[{lonely[0]}]", "an image without a text has nothing to find",
            f"{len(lonely)} images without a text", "leave them out, or measure text_to_image only",
        )  # fmt: skip
    return mean_of(_hits(metric, "text_features", matches.of_images, k))


def _texts_found(metric: str, matches: Matches, k: int) -> PerImage:
    hits = _hits(metric, "image_features", matches.of_texts, k)
    of, text = matches.pairs
    texts = np.bincount(of, minlength=len(matches.image))
    found = np.bincount(of, hits[text], minlength=len(matches.image))

    def finish(means: F64) -> F64:
        with np.errstate(invalid="ignore"):  # a resample may draw only images without a text
            return means[:, 0] / means[:, 1]

    return PerImage(np.column_stack([found, texts]), finish)


def _hits(metric: str, argument: str, places: Places, k: int) -> F64:
    if places.gallery <= k:
        raise undefined(
            metric, argument, f"among {k} or fewer everything is found", f"{places.gallery} to choose from",
            "use more images, or a smaller k",
        )  # fmt: skip
    return places.hits(k)
