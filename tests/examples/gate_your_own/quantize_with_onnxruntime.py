"""Quantize both towers with ONNX Runtime's own quantizer: dynamic int8, weights per channel.

reliability export fp32 --reference zoo:scenes-clean --to fp32
python quantize_with_onnxruntime.py fp32 ort-int8
"""

import shutil
import sys
from pathlib import Path

from onnxruntime.quantization import quantize_dynamic

source, target = (Path(argument) for argument in sys.argv[1:])
target.mkdir(parents=True)
for name in ("visual.onnx", "text.onnx"):
    quantize_dynamic(source / name, target / name, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"])
shutil.copy(source / "clip.json", target)
