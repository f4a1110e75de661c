"""Load references, prepare candidates and run them; everything here needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from reliability.errors import ModelError
from reliability.evaluate.cache import Arrays
from reliability.evaluate.embed import embed_images, embed_prompts
from reliability.models.openclip import ClipModel, load_model
from reliability.models.spec import ModelSpec
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe
from reliability.types import ImageSource, PromptSet

if TYPE_CHECKING:
    from reliability.evaluate.engine import Engine


class Candidates:
    """Models of one process, loaded when first needed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._references: dict[ModelSpec, ClipModel] = {}
        # Without a network a hub client retries for some 15 s before it gives up: once is enough.
        self._unloadable: dict[ModelSpec, ModelError] = {}
        # One candidate at a time: cases that share a recipe run in a row.
        self._candidate: tuple[ModelSpec, Recipe, Any] | None = None
        torch.set_num_threads(engine.threads)

    def images(self, model: ModelSpec, recipe: Recipe, source: ImageSource) -> Arrays:
        """Image features of a source under a candidate."""
        clip = self._network(model, recipe, "vision")
        return embed_images(clip, self._reference(model), source, self._engine.device)

    def prompts(self, model: ModelSpec, recipe: Recipe, prompts: PromptSet) -> Arrays:
        """Zero-shot head of a prompt set under a candidate."""
        clip = self._network(model, recipe, "text")
        return embed_prompts(clip, self._reference(model), prompts, self._engine.device)

    def prepare(self, model: ModelSpec, recipe: Recipe) -> Arrays:
        """Apply a recipe and return the candidate's state."""
        reference = self._reference(model)
        pairs = self._engine.data.range_setting(recipe.range_images, recipe.seed)
        data = RangeData(reference.to_input(pairs.images), reference.tokenizer(pairs.captions))
        prepared = prepare(reference.clip, recipe, data)
        return {name: value.detach().cpu().numpy() for name, value in prepared.state_dict().items()}

    def _reference(self, model: ModelSpec) -> ClipModel:
        if model in self._unloadable:
            raise self._unloadable[model].with_traceback(None)
        if model not in self._references:
            try:
                loaded = load_model(model)
            except ModelError as error:
                self._unloadable[model] = error
                raise
            loaded.clip.to(self._engine.device)
            self._references[model] = loaded
        return self._references[model]

    def _network(self, model: ModelSpec, recipe: Recipe, tower: Literal["vision", "text"]) -> Any:
        """The network to run for one tower: the reference's own where the recipe leaves it alone."""
        if not recipe.changes(tower):
            return self._reference(model).clip
        if self._candidate is None or self._candidate[:2] != (model, recipe):
            network = skeleton(self._reference(model).clip, recipe)
            state = self._engine.prepared(model, recipe)
            network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
            self._candidate = (model, recipe, network.to(self._engine.device).eval())
        return self._candidate[2]
