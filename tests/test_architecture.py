"""What the layout promises, beyond what import-linter's contracts say."""

from __future__ import annotations

import subprocess
import sys

LIGHT = (
    "reliability.plugin",
    "reliability.session.gate",
    "reliability.session.log",
    "reliability.cli",
    "reliability.claims.judge",
    "reliability.data.registry",
    "reliability.models.spec",
    "reliability.quant.recipe",
    "reliability.report.markdown",
)


def test_collecting_and_judging_import_neither_torch_nor_open_clip() -> None:
    code = (
        f"import sys, importlib; [importlib.import_module(name) for name in {LIGHT!r}]; "
        "print(sorted({'torch', 'open_clip', 'torchvision', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
