"""Towers of open_clip at full size with random weights: ``python -m benchmarks.architectures ViT-L-14 RN50``."""

from __future__ import annotations

import argparse
import copy
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Any

from reliability.quant.recipe import EACH_TOWER

ARCHITECTURES = ("ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-B-16-SigLIP", "convnext_base", "coca_ViT-B-32", "RN50")
RECIPES = ("w8a8-minmax-both", "w8a8-dynamic-both")
HEADERS = ("model", "M parameters", "parity (vision, text)", *RECIPES, "peak MiB")
_PAIRS = 4


def main() -> None:
    """Print parity after surgery, coverage, seconds and memory of each; an error where one of them cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument("names", nargs="*", default=ARCHITECTURES, help="open_clip model names")
    print(f"| {' | '.join(HEADERS)} |\n|{'---|' * len(HEADERS)}", flush=True)
    for name in parser.parse_args().names:
        # A process each, so that every peak is its own.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(f"| {' | '.join(pool.submit(measure, name).result())} |", flush=True)


def measure(name: str) -> list[str]:
    """One row of the table."""
    import torch

    from reliability.quant.towers import RangeData

    torch.set_num_threads(1)
    clip = _build(name)
    text: Any = getattr(clip, "text", clip)
    generator = torch.Generator().manual_seed(1)
    size = clip.visual.image_size if isinstance(clip.visual.image_size, tuple) else (clip.visual.image_size,) * 2
    tokens = torch.randint(1, text.vocab_size - 2, (_PAIRS, text.context_length), generator=generator)
    tokens[:, 12], tokens[:, 13:] = text.vocab_size - 1, 0
    data = RangeData(torch.randn(_PAIRS, 3, *size, generator=generator), tokens)
    parameters = sum(p.numel() for p in clip.parameters()) / 1e6
    row = [name, f"{parameters:.0f}", _parity(clip, data), *(_run(clip, recipe, data) for recipe in RECIPES)]
    return [*row, f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}"]


def _build(name: str) -> Any:
    """Random weights, with norms and layer scales whose folding would show."""
    import torch

    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    import open_clip

    torch.manual_seed(0)
    clip = open_clip.create_model(name, pretrained=None).eval()
    for path, value in [*clip.named_parameters(), *clip.named_buffers()]:
        if value.ndim == 1 and path.endswith(("weight", "gamma", "running_var")):
            value.data.uniform_(0.5, 1.5)
    return clip


def _parity(clip: Any, data: Any) -> str:
    import torch

    from reliability.quant.surgery import check_parity, split_attention
    from reliability.quant.towers import encode

    explicit = split_attention(copy.deepcopy(clip))
    check_parity(clip, explicit, data.images, data.tokens)
    shares = []
    with torch.no_grad():
        for tower, batch in zip(EACH_TOWER, (data.images, data.tokens), strict=True):
            expected, got = encode(clip, tower, batch), encode(explicit, tower, batch)
            shares.append(float((expected - got).abs().max() / expected.abs().max()))
    return ", ".join(f"{share:.1e}" for share in shares)


def _run(clip: Any, name: str, data: Any) -> str:
    import torch

    from reliability.quant.coverage import coverage
    from reliability.quant.prepare import prepare
    from reliability.quant.recipe import parse_recipe
    from reliability.quant.towers import encode

    started = time.process_time()
    model = prepare(clip, replace(parse_recipe(name), range_images=_PAIRS), data)
    seconds = time.process_time() - started
    proof = coverage(model, data.images[:1], data.tokens[:1], "both")
    with torch.no_grad():
        expected, got = encode(clip, "vision", data.images), encode(model, "vision", data.images)
    error = float((expected - got).norm() / expected.norm())
    products = proof.attention_macs / (proof.quantized_macs + proof.attention_macs)
    return f"{proof.share:.1%}, error {error:.3f}, {products:.1%} in attention's products, {seconds:.0f} s"


if __name__ == "__main__":
    main()
