from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.errors import ModelError
from reliability.evaluate.engine import Engine
from reliability.evaluate.saving import save_candidate
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import parse_recipe

IN_ANOTHER_PROCESS = """
import hashlib, json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from reliability.evaluate.storage.code_version import code_version
from reliability.evaluate.running.own import SAVED_CODE
from reliability.models import zoo
from reliability.models.openclip import load_model
from reliability.models.spec import parse_model
from reliability.quant.saved import load_saved, state_digest
zoo.FOLDER = Path(sys.argv[2])
model = load_model(parse_model("zoo:tiny"))
found = load_saved(Path(sys.argv[1]), model.clip, code_version(*SAVED_CODE))
import numpy as np
pictures = np.load(sys.argv[3])
with torch.inference_mode():
    rows = found.network.encode_image(model.to_input(list(pictures)))
print(json.dumps({"weights": state_digest(found.network), "rows": hashlib.sha256(rows.numpy().tobytes()).hexdigest()}))
"""


@pytest.fixture
def engine(tmp_path: Path, data: DataSet) -> Engine:
    return Engine(Cache(tmp_path / "cache"), data)


@pytest.mark.parametrize("name", ["w8a8-minmax", "w4a8_g32-dynamic-both"])
def test_a_saved_candidate_computes_the_same_bits_in_another_process(
    engine: Engine, tiny: ModelSpec, zoo_model: Path, tmp_path: Path, name: str
) -> None:
    from reliability.quant.saved import state_digest

    recipe = replace(parse_recipe(name), range_images=16)
    save_candidate(engine, tiny, recipe, tmp_path / "saved")
    pictures = engine.data.sources["pictures"].images
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    arguments = [str(tmp_path / "saved"), str(zoo_model), str(tmp_path / "pictures.npy")]
    output = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, *arguments], capture_output=True, text=True, check=True
    )
    there = json.loads(output.stdout.splitlines()[-1])
    rows = engine.pair(tiny, recipe, engine.data.task("id")).candidate.part.image
    assert there["rows"] == hashlib.sha256(rows.tobytes()).hexdigest()
    assert there["weights"] == state_digest(engine.loaded().network(tiny, recipe))


def test_the_record_says_where_the_candidate_came_from(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    recipe = replace(parse_recipe("w8a8-minmax"), range_images=16)
    save_candidate(engine, tiny, recipe, tmp_path / "saved")
    record = json.loads((tmp_path / "saved" / "candidate.json").read_text())
    assert record["reference"]["model"] == "zoo:tiny"
    assert record["reference"]["identity"] == dict(tiny.identity)
    assert record["range_setting"] == {"captioned": 0, "count": 16, "draw": 0}
    assert record["coverage"]["share"] == 1.0
    assert record["recipe"]["name"] == "w8a8-minmax"
    assert str(tmp_path) not in json.dumps(record)


def test_a_second_candidate_does_not_go_into_the_same_folder(engine: Engine, tiny: ModelSpec, tmp_path: Path) -> None:
    recipe = replace(parse_recipe("w8a8-minmax"), range_images=16)
    save_candidate(engine, tiny, recipe, tmp_path / "saved")
    with pytest.raises(ModelError, match="holds a saved candidate already"):
        save_candidate(engine, tiny, recipe, tmp_path / "saved")
