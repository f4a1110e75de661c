"""The words between a recipe's format and its options, each with the role it plays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from reliability.quant.number_format import Activation

Role = Literal["transform", "widths", "ranges", "extra", "rounding", "correction", "training", "head"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Roles in the order in which they run, which is the order of their words in a name."""

ATTENTION, EMBEDDINGS = "attention", "embeddings"
"""Words for what a recipe quantizes beside its towers' Linear and Conv2d layers."""

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
        role: ``transform`` rewrites the float model without changing its function, ``widths``
            gives layers widths of their own, ``ranges`` says where activation ranges come from,
            ``extra`` what is quantized beside layers, ``rounding`` chooses weight codes,
            ``correction`` makes up for them, ``training`` trains through them, ``head`` refits what
            turns embeddings into confidence. A recipe has any number of transforms and extras, and
            at most one of each other role.
        card: One phrase for a listing.
        activation: What a ``ranges`` word makes of activations.
        with_float: Whether it makes sense where activations stay in float (``a16``).
        float_only: Whether it makes sense nowhere else.
        integers_only: Whether it needs integer codes over a static range.
        alpha: Default migration strength, None for schemes without one.
        qat: Default training settings.
        static_range: Where a training takes its first static ranges from, unless a ``ranges`` word says so.
        ends_in_float: Whether its result is a float model, which no proof of quantization may be asked of.
        uses_draw: Whether its result depends on the range-setting pairs or the seed.
        half_integers: Whether its weight codes stand for half-integers, with one scale per output channel.
        own_widths: Whether weights of each layer have a width of their own, the format's on average.
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
    uses_draw: bool = True
    own_widths: bool = False
    half_integers: bool = False


SCHEMES: dict[str, Scheme] = {
    "minmax": Scheme("ranges", "round to nearest, static min/max ranges"),
    "ema": Scheme("ranges", "round to nearest, static ranges from a moving average of min/max", with_float=False),
    "percentile": Scheme("ranges", f"round to nearest, static {PERCENTILE} percentile ranges", with_float=False),
    "mse": Scheme("ranges", "round to nearest, static ranges of least squared error", with_float=False),
    "entropy": Scheme(
        "ranges", "round to nearest, static ranges of least divergence", with_float=False, integers_only=True
    ),
    "dynamic": Scheme("ranges", "round to nearest, per-token dynamic activations", "dynamic", with_float=False),
    "rtn": Scheme("rounding", "round to nearest", uses_draw=False),
    "smoothquant": Scheme("transform", "SmoothQuant, static min/max ranges", with_float=False, alpha=0.5),
    "hadamard": Scheme("transform", "randomised Hadamard rotation of the residual stream, heads and MLPs"),
    "repq": Scheme(
        "transform", "RepQ-ViT: channels after a LayerNorm share one range", with_float=False, integers_only=True
    ),
    "mixed": Scheme(
        "widths",
        "mixed precision: layers of 2 to 8 bits by sensitivity, in the size of the format's own width",
        integers_only=True,
        own_widths=True,
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
    "hqq": Scheme(
        "rounding", "HQQ: nearest, with scales of least error in the 0.7-norm", integers_only=True, uses_draw=False
    ),
    "biascorr": Scheme("correction", "bias correction: each channel's mean output as in floating point"),
    "gptq": Scheme("rounding", "GPTQ: column by column, later weights make up for the error of earlier ones"),
    "adaround": Scheme("rounding", "AdaRound: each weight learns whether to go up or down"),
    "raana": Scheme(
        "rounding",
        "RaanA: inputs rotated layer by layer, RaBitQ codes, layers of 1 to 8 bits in the size of the format's own",
        own_widths=True,
        half_integers=True,
    ),
    "brecq": Scheme("rounding", "BRECQ: roundings learned block by block, errors weighted by squared gradients"),
    "qdrop": Scheme(
        "rounding",
        "QDrop: roundings and activation steps learned block by block, half of the activations in float",
        with_float=False,
        integers_only=True,
    ),
    "perchannel": Scheme(
        "transform", "a scale per input channel, folded into the weights of every layer", with_float=False
    ),
    ATTENTION: Scheme(
        "extra", "attention's own products too, query-key and probability-value", with_float=False, uses_draw=False
    ),
    EMBEDDINGS: Scheme("extra", "tables of token, position and class embeddings too, a scale per row", uses_draw=False),
    "tunescale": Scheme("head", "logit scale refitted on the range-setting pairs, nothing else changed"),
}
"""Word to meaning. A new ``ranges`` word is one line here and one in ``range_setting.RANGE_OBSERVERS``; any
other word is one line here and one in ``methods.registry``."""

SENSELESS: dict[tuple[str, str], str] = {
    **{
        (word, "perchannel"): f"a scale per channel takes up whatever {word} gave to the channels"
        for word in ("smoothquant", "repq")
    },
    **{
        ("perchannel", word): f"{word} would change the channels whose scales were folded"
        for word in ("smoothquant", "repq", "hadamard")
    },
    ("extra", "noise"): "the control ends in float, so nothing beside its layers may take a grid",
    ("awq", "hqq"): "awq clips scales by the error of outputs, and hqq would set them again by that of weights",
    ("awq", "hadamard"): "rotation mixes the channels whose scales awq has searched for",
    ("hadamard", "awq"): "rotation leaves no LayerNorm that could take up awq's scales",
    ("awq", "mixed"): "awq searches scales and clipping at one width, before layers get widths of their own",
    ("widths", "raana"): "raana gives layers widths of its own choice",
    ("hadamard", "raana"): "raana rotates what every layer takes in, so another rotation before adds nothing",
    **{
        (word, "raana"): f"rotation mixes the channels that {word} has balanced"
        for word in ("smoothquant", "repq", "awq", "perchannel")
    },
    ("widths", "noise"): "the control ends in float, so its layers have no widths",
    ("correction", "training"): "training moves the biases itself, starting from the float ones",
    ("rounding", "training"): "training rounds to nearest all along, so what another rounding chose would be lost",
    **{
        ("dynamic", word): f"{word} needs the steps of static ranges, and dynamic activations have none"
        for word in ("lsq", "lsqw", "lsqplus", "pact", "noise", "qdrop")
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
