from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reliability.data.hand_out import hand_out
from reliability.data.registry import open_data
from reliability.errors import UsageError


def test_every_picture_of_a_task_is_written_with_its_id_and_every_pixel(tmp_path: Path) -> None:
    data = open_data("scenes", limit=5)
    task = data.task("ood/near")
    written = hand_out(data, ["ood/near"], tmp_path / "out")
    assert task.familiar is not None
    assert set(written) == {task.part.source, task.familiar.source}
    for name, count in written.items():
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        batch = next(data.sources[name].batches(5))
        assert [row["id"] for row in rows] == batch.ids.tolist()
        assert count == len(rows) == 5
        for row, picture in zip(rows, batch.images, strict=True):
            assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / name / row["file"])), picture)
    prompts = json.loads((tmp_path / "out" / "prompts.json").read_text(encoding="utf-8"))
    assert prompts == {
        "ood/near": {"classes": list(task.prompts.class_names), "templates": list(task.prompts.templates)}
    }


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        hand_out(open_data("scenes", limit=2), ["id"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
