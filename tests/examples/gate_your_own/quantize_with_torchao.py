"""Quantize with torchao and save as programs of torch.export.

    python quantize_with_torchao.py ao-int8 8
    python quantize_with_torchao.py ao-text4 4

The vision tower gets int8 weights; the text tower gets weights of so many bits.
"""

import json
import sys
from pathlib import Path

import torch
from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerAxis

from reliability.models.loading import load_reference
from reliability.models.spec import parse_model
from reliability.quant.surgery import split_attention


class TextTower(torch.nn.Module):
    def __init__(self, clip: torch.nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.clip.encode_text(tokens)


def write(tower: torch.nn.Module, example: torch.Tensor, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1, max=512)
    with torch.no_grad():
        torch.export.save(torch.export.export(tower.eval(), (example,), dynamic_shapes=({0: batch},)), path)


target, bits = Path(sys.argv[1]), int(sys.argv[2])
model = load_reference(parse_model("zoo:scenes-clean"))
# torchao reaches Linear layers only, and attention as torch has it keeps its weights elsewhere.
clip = split_attention(model.clip, "both")
quantize_(clip.visual, Int8WeightOnlyConfig())
for part in (clip.transformer, clip.text_projection):
    quantize_(part, IntxWeightOnlyConfig(weight_dtype=getattr(torch, f"int{bits}"), granularity=PerAxis(0)))

target.mkdir(parents=True)
write(clip.visual, torch.randn(4, 3, 32, 32), target / "visual.pt2")
write(TextTower(clip), model.tokenizer(["a photo of a red star"] * 4), target / "text.pt2")
scale = float(clip.logit_scale.detach().exp())
(target / "clip.json").write_text(json.dumps({"schema": 1, "logit_scale": scale}))
