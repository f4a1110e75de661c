"""Load references, prepare candidates and run them; everything here needs torch."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from reliability.errors import ModelError
from reliability.evaluate.running.candidate import Candidate
from reliability.evaluate.running.efficiency import Times, in_turn
from reliability.evaluate.running.embed import BATCH, embed_images, embed_prompts
from reliability.evaluate.running.keeper import Keeper
from reliability.evaluate.running.own import OwnModels
from reliability.evaluate.storage.cache import Arrays
from reliability.models.loading import load_reference
from reliability.models.openclip import ClipModel
from reliability.models.spec import ModelSpec, OwnCandidate
from reliability.quant.backends.convert import to_kernels
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.proving import prove
from reliability.quant.recipe import Recipe
from reliability.quant.towers import encode
from reliability.types import ImageSource, PromptSet


class Candidates:
    """Models of one process, loaded when first needed."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._references: dict[ModelSpec, ClipModel] = {}
        # Without a network a hub client retries for some 15 s before it gives up: once is enough.
        self._unloadable: dict[ModelSpec, ModelError] = {}
        # One candidate at a time: cases that share a recipe run in a row.
        self._candidate: tuple[ModelSpec, Recipe, Any] | None = None
        self._own = OwnModels(keeper, self)
        torch.set_num_threads(keeper.threads)

    def images(self, model: ModelSpec, recipe: Candidate, source: ImageSource) -> Arrays:
        """Image features of a source under a candidate."""
        if isinstance(recipe, OwnCandidate):
            return self._own.images(model, recipe, source)
        clip = self._network(model, recipe, "vision")
        return embed_images(clip, self.reference(model), source, self._keeper.device)

    def prompts(self, model: ModelSpec, recipe: Candidate, prompts: PromptSet) -> Arrays:
        """Zero-shot head of a prompt set under a candidate."""
        if isinstance(recipe, OwnCandidate):
            return self._own.prompts(model, recipe, prompts)
        clip = self._network(model, recipe, "text")
        return embed_prompts(clip, self.reference(model), prompts, self._keeper.device)

    def prepare(self, model: ModelSpec, recipe: Recipe) -> Arrays:
        """Apply a recipe and return the candidate's state."""
        data = self._range_data(model, recipe)
        if recipe.backend:
            # From the simulation that is cached: the same codes, and no second training.
            prepared = to_kernels(self._filled(model, recipe.simulated), recipe, data)
        else:
            prepared = prepare(self.reference(model).clip, recipe, data)
        return {name: value.detach().cpu().numpy() for name, value in prepared.state_dict().items()}

    def size(self, model: ModelSpec, recipe: Recipe) -> Arrays:
        """Bytes of all tensors of a candidate, or of a reference, as they are stored."""
        network = self.reference(model).clip if recipe.is_float else self.network(model, recipe)
        return {"bytes": np.array([sum(value.nbytes for value in network.state_dict().values())])}

    def prove(self, model: ModelSpec, recipe: Recipe) -> Arrays:
        """The coverage proof of a candidate as it is evaluated, in JSON."""
        reference = self.reference(model).clip
        network = reference if recipe.is_float else self.network(model, recipe)
        data = self._range_data(model, recipe).to(torch.device(self._keeper.device))
        return {"proof": np.array([json.dumps(prove(network, reference, recipe, data).to_dict())])}

    def _range_data(self, model: ModelSpec, recipe: Recipe) -> RangeData:
        """The pairs that a recipe sets its ranges on; one pair for a recipe that sets none."""
        reference, pairs = self.reference(model), self._keeper.data.range_setting(recipe.range_images or 1, recipe.seed)
        return RangeData(reference.to_input(pairs.images), reference.tokenizer(pairs.captions))

    def reference(self, model: ModelSpec) -> ClipModel:
        """A reference, loaded once."""
        if model in self._unloadable:
            raise self._unloadable[model].with_traceback(None)
        if model not in self._references:
            try:
                loaded = load_reference(model)
            except ModelError as error:
                self._unloadable[model] = error
                raise
            if isinstance(loaded.clip, torch.nn.Module):
                loaded.clip.to(self._keeper.device)
            self._references[model] = loaded
        return self._references[model]

    def network(self, model: ModelSpec, recipe: Recipe) -> Any:
        """A reference with a recipe applied, ready to run."""
        if self._candidate is None or self._candidate[:2] != (model, recipe):
            self._candidate = (model, recipe, self._filled(model, recipe))
        return self._candidate[2]

    def _filled(self, model: ModelSpec, recipe: Recipe) -> Any:
        network = skeleton(self.reference(model).clip, recipe)
        state = self._keeper.prepared(model, recipe)
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
        return network.to(self._keeper.device).eval()

    def times(self, model: ModelSpec, against: Recipe, recipe: Candidate) -> Times:
        """Time a candidate and what it is held against on range-setting pictures, or captions where it changes texts.

        Conventions:
            From preprocessed input on this device to features on the CPU.
        """
        tower: Literal["vision", "text"] = "vision" if recipe.changes("vision") or recipe.is_float else "text"
        first, second = (self._network(model, one, tower) for one in (against, recipe))
        data = self._range_data(model, replace(against, range_images=BATCH))
        inputs = (data.images if tower == "vision" else data.tokens).to(self._keeper.device)
        with torch.inference_mode():
            single, batch = (
                in_turn(partial(_embed, first, tower, part), partial(_embed, second, tower, part))
                for part in (inputs[:1], inputs)
            )
        return Times(single, batch, len(inputs), f"{self._keeper.device}, {self._keeper.threads} torch threads")

    def _network(self, model: ModelSpec, recipe: Candidate, tower: Literal["vision", "text"]) -> Any:
        """The network to run for one tower: the reference's own where the recipe leaves it alone."""
        if isinstance(recipe, OwnCandidate):
            return self._own.load(model, recipe).clip
        return self.network(model, recipe) if recipe.changes(tower) else self.reference(model).clip


def _embed(clip: Any, tower: Literal["vision", "text"], batch: torch.Tensor) -> torch.Tensor:
    return encode(clip, tower, batch).cpu()
