"""Save a candidate as safetensors and a record, and load it again to the same bits."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from reliability.errors import ModelError
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, scales_of
from reliability.quant.packing import CODES, ZERO_SIGNS, pack, unpack
from reliability.quant.prepare import skeleton
from reliability.quant.recipe import EACH_TOWER
from reliability.quant.saved_record import RECORD_FILE, WEIGHTS_FILE, SavedRecord, read_record, unreadable
from reliability.quant.towers import RangeData, encode
from reliability.quant.widths import follow_width

_PROBE = "probe."
State = dict[str, Tensor]


@dataclass(frozen=True)
class Loaded:
    """A candidate that was read back, with its record."""

    network: nn.Module
    record: SavedRecord


def save(folder: Path, network: nn.Module, record: SavedRecord, probe: RangeData) -> None:
    """Save a prepared candidate into a folder.

    Args:
        folder: Created if need be.
        network: As :func:`reliability.quant.prepare.prepare` returns it, on the CPU.
        record: What it is; ``weights`` is filled in.
        probe: One picture and one text. What the candidate makes of them is saved too, so
            that code of another version can show that it still computes the same.

    Raises:
        ModelError: The folder holds a saved candidate.

    Conventions:
        Weights that lie on a grid are stored as packed codes beside their scales, all
        other tensors as they are, those of a tower that the recipe leaves alone too.
    """
    if (folder / RECORD_FILE).exists():
        raise ModelError(
            where=str(folder), what="the folder holds a saved candidate already", got=RECORD_FILE,
            next="name another folder with --out, or remove this one",
        )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    tensors = _packed(network) | _probed(network, probe)
    content = to_bytes({name: value.contiguous() for name, value in tensors.items()})
    (folder / WEIGHTS_FILE).write_bytes(content)
    replace(record, weights=hashlib.sha256(content).hexdigest()).write(folder)


def load_saved(folder: Path, reference: nn.Module, code: str) -> Loaded:
    """Load a saved candidate, on the CPU.

    Args:
        folder: What :func:`save` wrote.
        reference: The FP32 model that the recipe was applied to, which gives the structure.
        code: Digest of the code that is running, as in the record.

    Raises:
        ModelError: A file is missing, truncated or altered; the reference has other
            weights; or the code has changed since and computes something else.
    """
    record = read_record(folder)
    _check_reference(folder, record, reference)
    tensors = _read_weights(folder / WEIGHTS_FILE, record.weights)
    probe = {name.removeprefix(_PROBE): tensors.pop(name) for name in list(tensors) if name.startswith(_PROBE)}
    network = skeleton(reference, record.recipe).cpu()
    try:
        network.load_state_dict(_unpacked(network, tensors))
    except (RuntimeError, KeyError) as error:
        raise _other_code(folder, record, "its tensors do not fit the structure built now") from error
    network.eval()
    if code != record.code and not _computes_the_same(network, probe):
        raise _other_code(folder, record, "its probe picture and text get other embeddings now")
    return Loaded(network, record)


def state_digest(clip: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of a model's tensors, whatever file they came from."""
    digest = hashlib.sha256()
    for name, value in sorted(clip.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _packed(network: nn.Module) -> State:
    state = {name: value.detach() for name, value in network.state_dict().items()}
    for name, layer in _layers(network).items():
        codes = pack(layer.weight.detach(), layer.format, scales_of(layer))
        if codes is not None:
            del state[f"{name}.weight"]
            state |= {f"{name}.weight.{part}": value for part, value in codes.items()}
    return state


def _unpacked(network: nn.Module, tensors: State) -> State:
    """The state that :func:`_packed` was given."""
    state = dict(tensors)
    with torch.no_grad():
        for name, layer in _layers(network).items():
            prefix = f"{name}.weight."
            codes = {part: state.pop(prefix + part) for part in (CODES, ZERO_SIGNS) if prefix + part in state}
            if codes:
                _load_scales(layer, name, state)
                state[f"{name}.weight"] = unpack(codes, layer.format, scales_of(layer), layer.weight.shape)
    return state


def _load_scales(layer: QuantLayer, name: str, state: State) -> None:
    for field, buffer in layer.named_buffers(recurse=False):
        buffer.copy_(state[f"{name}.{field}"])
    follow_width(layer)


def _layers(network: nn.Module) -> dict[str, QuantLayer]:
    return {name: m for name, m in network.named_modules() if isinstance(m, (QuantLinear, QuantConv2d))}


def _probed(network: nn.Module, probe: RangeData) -> State:
    inputs = {"vision": probe.images[:1], "text": probe.tokens[:1]}
    with torch.inference_mode():
        features = {f"{_PROBE}{tower}.features": encode(network, tower, inputs[tower]).clone() for tower in EACH_TOWER}
    return {f"{_PROBE}{tower}.input": batch.clone() for tower, batch in inputs.items()} | features


def _computes_the_same(network: nn.Module, probe: State) -> bool:
    with torch.inference_mode():
        return all(
            torch.equal(encode(network, tower, probe[f"{tower}.input"]), probe[f"{tower}.features"])
            for tower in EACH_TOWER
        )


def _read_weights(path: Path, expected: str) -> State:
    try:
        content = path.read_bytes()
        tensors: State = load(content)
    except (OSError, SafetensorError) as error:
        raise unreadable(path, "the weights are missing, truncated or damaged", error) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise unreadable(path, "the weights are not those that the record speaks of", None)
    return tensors


def _check_reference(folder: Path, record: SavedRecord, reference: nn.Module) -> None:
    found = state_digest(reference)
    if found != record.reference["weights"]:
        raise ModelError(
            where=str(folder),
            what=f"this candidate was made from {record.reference['model']}, and the reference has other weights",
            got=f"weights {found[:12]}, not {record.reference['weights'][:12]}",
            next=f"name the model it was made from: --reference {record.reference['model']}",
        )


def _other_code(folder: Path, record: SavedRecord, got: str) -> ModelError:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return ModelError(
        where=str(folder),
        what="this candidate was saved by other code, which computed something else",
        got=got,
        next=f"install what saved it ({versions}), or quantize again with the recipe in {RECORD_FILE}",
    )
