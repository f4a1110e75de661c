"""Save a recipe's result, prepared or from the cache."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from reliability.evaluate.engine import Engine
from reliability.evaluate.running.own import SAVED_CODE
from reliability.evaluate.storage.code_version import code_version
from reliability.models.spec import ModelSpec
from reliability.quant.coverage import coverage
from reliability.quant.recipe import Recipe
from reliability.quant.saved import save, state_digest
from reliability.quant.saved_record import SavedRecord
from reliability.quant.towers import RangeData
from reliability.versions import installed

_VERSIONS = ("quant-reliability", "torch", "open_clip_torch", "safetensors")


def save_candidate(engine: Engine, model: ModelSpec, recipe: Recipe, folder: Path) -> SavedRecord:
    """Apply a recipe, unless the cache has the result, and save it.

    Args:
        engine: Its data set gives the range-setting data.
        model: The FP32 model.
        recipe: What to apply.
        folder: Where files go; it must hold no saved candidate.

    Raises:
        ModelError: It holds one, or the model cannot be loaded.
        QuantizationError: The recipe cannot be applied to the model.
    """
    candidates = engine.loaded()
    reference, network = candidates.reference(model), candidates.network(model, recipe).cpu()
    draw = engine.data.range_setting
    first = draw(recipe.range_images or 1, recipe.seed)
    probe = RangeData(reference.to_input(first.images[:1]), reference.tokenizer(first.captions[:1]))
    proof = coverage(network, probe.images, probe.tokens, None if recipe.is_float else recipe.towers)
    record = SavedRecord(
        recipe=recipe,
        reference={"model": model.text, "identity": dict(model.identity), "weights": state_digest(reference.clip)},
        range_setting=dict(draw.identity(recipe.range_images, recipe.seed)),
        coverage={"share": proof.share} | asdict(proof),
        versions={name: installed(name) for name in _VERSIONS},
        code=code_version(*SAVED_CODE),
    )
    save(folder, network, record, probe)
    return record
