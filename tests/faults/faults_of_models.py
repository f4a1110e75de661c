"""Models that read pictures or texts wrongly, or give features that are no features; caches that are out of date."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fault_world import PICTURES, Fault, World
from PIL import Image
from safetensors.torch import load_file, save_file

from reliability.evaluate.storage.cache import Cache, Job
from reliability.models import zoo
from reliability.models.openclip import ClipModel

LARGER = 80
"""Side of pictures that the model has to resize."""

Features = dict[str, Any]


def reading(fault: Callable[[ClipModel], ClipModel]) -> Callable[[World], None]:
    return lambda world: world.spoil_reading(fault)


def features(kind: str, fault: Callable[[Features], Features]) -> Callable[[World], None]:
    return lambda world: world.spoil_features(kind, fault)


def blue_for_red(model: ClipModel) -> ClipModel:
    return replace(model, preprocess=lambda picture: model.preprocess(picture).flip(0))


def not_normalised(model: ClipModel) -> ClipModel:
    return replace(model, preprocess=lambda picture: model.preprocess(picture) * 0.25 + 0.44)


def other_tokenizer(model: ClipModel) -> ClipModel:
    """Words numbered one place further, as by a vocabulary of another version."""

    def tokenizer(texts: Any) -> torch.Tensor:
        tokens = model.tokenizer(texts)
        inside = (tokens > 1) & (tokens < tokens.max() - 2)
        return torch.where(inside, tokens + 1, tokens)

    return replace(model, tokenizer=tokenizer)


def nearest_resize(world: World) -> None:
    """Pictures larger than the model's input, which the candidate shrinks without smoothing."""
    from reliability.data.scenes import source

    world.patch.setattr(source, "IMAGE_SIZE", LARGER)

    def nearest(model: ClipModel) -> ClipModel:
        return replace(model, preprocess=lambda p: model.preprocess(p.resize((32, 32), Image.Resampling.NEAREST)))

    world.spoil_reading(nearest)


def set_scale(logarithm: Callable[[float], float]) -> Callable[[World], None]:
    def damage(clip: Any) -> None:
        clip.logit_scale.fill_(logarithm(float(clip.logit_scale)))

    return lambda world: world.spoil_network(damage)


def text_lengths_kept(found: Features) -> Features:
    lengths = np.linspace(0.5, 2.0, len(found["text"]), dtype=np.float32)
    return found | {"text": found["text"] * lengths[:, None]}


def classes_in_another_order(found: Features) -> Features:
    return found | {"text": np.roll(found["text"], 1, axis=0)}


def _last_layer(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[World], None]:
    def damage(clip: Any) -> None:
        sound = clip.encode_image
        clip.encode_image = lambda pictures: change(sound(pictures))

    return lambda world: world.spoil_network(damage)


def one_nan(rows: torch.Tensor) -> torch.Tensor:
    rows = rows.clone()
    rows[5, 0] = torch.nan
    return rows


