"""How figures and what is allowed are put into words, whatever the unit."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reliability.types import Comparison, Interval, Relation

Show = Callable[[float], str]


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals, and never a minus sign before zero.

    >>> fixed(-0.00001, 4), fixed(0.0172, 4)
    ('0.0000', '0.0172')
    """
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def telling_digits(values: Iterable[float], least: int = 4, most: int = 10) -> int:
    """The fewest decimals at which values that differ also look different.

    Without this a limit of 0.01004 over a margin of 0.01 would be reported as
    "0.0100 is more than 0.0100".

    >>> telling_digits([0.01, 0.01004])
    5
    """
    distinct = set(values)
    for digits in range(least, most):
        if len({fixed(value, digits) for value in distinct}) == len(distinct):
            return digits
    return most


def figure_name(metric: str, score: str) -> str:
    """The metric, and the score where there is one.

    >>> figure_name("auroc", "mcm")
    'auroc (mcm)'
    """
    return f"{metric} ({score})" if score else metric


def inert(text: object) -> str:
    """One line of text from data or files in which nothing can act on a terminal or end a comment.

    Conventions:
        Control characters, also those that turn the direction of writing, are shown as escapes.

    >>> inert("red\\x1b[2Jstar")
    'red\\\\x1b[2Jstar'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def allowed(relation: Relation, margin: float, show: Show) -> str:
    """What a relation allows of the harm, or for ``at_least`` and ``at_most`` of the candidate, in words."""
    return {
        "not_worse": f"at most {show(margin)}",
        "improves": f"below {show(0.0)}",
        "equivalent": f"within ±{show(margin)}",
        "at_least": f"at least {show(margin)}",
        "at_most": f"at most {show(margin)}",
        "differs": f"any but {show(0.0)}",
        "not_better": f"at least {show(-margin)}",
        "worsens": f"above {show(0.0)}",
    }[relation]


def limits(interval: Interval, show: Show) -> str:
    """Both one-sided limits and their level: ``95 % limits 0.0138 to 0.0206``."""
    return f"{100 * interval.level:g} % limits {show(interval.lower)} to {show(interval.upper)}"


def roughly(count: int) -> str:
    """An extrapolated number of images, rounded up to two digits.

    >>> roughly(4379), roughly(87)
    ('4,400', '87')
    """
    step = 10 ** max(0, len(str(count)) - 2)
    return f"{-(-count // step) * step:,}"


def basis(comparison: Comparison) -> str:
    """How the limits came about."""
    seed = f"seed {comparison.seed}"
    return f"{comparison.method}, {seed}" if comparison.method else seed
