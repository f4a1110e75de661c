"""Towers as open_clip really builds them, with few and narrow layers here and at full size on demand."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import nn

from reliability.quant.coverage import coverage
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.methods.norm_pairs import find_pairs
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import parse_recipe
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.towers import encode
from reliability.torchvision_shim import ensure_torchvision_imports

LARGE = "RELIABILITY_LARGE_TESTS"
"""Environment variable that also runs every architecture at full size, minutes and gigabytes each."""

PAIRS, TEXT_LENGTH, VOCABULARY = 6, 16, 512
NARROW_TEXT = {"layers": 2, "width": 64, "heads": 2, "context_length": TEXT_LENGTH, "vocab_size": VOCABULARY}
ATTENTION = "{0}.q_proj {0}.k_proj {0}.v_proj {0}.out_proj "
BLOCK = ATTENTION.format("transformer.resblocks.1.attn") + "transformer.resblocks.1.mlp.c_fc conv1 proj.linear "


@dataclass(frozen=True)
class Architecture:
    """What is narrowed, and what must be found quantized.

    Attributes:
        vision: Fields of the vision configuration.
        layers: Names in the vision tower, some of each kind that the family has.
        count: All Linear and Conv2d layers of the vision tower.
        attention_macs: By hand, for one picture: query-key and probability-value products.
        timm: Arguments that make timm's tower narrow.
        embed_dim: Width of embeddings.
    """

    vision: dict[str, Any]
    layers: str
    count: int
    attention_macs: int
    timm: dict[str, Any] | None = None
    embed_dim: int = 64


def _vit(patch_size: int) -> Architecture:
    """Two blocks of two heads on 9 patches and a class token."""
    vision = {"layers": 2, "width": 128, "image_size": 3 * patch_size}
    return Architecture(vision, BLOCK, 1 + 2 * 6 + 1, 2 * 2 * 10 * 10 * 128)


ARCHITECTURES = {
    "ViT-B-32": _vit(32),
    "ViT-B-16": _vit(16),
    "ViT-L-14": _vit(14),
    "ViT-B-16-SigLIP": Architecture(
        {"image_size": 48},
        "trunk.patch_embed.proj trunk.blocks.1.attn.qkv trunk.blocks.1.attn.proj trunk.blocks.1.mlp.fc2 "
        "trunk.attn_pool.q trunk.attn_pool.kv trunk.attn_pool.proj trunk.attn_pool.mlp.fc1 trunk.attn_pool.mlp.fc2",
        count=1 + 2 * 4 + 5,
        attention_macs=2 * 2 * 9 * 9 * 128 + 2 * 9 * 128,
        timm={"depth": 2, "embed_dim": 128, "num_heads": 2, "img_size": 48},
        embed_dim=128,
    ),
    "convnext_base": Architecture(
        {"image_size": 64},
        "trunk.stem.0 trunk.stages.1.downsample.1 trunk.stages.3.blocks.0.conv_dw trunk.stages.3.blocks.0.mlp.fc1 "
        "trunk.stages.3.blocks.0.mlp.fc2 head.proj",
        count=1 + 3 + 4 * 3 + 1,
        attention_macs=0,
        timm={"depths": (1, 1, 1, 1), "dims": (16, 32, 64, 128)},
    ),
    "coca_ViT-B-32": replace(
        _vit(32),
        layers=BLOCK + ATTENTION.format("attn_pool.attn"),
        count=1 + 2 * 6 + 4 + 1,
        attention_macs=2 * 2 * 10 * 10 * 128 + 2 * 256 * 10 * 64,
    ),
    "EVA01-g-14": Architecture(
        {"image_size": 42},
        "trunk.patch_embed.proj trunk.blocks.1.attn.qkv trunk.blocks.1.mlp.fc1 trunk.head",
        count=1 + 2 * 4 + 1,
        attention_macs=2 * 2 * 10 * 10 * 128,
        timm={"depth": 2, "embed_dim": 128, "num_heads": 2, "img_size": 42},
    ),
    "RN50": Architecture(
        {"layers": [1, 1, 1, 1], "width": 16, "image_size": 64},
        "conv1 conv3 layer1.0.conv2 layer4.0.downsample.0 attnpool.q_proj attnpool.k_proj attnpool.c_proj",
        count=3 + 4 * (3 + 1) + 4,
        attention_macs=2 * 5 * 512,
    ),
}
each_architecture = pytest.mark.parametrize("name", ARCHITECTURES)


def build(name: str) -> nn.Module:
    """open_clip's own model of that name, narrowed, its norms and layer scales far from the identity."""
    ensure_torchvision_imports()
    import open_clip
    import timm

    torch.manual_seed(0)
    small, settings = ARCHITECTURES[name], copy.deepcopy(open_clip.get_model_config(name))
    settings["vision_cfg"] |= small.vision
    for part in ("text_cfg", "multimodal_cfg"):
        settings[part] = settings.get(part, {}) | NARROW_TEXT
    if "multimodal_cfg" not in open_clip.get_model_config(name):
        del settings["multimodal_cfg"]
    custom = settings.pop("custom_text", False)
    kind = open_clip.CoCa if "multimodal_cfg" in settings else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    narrow = partial(timm.create_model, **small.timm or {})
    with patch.object(timm, "create_model", narrow):
        clip: nn.Module = kind(**settings | {"embed_dim": small.embed_dim}).eval()
    _perturb(clip)
    return clip


