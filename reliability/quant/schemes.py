"""The words between a recipe's format and its options, each with the role it plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from reliability.quant.number_format import Activation

Role = Literal["transform", "ranges", "rounding", "correction", "training", "head"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Roles in the order in which they run, which is the order of their words in a name."""

PERCENTILE = 99.99
"""Default upper percentile of a percentile range; the lower one mirrors it."""


LOSS_TERMS = ("cosine", "similarity", "contrastive", "mse")
"""What a training may minimise; ``reliability.quant.qat.losses`` says what each is."""


@dataclass(frozen=True)
class QatSettings:
    """Quantization-aware training.

    Attributes:
        steps: Optimizer steps.
        batch: Image-caption pairs per step.
        learning_rate: Peak rate of the model's own parameters, cosine to 0.
        step_size_rate: Peak rate of each learned step or range, as a share of its initial value.
        loss: Terms of ``LOSS_TERMS`` joined by ``+``, which are added up.
        held_out: Share of the pairs, the last ones, that no step sees. Training stops
            once the loss on them no longer falls, and goes back to where it was least.
            0 trains on all pairs, for all steps.
    """

    steps: int = 100
    batch: int = 32
    learning_rate: float = 5e-5
    step_size_rate: float = 2e-2
    loss: str = "cosine+similarity"
    held_out: float = 0.0

    @property
    def identity(self) -> Mapping[str, Any]:
        """What a training depends on; settings that came later are left out at their default."""
        later = {key: getattr(QatSettings, key) for key in ("loss", "held_out")}
        return {key: value for key, value in asdict(self).items() if key not in later or value != later[key]}


@dataclass(frozen=True)
class Scheme:
    """What one word of a recipe's name stands for.

    Attributes:
        role: ``transform`` rewrites the float model without changing its function,
            ``ranges`` says where activation ranges come from, ``rounding`` chooses
            weight codes, ``correction`` makes up for them, ``training`` trains through them, ``head`` refits what turns
            embeddings into confidence. A recipe has any number of transforms and at most
            one of each other role.
        card: One phrase for a listing.
        activation: What a ``ranges`` word makes of activations.
        with_float: Whether it makes sense where activations stay in float (``a16``).
        float_only: Whether it makes sense nowhere else.
        integers_only: Whether it needs integer codes over a static range.
        alpha: Default migration strength, None for schemes without one.
        qat: Default training settings.
        static_range: Where a training takes its first static ranges from, unless a ``ranges`` word says so.
        ends_in_float: Whether its result is a float model, which no proof of quantization may be asked of.
    """

    role: Role
    card: str
    activation: Activation = "static"
    with_float: bool = True
    float_only: bool = False
    integers_only: bool = False
    alpha: float | None = None
    qat: QatSettings | None = None
    static_range: str = "minmax"
    ends_in_float: bool = False


SCHEMES: dict[str, Scheme] = {
    "minmax": Scheme("ranges", "round to nearest, static min/max ranges"),
    "ema": Scheme("ranges", "round to nearest, static ranges from a moving average of min/max", with_float=False),
    "percentile": Scheme("ranges", f"round to nearest, static {PERCENTILE} percentile ranges", with_float=False),
    "mse": Scheme("ranges", "round to nearest, static ranges of least squared error", with_float=False),
    "entropy": Scheme(
        "ranges", "round to nearest, static ranges of least divergence", with_float=False, integers_only=True
    ),
    "dynamic": Scheme("ranges", "round to nearest, per-token dynamic activations", "dynamic", with_float=False),
    "rtn": Scheme("rounding", "round to nearest"),
    "smoothquant": Scheme("transform", "SmoothQuant, static min/max ranges", with_float=False, alpha=0.5),
    "hadamard": Scheme("transform", "randomised Hadamard rotation of the residual stream, heads and MLPs"),
    "repq": Scheme(
        "transform", "RepQ-ViT: channels after a LayerNorm share one range", with_float=False, integers_only=True
    ),
    "lsq": Scheme(
        "training",
        "quantization-aware training, learned step sizes",
        with_float=False,
        integers_only=True,
        qat=QatSettings(),
    ),
    "lsqw": Scheme(
        "training",
        "quantization-aware training, learned step sizes of weights too",
        integers_only=True,
        qat=QatSettings(),
    ),
    "lsqplus": Scheme(
        "training",
        "LSQ+: quantization-aware training, learned step sizes and offsets, ranges first of least squared error",
        with_float=False,
        integers_only=True,
        qat=QatSettings(),
        static_range="mse",
    ),
    "pact": Scheme(
        "training",
        "PACT: quantization-aware training, both ends of each range learned",
        with_float=False,
        integers_only=True,
        qat=QatSettings(),
    ),
    "dorefa": Scheme(
        "training",
        "DoReFa: quantization-aware training, tanh weights with their gain restored",
        integers_only=True,
        qat=QatSettings(),
    ),
    "ste": Scheme("training", "quantization-aware training, ranges fixed, straight-through", qat=QatSettings()),
    "noise": Scheme(
        "training",
        "control, ends in FLOAT: the training of ste with uniform noise of a step's width in place of rounding",
        integers_only=True,
        qat=QatSettings(),
        ends_in_float=True,
    ),
    "awq": Scheme("transform", "AWQ: searched scales and clipping by output error", float_only=True),
    "hqq": Scheme("rounding", "HQQ: nearest, with scales of least error in the 0.7-norm", integers_only=True),
    "biascorr": Scheme("correction", "bias correction: each channel's mean output as in floating point"),
    "gptq": Scheme("rounding", "GPTQ: column by column, later weights make up for the error of earlier ones"),
    "adaround": Scheme("rounding", "AdaRound: each weight learns whether to go up or down"),
    "tunescale": Scheme("head", "logit scale refitted on the range-setting pairs, nothing else changed"),
}
"""Word to meaning. A new ``ranges`` word is one line here and one in ``range_setting.RANGE_OBSERVERS``; any
other word is one line here and one in ``methods.registry``."""

SENSELESS: dict[tuple[str, str], str] = {
    ("awq", "hqq"): "awq clips scales by the error of outputs, and hqq would set them again by that of weights",
    ("awq", "hadamard"): "rotation mixes the channels whose scales awq has searched for",
    ("hadamard", "awq"): "rotation leaves no LayerNorm that could take up awq's scales",
    ("correction", "training"): "training moves the biases itself, starting from the float ones",
    ("rounding", "training"): "training rounds to nearest all along, so what another rounding chose would be lost",
    **{
        ("dynamic", word): f"{word} needs the steps of static ranges, and dynamic activations have none"
        for word in ("lsq", "lsqw", "lsqplus", "pact", "noise")
    },
    ("smoothquant", "hadamard"): "rotation fuses each LayerNorm into what reads it, which undoes smoothing",
    ("hadamard", "smoothquant"): "rotation leaves no LayerNorm that could take up smoothing scales",
    ("repq", "hadamard"): "rotation fuses each LayerNorm into what reads it, which undoes the reparametrization",
    ("hadamard", "repq"): "rotation leaves no LayerNorm that could take up channel ranges",
    ("smoothquant", "repq"): "repq gives every channel a range of its own choice, which undoes smoothing",
    ("repq", "smoothquant"): "smoothing takes away the common range that repq gave all channels",
    ("awq", "repq"): "repq gives every channel a range of its own choice, which undoes awq's scales",
    ("repq", "awq"): "awq takes away the common range that repq gave all channels",
    ("repq", "dynamic"): "repq is about static ranges, and dynamic activations have none",
}
"""Words or roles, in their order, that make no sense together, with the reason."""
