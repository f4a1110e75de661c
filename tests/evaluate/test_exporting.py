from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reliability.data.dataset import DataSet
from reliability.errors import UsageError
from reliability.evaluate.engine import Engine
from reliability.evaluate.exporting import export_candidate
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import parse_recipe

W8 = replace(parse_recipe("w8a8-minmax"), range_images=16)


@pytest.fixture
def engine(tmp_path: Path, data: DataSet) -> Engine:
    return Engine(Cache(tmp_path / "cache"), data)


def test_one_file_holds_one_tower(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one file holds one tower"):
        export_candidate(engine, tiny, W8, tmp_path / "model.onnx", ("vision", "text"))


def test_no_file_is_written_over(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    (tmp_path / "visual.onnx").write_bytes(b"mine")
    for to in (tmp_path, tmp_path / "visual.onnx"):
        with pytest.raises(UsageError, match="there already"):
            export_candidate(engine, tiny, W8, to, ("vision",))
    assert (tmp_path / "visual.onnx").read_bytes() == b"mine"


def test_kernels_are_not_exported_but_their_simulation_is_named(
    engine: Engine, tiny: ModelSpec, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="not exported") as caught:
        export_candidate(engine, tiny, parse_recipe("w8a8-dynamic@torch-int8"), tmp_path, ("vision",))
    assert "w8a8-dynamic" in caught.value.next
    assert "@" not in caught.value.next