def _perturb(clip: nn.Module) -> None:
    for name, value in [*clip.named_parameters(), *clip.named_buffers()]:
        kind = name.rpartition(".")[2]
        if kind == "gamma" or kind == "running_var" or (kind == "weight" and value.ndim == 1):
            value.data.uniform_(0.3, 2.0)
        elif kind.endswith("bias") or kind == "running_mean":
            value.data.normal_(0, 0.2)


def build_data(clip: Any) -> RangeData:
    """Random pictures, and texts of 3 to 15 tokens that end with the largest."""
    generator = torch.Generator().manual_seed(1)
    size = clip.visual.image_size
    images = torch.randn(PAIRS, 3, *(size if isinstance(size, tuple) else (size, size)), generator=generator)
    tokens = torch.randint(1, VOCABULARY - 2, (PAIRS, TEXT_LENGTH), generator=generator)
    ends = torch.randint(2, TEXT_LENGTH - 1, (PAIRS, 1), generator=generator)
    position = torch.arange(TEXT_LENGTH)
    tokens = tokens.masked_fill(position > ends, 0).masked_fill(position == ends, VOCABULARY - 1)
    return RangeData(images, tokens)


@pytest.fixture(scope="module")
def model_of() -> Callable[[str], tuple[nn.Module, RangeData]]:
    """A narrowed model and its data, built once."""
    built: dict[str, tuple[nn.Module, RangeData]] = {}

    def find(name: str) -> tuple[nn.Module, RangeData]:
        if name not in built:
            clip = build(name)
            built[name] = clip, build_data(clip)
        return built[name]

    return find


Built = Callable[[str], tuple[nn.Module, RangeData]]


def quantized(clip: nn.Module, name: str, data: RangeData) -> nn.Module:
    return prepare(clip, replace(parse_recipe(name), range_images=PAIRS), data)


def layer_names(model: nn.Module, tower: str) -> set[str]:
    return {n for n, m in model.get_submodule(tower).named_modules() if isinstance(m, (QuantLinear, QuantConv2d))}


@each_architecture
def test_surgery_keeps_both_towers_functions_to_1e_5(model_of: Built, name: str) -> None:
    clip, data = model_of(name)
    check_parity(clip, split_attention(copy.deepcopy(clip)), data.images, data.tokens)


@each_architecture
@pytest.mark.parametrize("scheme", ["minmax", "dynamic"])
def test_both_towers_run_under_w8a8_and_stay_close(model_of: Built, name: str, scheme: str) -> None:
    clip, data = model_of(name)
    model = quantized(clip, f"w8a8-{scheme}-both", data)
    proof = coverage(model, data.images[:1], data.tokens[:1], "both")
    assert proof.complete
    assert proof.share == 1.0
    with torch.no_grad():
        for tower, batch in (("vision", data.images), ("text", data.tokens)):
            expected, got = (encode(m, tower, batch) for m in (clip, model))  # type: ignore[arg-type]
            assert not torch.equal(expected, got)
            assert float((expected - got).norm() / expected.norm()) < 0.1


@each_architecture
def test_attentions_own_products_are_all_that_stays_float(model_of: Built, name: str) -> None:
    clip, data = model_of(name)
    wanted = ARCHITECTURES[name]
    model = quantized(clip, "w8a8-minmax", data)
    names = layer_names(model, "visual")
    assert set(wanted.layers.split()) <= names
    assert len(names) == wanted.count
    proof = coverage(model, data.images[:1], data.tokens[:1], "vision")
    assert proof.float_macs == proof.hidden_macs == 0
    assert proof.attention_macs == wanted.attention_macs


@each_architecture
def test_a_prepared_model_is_rebuilt_bit_for_bit(model_of: Built, name: str) -> None:
    clip, data = model_of(name)
    model = quantized(clip, "w8a8-minmax-both", data)
    again = skeleton(clip, replace(parse_recipe("w8a8-minmax-both"), range_images=PAIRS))
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(encode(model, "vision", data.images), encode(again, "vision", data.images))
        assert torch.equal(encode(model, "text", data.tokens), encode(again, "text", data.tokens))


@pytest.mark.parametrize(("name", "pairs"), [("ViT-B-16-SigLIP", 2 * 2 + 2), ("convnext_base", 4)])
def test_layer_norms_of_timms_towers_take_up_smoothing_scales(model_of: Built, name: str, pairs: int) -> None:
    clip, data = model_of(name)
    assert len(find_pairs(clip, "vision")) == pairs
    assert coverage(quantized(clip, "w8a8-smoothquant", data), data.images[:1], data.tokens[:1]).complete


def test_the_projection_of_siglips_text_is_quantized(model_of: Built) -> None:
    clip, data = model_of("ViT-B-16-SigLIP")
    assert "text_projection" in layer_names(quantized(clip, "w8a8-minmax-text", data), "text")


def test_a_caption_decoder_is_part_of_no_tower(model_of: Built) -> None:
    clip, data = model_of("coca_ViT-B-32")
    model = quantized(clip, "w8a8-minmax-both", data)
    before, after = clip.get_submodule("text_decoder"), model.get_submodule("text_decoder")
    assert [type(module) for module in before.modules()] == [type(module) for module in after.modules()]
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))


@pytest.mark.skipif(not os.environ.get(LARGE), reason=f"minutes and gigabytes; set {LARGE}=1 to run it")
@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"EVA01-g-14"}))  # whose copies need 25 GB
def test_at_full_size(name: str) -> None:
    """Preparing raises unless parity and coverage hold; one process each gives its memory back."""
    command = [sys.executable, "-m", "benchmarks.architectures", name]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("100.0%") == 2
