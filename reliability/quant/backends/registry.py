"""Which real kernels there are, and which recipes each can run; imports neither torch nor a kernel's package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from reliability.errors import MissingExtraError, QuantizationError
from reliability.quant.number_format import INTEGERS
from reliability.quant.schemes import ATTENTION
from reliability.versions import installed

if TYPE_CHECKING:
    from reliability.quant.recipe import Recipe

SUFFIX = "@"
"""Stands before a backend's name at the end of a recipe's."""

_FLOAT_BITS = 16


@dataclass(frozen=True)
class Backend:
    """Kernels that run some recipes for real.

    Attributes:
        card: One phrase for a listing.
        runs: What it can run, for a refusal.
        reason: What stands against a recipe, None where it can be run.
        examples: Typical recipes, without the suffix.
        module: Below this package; has ``replacement(recipe)``, as ``backends.convert`` says.
        packages: Importable name to distribution, for what is not among the library's own dependencies.
        extra: Optional dependencies of this library that install them.
        device: Where it runs: ``cpu``, ``cuda``, or empty for both.
        operators: The torch operators that multiply codes; none where torch does not see them.
    """

    card: str
    runs: str
    reason: Callable[[Recipe], str | None]
    examples: tuple[str, ...]
    module: str
    packages: tuple[tuple[str, str], ...] = ()
    extra: str = ""
    device: str = ""
    operators: tuple[str, ...] = ()


Rule = Callable[["Recipe"], str | None]


def _rules(*rules: Rule) -> Rule:
    """The first reason that any rule gives."""
    return lambda recipe: next((reason for rule in rules if (reason := rule(recipe))), None)


def _ends_on_grids(recipe: Recipe) -> str | None:
    if recipe.weight_bits > _FLOAT_BITS:
        return "fp32 quantizes nothing, so there is nothing for integer or fp8 kernels to do"
    if recipe.covers(ATTENTION):
        return "attention's own products would stay simulated"
    return "this control ends in float" if recipe.ends_in_float else None


def _integer_codes(recipe: Recipe) -> str | None:
    family = recipe.number_format.family
    if recipe.half_integers:
        return "its kernels multiply integers, and the codes of raana are half-integers"
    return None if family == INTEGERS else f"its kernels multiply integers, and the codes of {family} are none"


def _integer_activations(recipe: Recipe) -> str | None:
    return (
        "its kernels multiply integers by integers, and a16 leaves activations in float"
        if _weight_only(recipe)
        else None
    )


def _one_scale_per_product(recipe: Recipe) -> str | None:
    if isinstance(recipe.number_format.granularity, int):
        return "with weights in groups one product sums over several scales, which an integer sum cannot hold"
    return None


def _no_weight_zero_point(recipe: Recipe) -> str | None:
    return None if recipe.number_format.symmetric else "its kernels take weights without a zero point"


def _eight_bit_activations(recipe: Recipe) -> str | None:
    if recipe.activation_bits in (8, _FLOAT_BITS):
        return None
    return f"its own quantization of activations has 8 bits, not {recipe.activation_bits}"


def _groups_of_inputs(recipe: Recipe) -> str | None:
    """Only weight-only kernels take groups and zero points."""
    return None if _weight_only(recipe) else _rules(_one_scale_per_product, _no_weight_zero_point)(recipe)


def _e4m3(recipe: Recipe) -> str | None:
    family = recipe.number_format.family
    return None if family == "fp8" else f"its kernels multiply E4M3 by E4M3, and {family} is something else"


def _weight_only(recipe: Recipe) -> bool:
    return recipe.activation == "none"


_WHOLE_CHANNELS = _rules(_one_scale_per_product, _no_weight_zero_point)

BACKENDS: dict[str, Backend] = {
    "torch-int8": Backend(
        card="torch._int_mm, exact sums of 8-bit codes",
        runs="w2 to w8 with a2 to a8, static or dynamic, one scale per output channel or tensor (_t)",
        reason=_rules(_ends_on_grids, _integer_codes, _integer_activations, _WHOLE_CHANNELS),
        examples=("w8a8-dynamic", "w8a8-minmax", "w8a8-smoothquant"),
        module="torch_int8",
        operators=("aten._int_mm",),
    ),
    "onnxruntime": Backend(
        card="an ONNX graph in ONNX Runtime: MatMulInteger (dynamic) or QDQ (static)",
        runs="w2 to w8 with a8, static or dynamic, one scale per output channel or tensor (_t)",
        reason=_rules(_ends_on_grids, _integer_codes, _integer_activations, _WHOLE_CHANNELS, _eight_bit_activations),
        examples=("w8a8-dynamic", "w8a8-minmax"),
        module="onnx_runtime",
        packages=(("onnxruntime", "onnxruntime"), ("onnx", "onnx"), ("onnxscript", "onnxscript")),
        extra="onnx",
        device="cpu",
    ),
    "torchao": Backend(
        card="torchao's tensors: int8 dynamic or static, int8 and intx weight-only",
        runs="w2 to w8 with a8, one scale per output channel or tensor (_t); w2 to w8 with a16, also _g* and _asym",
        reason=_rules(_ends_on_grids, _integer_codes, _groups_of_inputs, _eight_bit_activations),
        examples=("w8a8-dynamic", "w8a16-minmax", "w4a16_g32-rtn"),
        module="torch_ao",
        packages=(("torchao", "torchao"),),
        extra="torchao",
        operators=("aten._int_mm",),
    ),
    "fp8": Backend(
        card="torch._scaled_mm of E4M3 codes, on a GPU that has it",
        runs="fp8, static or dynamic (fp8-rtn, fp8-dynamic)",
        reason=_rules(_ends_on_grids, _e4m3),
        examples=("fp8-rtn", "fp8-dynamic"),
        module="scaled_fp8",
        device="cuda",
        operators=("aten._scaled_mm",),
    ),
}
"""Suffix to kernels; a new backend is one line here and one module that it names."""


def refusal(backend: str, recipe: Recipe) -> str | None:
    """Why a backend cannot run a recipe, None where it can."""
    return BACKENDS[backend].reason(recipe)


def able(recipe: Recipe) -> tuple[str, ...]:
    """The backends that can run a recipe."""
    return tuple(name for name in BACKENDS if refusal(name, recipe) is None)


def kernel_versions(recipe: Recipe) -> dict[str, str]:
    """Distribution to version, of what a recipe's kernels are made of beside torch."""
    return {distribution: installed(distribution) for _, distribution in BACKENDS[recipe.backend].packages}


def require_available(recipes: Iterable[Recipe], device: str) -> None:
    """What every recipe's kernels need must be here; nothing is imported.

    Args:
        recipes: Those without a backend need nothing.
        device: A torch device.

    Raises:
        MissingExtraError: A package is not installed.
        QuantizationError: The kernels do not run on this device.
    """
    for recipe in recipes:
        if recipe.backend:
            _require(recipe, BACKENDS[recipe.backend], device.partition(":")[0])


def _require(recipe: Recipe, backend: Backend, device: str) -> None:
    missing = [distribution for module, distribution in backend.packages if find_spec(module) is None]
    if missing:
        raise MissingExtraError(
            where=f"recipe {recipe.name}",
            what=f"the kernels of {SUFFIX}{recipe.backend} need packages that are not installed",
            got=f"no {', '.join(missing)}",
            next=f"pip install 'quant-reliability[{backend.extra}]', or leave the recipe out",
        )
    if backend.device and backend.device != device:
        raise QuantizationError(
            where=f"recipe {recipe.name}",
            what=f"the kernels of {SUFFIX}{recipe.backend} run on {backend.device} only",
            got=f"device {device}",
            next=f"run with --torch-device {backend.device}, or simulate it: {recipe.simulated.name}",
        )
