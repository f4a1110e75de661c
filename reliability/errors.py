"""One family of errors; each says where, what, got, and what to do next."""

from __future__ import annotations


class ReliabilityError(Exception):
    """Base of every error a user can cause.

    Args:
        where: The file, option, task or array at fault.
        what: The rule that was broken.
        got: The offending value.
        next: What to do about it.
    """

    def __init__(self, *, where: str, what: str, got: object = None, next: str) -> None:
        self.where, self.what, self.got, self.next = where, what, got, next
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [_inert(self.what), f"  where: {_inert(self.where)}"]
        if self.got is not None:
            lines.append(f"  got:   {_inert(self.got)}")
        return "\n".join([*lines, f"  next:  {_inert(self.next)}"])

    def __reduce__(self) -> tuple[object, tuple[type, dict[str, object]]]:
        # xdist and multiprocessing send errors between processes by pickle,
        # which cannot call an initialiser with keyword-only arguments.
        return _rebuild, (type(self), vars(self))


def _inert(text: object) -> str:
    """Text without what a terminal obeys; further lines are set in, so that none passes for one of ours.

    >>> _inert("a\x1b[2J")
    'a\\\\x1b[2J'
    """
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in str(text))
    return shown.replace("\n", "\n         ")


def _rebuild(kind: type[ReliabilityError], fields: dict[str, object]) -> ReliabilityError:
    return kind(**fields)  # type: ignore[arg-type]


class UsageError(ReliabilityError):
    """An unknown or senseless option, recipe, model, task or key."""


class ThresholdError(ReliabilityError):
    """A threshold file that cannot be judged by."""


class DataError(ReliabilityError):
    """Images, labels, captions or groups that cannot be used."""


class ModelError(ReliabilityError):
    """A model or checkpoint that cannot be loaded or run."""


class QuantizationError(ReliabilityError):
    """A recipe that cannot be applied as it says."""


class UndefinedMetricError(ReliabilityError):
    """A metric, interval or verdict that has no value on this input."""


class CacheError(ReliabilityError):
    """A cache folder that cannot be used."""


class MissingExtraError(ReliabilityError):
    """An optional dependency is not installed."""
