"""Method name to the function that applies it; a new method is one module and one line here."""

from __future__ import annotations

from reliability.quant.methods import lsq, rtn, smoothquant
from reliability.quant.methods.workbench import Method

METHODS: dict[str, Method] = {
    "rtn": rtn.apply,
    "smoothquant": smoothquant.apply,
    "lsq": lsq.apply,
}
