"""Progress shows what goes on and changes nothing of it."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.evaluate.running.progress import SILENT, Bars, count_of
from reliability.types import ImageSource

DATA = open_data("scenes", limit=20)
NOISY = next(name for name in DATA.sources if "gaussian_noise" in name)


def test_nothing_is_shown_and_nothing_wrapped_unless_somebody_asks() -> None:
    source = DATA.sources["id"]
    assert SILENT.watched("w8a8: id", source, 20) is source
    with SILENT.busy("preparing"):
        pass


def test_a_bar_counts_the_pictures_and_hands_on_every_batch() -> None:
    screen, source = StringIO(), DATA.sources["id"]
    watched = Bars(screen, 80).watched("w8a8: id", source, 20)
    assert (watched.name, watched.identity) == (source.name, source.identity)
    for seen, given in zip(watched.batches(8), source.batches(8), strict=True):
        assert seen.ids.tolist() == given.ids.tolist()
        assert all(np.array_equal(a, b) for a, b in zip(seen.images, given.images, strict=True))
    drawn = screen.getvalue()
    assert "w8a8: id" in drawn
    assert "0/20" in drawn
    assert drawn.rpartition("\r")[0].endswith(" "), "the line is cleared when it is done"


def test_what_has_no_steps_is_one_line_that_vanishes() -> None:
    screen = StringIO()
    with Bars(screen, 80).busy("preparing w8a8-lsq"):
        assert "preparing w8a8-lsq" in screen.getvalue()
    assert screen.getvalue().endswith("\r")


@pytest.mark.parametrize(("name", "count"), [("id", 20), (NOISY, 20)])
def test_the_number_of_pictures_is_known_beforehand(name: str, count: int) -> None:
    source: ImageSource = DATA.sources[name]
    assert count_of(source) == count == sum(len(batch.ids) for batch in source.batches(16))


def test_a_source_of_another_kind_is_counted_as_it_goes() -> None:
    class Other:
        name = "other"

    assert count_of(Other()) is None  # type: ignore[arg-type]