def constant(rows: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(rows)


def reference_again(world: World) -> None:
    from reliability.evaluate.running.candidates import Candidates

    world.patch.setattr(Candidates, "network", lambda self, model, _: self.reference(model).clip)


def twin(world: World, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A second embedded model, the first one's weights changed a little; its file."""
    folder = world.folder / "zoo"
    if not folder.exists():
        folder.mkdir()
        for suffix in (".json", ".safetensors"):
            for name in ("scenes-clean", "twin"):
                shutil.copy(zoo.FOLDER / f"scenes-clean{suffix}", folder / f"{name}{suffix}")
        world.patch.setattr(zoo, "FOLDER", folder)
    state = load_file(folder / "scenes-clean.safetensors")
    change(state)
    save_file(state, folder / "twin.safetensors")
    return folder


def weights_changed_under_a_warm_cache(world: World) -> None:
    twin(world, lambda state: state["visual.proj"].mul_(1.001))
    world.settings |= {"candidates": ("zoo:twin",), "recipes": ""}
    first = world.run("plain", ("id",))
    assert first["agreement[scenes-clean-twin-id-flip_rate]"] == "holds", first
    twin(world, lambda state: state["visual.proj"].copy_(state["visual.proj"].flip(0)))


def settings_changed_under_a_warm_cache(world: World) -> None:
    """The twin reads pictures with other means, as if somebody mended its configuration after a run."""
    folder = twin(world, lambda state: state["visual.proj"].mul_(1.001))
    world.settings |= {"candidates": ("zoo:twin",), "recipes": ""}
    first = world.run("plain", ("id",))
    assert first["agreement[scenes-clean-twin-id-flip_rate]"] == "holds", first
    config = json.loads((folder / "twin.json").read_text())
    config["preprocess_cfg"]["mean"] = [0.0, 0.0, 0.0]
    (folder / "twin.json").write_text(json.dumps(config))


def entry_of_another_setting(world: World) -> None:
    """Features of other pictures, whole and with their checksum, at the address of the right ones."""
    addresses: list[str] = []
    sound = Cache.get

    def noted(self: Cache, jobs: Any) -> Any:
        addresses.extend(job.key for job in jobs if job.payload["kind"] == "image")
        return sound(self, jobs)

    world.run("plain", ("id",))
    world.patch.setattr(Cache, "get", noted)
    world.run("plain", ("id",))
    mine = Cache(world.cache)
    wrong = sound(mine, [Job({"kind": "image"}, lambda: _scrambled(world, addresses[1]))])[0]
    assert len(wrong["image"]) == PICTURES
    path = world.cache / "{0:.2}/{0}.bin".format(Job({"kind": "image"}, dict).key)
    shutil.copy(path, world.cache / addresses[1][:2] / f"{addresses[1]}.bin")


def _scrambled(world: World, address: str) -> Features:
    from reliability.evaluate.storage import cache

    blob = (world.cache / address[:2] / f"{address}.bin").read_bytes()
    found = cache._unpack(blob[36:])
    return found | {"image": found["image"][::-1].copy()}


FAULTS = (
    Fault("BGR for RGB", "the candidate's preprocessing", reading(blue_for_red), "agreement"),
    Fault("pictures not normalised", "the candidate's preprocessing", reading(not_normalised), "agreement"),
    Fault("another interpolation when resizing: nearest for bicubic, from 80 to 32 pixels",
          "the candidate's preprocessing", nearest_resize, "agreement"),
    Fault("wrong tokenizer", "the candidate's texts", reading(other_tokenizer), "agreement", recipe="towers"),
    Fault("classes in another order", "the candidate's text features", features("prompts", classes_in_another_order),
          "agreement", recipe="towers"),
    Fault("unnormalised features", "the candidate's text features", features("prompts", text_lengths_kept),
          "agreement", "ModelError", "unit length", recipe="towers"),
    Fault("logit scale lost", NETWORK := "the network that is run", set_scale(lambda _: 0.0),
          "calibration_error", recipe="towers"),
    Fault("logit scale squared", NETWORK, set_scale(lambda log: 2 * log), "likelihood", recipe="towers"),
    Fault("saturated softmax", f"{NETWORK}, a logit scale of a million", set_scale(lambda _: math.log(1e6)),
          "likelihood", recipe="towers"),
    Fault("NaN in one image", NETWORK, _last_layer(one_nan), "agreement", "ModelError", "not finite"),
    Fault("constant features", NETWORK, _last_layer(constant), "agreement"),
    Fault("constant features, as an OOD score sees them", NETWORK, _last_layer(constant),
          "ood_separation", "UndefinedMetricError", "constant scores", tasks=("ood/near",)),
    Fault("the candidate is the reference although a recipe was asked for", "loading", reference_again,
          "agreement", "QuantizationError", "equal the reference's in every bit"),
    Fault("stale cache after a weight change", "the candidate's file, after a run", weights_changed_under_a_warm_cache,
          "agreement", start="reference"),
    Fault("cache from other preprocessing", "the candidate's configuration, after a run",
          settings_changed_under_a_warm_cache, "agreement", "ModelError", "preprocessing is not the reference's",
          start="reference"),
    Fault("whole entry of another setting at this address", "the cache", entry_of_another_setting,
          "agreement", "holds", start="prepared"),
)  # fmt: skip
