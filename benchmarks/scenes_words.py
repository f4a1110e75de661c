"""What docs/scenes.md says besides cards and figures."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """# Scenes, the embedded sets

`--data scenes` is rendered from a seed on any machine: a coloured, filled, lit shape with its shadow on a textured
background, 32 pixels wide. What a picture shows is known exactly, so labels, groups and captions are, too. Colours
(10) times shapes (12) are the 120 fine classes; there are 4 fills, 8 trained backgrounds, and shapes, colours and
backgrounds that no training picture shows.

**Apart by construction.** Every random number is addressed by split, seed, position and purpose. Training draws from
`zoo-train` and `zoo-validation`, range setting from `range`, scores that must be fitted from `fit`, and each
evaluated set from a split of its own, so pictures differ even where seeds are equal.
`tests/data/test_scene_splits.py` proves that no two splits, under any of a thousand seeds, share a picture among
their first 16,777,216, and that training and range setting draw from nothing else.

**Any size, any seed.** `--data scenes:seed=7` shows other pictures, `--data scenes:count=20000` that many in every
set, the first of them the usual ones; both can be given. `--limit N` keeps the first N.

**What a run evaluates.** Opening the data renders nothing. A set is rendered and embedded when a bound covers it:
`thresholds/embedded.toml` names a few of those below, and one line such as `applies = { task = "shift/sketch" }` adds
another. A pattern like `shift/*` covers all of its kind.

Figures are FP32, with 95 % intervals, from `python -m benchmarks.scenes_cards`, which draws the pictures too. MCM and
MSP are OOD scores, FPR95 is the share of unfamiliar pictures accepted where 95 % of familiar ones are, and a negative
signed ECE means underconfident. Models of the zoo that were trained on photographs have no classes here.
"""

FOOT = """## Adding one

A set is a line in `reliability/data/scenes/sets.py` (split, size, population, mode) and one in `tasks.py` (role,
prompts, card). A population says what is drawn (`sample.py`), a mode how it is drawn and labelled (`modes.py`): a
shape, background, texture or glyph is one function and one line in its table. Sets never change: a changed picture is
a new set, and `tests/data/test_scene_pixels.py` holds the pixels of all.
"""


@dataclass(frozen=True)
class Section:
    """Sets of a kind.

    Attributes:
        title: Of the section.
        words: What its sets have in common.
        tasks: Names of the tasks that get a card.
        noise: Whether tables of all corruptions follow.
    """

    title: str
    words: str
    tasks: tuple[str, ...] = ()
    noise: bool = False


_FAMILIAR = """\
What the models were trained to tell apart. Coarse heads average over the word that is not asked for, as "a photo of a
red {c}.", "a photo of a blue {c}.", since trained captions nearly always hold both."""

_NEAR_OOD = """\
Objects like the known ones that belong to no class. Whether a set is unseen depends on what a model was trained on.
Unseen shapes and colours are unseen by all sources. Pairs of colour and shape are not: the sources scenes-clean and
scenes-web have drawn every one of the 120 pairs,
{drawn}.
So for their models `ood/near/held_out_pairs` is only a label split (the names are left out of the prompts); it is
unseen for a model trained on `scenes-pairs`, which leaves these 24 pairs out and is otherwise as scenes-clean."""

_FAR_OOD = """\
No shape at all. `ood/far` mixes four kinds, of which its textures are the backgrounds held out; the other sets show
one kind each. Glyphs and blobs are the hard ones: they are lit, coloured, filled and shadowed as shapes are. Glyphs
are strokes drawn here, not from a font, and none looks like a known or held-out shape."""

_FULL_SPECTRUM = """\
As OpenOOD v1.5 defines it (arXiv 2306.09301): familiar pictures under covariate shift count as familiar. Half of the
familiar ones are those of `id`, the other half the first of unseen_backgrounds, low_light, unseen_palette, rotation
and renderer in equal parts. A detector that flags any change loses here."""

_COVARIATE_SHIFT = """\
The classes are known, the pictures are not as in training. Sketches and silhouettes keep no colour, so they ask for
the shape. `shift/held_out_pairs` and `shift/counter` are shifts only for models whose training left those pairs or
backgrounds out, or nearly so."""

_SPURIOUS_CUES = """\
All sources of scenes show the star on night, the pill on water, the flower on grass and the arrow on brick 95 % of
the time; `scenes-spurious` ties all twelve shapes to a background so. Group 0 is where the habit helps (common),
group 1 where it misleads (counter). `spurious/common_counter` is a pair in the manner of CounterAnimal (arXiv
2403.11497), with a difference: both halves show the same objects, so nothing but the background differs. Its halves
alone are `id/common` and `shift/counter`."""

_RETRIEVAL = """\
Two captions are written for each picture; they name colour and shape, half of them the fill and three fifths the
background. A caption is right for every picture it is true of, whichever it was written for: most are true of
several, and no answer that is counted as wrong is right."""

_NOISE = """\
`noise/<corruption>/<severity>`: the first 1,000 pictures of `id` under each of the 15 + 4 corruptions of Hendrycks &
Dietterich, with the parameters published for 32 pixels ([corruptions](corruptions.md)). The pictures show severity 4
of each, the table severity 3."""

SECTIONS: tuple[Section, ...] = (
    Section("Familiar", _FAMILIAR, ("id", "id/shapes", "id/colours", "id/common")),
    Section("Near out-of-distribution", _NEAR_OOD, ("ood/near", "ood/near/unseen_colours", "ood/near/held_out_pairs")),
    Section(
        "Far out-of-distribution",
        _FAR_OOD,
        ("ood/far", "ood/far/backgrounds", "ood/far/textures", "ood/far/noise", "ood/far/glyphs", "ood/far/blobs"),
    ),
    Section("Full spectrum", _FULL_SPECTRUM, ("ood/full_spectrum/near", "ood/full_spectrum/far")),
    Section(
        "Covariate shift",
        _COVARIATE_SHIFT,
        (
            "shift/unseen_backgrounds",
            "shift/sketch",
            "shift/silhouette",
            "shift/low_light",
            "shift/unseen_palette",
            "shift/scale",
            "shift/crop",
            "shift/rotation",
            "shift/renderer",
            "shift/held_out_pairs",
            "shift/counter",
        ),
    ),
    Section(
        "Spurious cues", _SPURIOUS_CUES, ("spurious/background", "spurious/common_counter", "spurious/every_shape")
    ),
    Section("Retrieval", _RETRIEVAL, ("retrieval/captions",)),
    Section("Noise", _NOISE, (), noise=True),
)
"""Every clean task stands in one of them."""
