"""Layers are read in their own shapes, band energies as the metric has them, and weights on FP32's directions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from reliability.errors import ModelError
from reliability.evaluate.running.feature_maps import PENULTIMATE, as_maps, layer_features, watched
from reliability.evaluate.running.weight_spectra import weight_spectra
from reliability.metrics.fourier import energy_by_band, fourier_energy, high_frequency_energy, high_frequency_share
from reliability.quant.recipe import FP32, parse_recipe
from reliability.types import ImageBatch


class Blocks(nn.Module):
    """A transformer that hands its tokens on."""

    def __init__(self):
        super().__init__()
        self.resblocks = nn.Sequential(nn.Identity(), nn.Identity())

    def forward(self, x):
        return self.resblocks(x)


class Tower(nn.Module):
    """Pixels as tokens, with a class token of threes before them."""

    def __init__(self):
        super().__init__()
        self.transformer, self.ln_post, self.proj = Blocks(), nn.Identity(), nn.Linear(3, 2)

    def forward(self, images):
        tokens = images.flatten(2).transpose(1, 2)
        x = torch.cat([torch.full_like(tokens[:, :1], 3.0), tokens], dim=1)
        return self.proj(self.ln_post(self.transformer(x))[:, 0])


class Clip(nn.Module):
    def __init__(self):
        super().__init__()
        self.visual = Tower()

    def encode_image(self, images):
        return self.visual(images)


class Candidates:
    """One network, as reference and as candidate."""

    def __init__(self, clip, other=None):
        self._clip, self._other = clip, other or clip

    def reference(self, _):
        return SimpleNamespace(clip=self._clip, to_input=lambda images: torch.from_numpy(np.stack(images)))

    def network(self, _model, _recipe):
        return self._other


class Pictures:
    name, identity = "noise", {}

    def __init__(self):
        self.images = np.random.default_rng(0).normal(size=(300, 3, 8, 8)).astype(np.float32)

    def batches(self, size):
        for start in range(0, len(self.images), size):
            images = list(self.images[start : start + size])
            yield ImageBatch(images, *(np.zeros(len(images), np.int64),) * 2, np.arange(len(images)).astype(str))


def test_tokens_become_the_grid_they_stand_for_and_a_class_token_is_left_out_but_where_it_is_read():
    source = Pictures()
    found = layer_features(Candidates(Clip()), None, FP32, source)
    maps = np.moveaxis(source.images[:256], 1, 3).astype(np.float64)
    for layer in ("transformer.resblocks.0", "transformer.resblocks.1"):
        np.testing.assert_allclose(found[f"{layer}/pooled"], maps.mean(axis=(1, 2)), atol=1e-6)
        np.testing.assert_allclose(found[f"{layer}/energy"], energy_by_band(maps), rtol=1e-6)
    np.testing.assert_array_equal(found[f"{PENULTIMATE}/pooled"], np.full((256, 3), 3.0))


def test_energies_of_batches_are_those_of_all_pictures_and_give_the_metric():
    maps = np.random.default_rng(1).normal(size=(40, 6, 6, 3)) * np.geomspace(1e-3, 1e3, 40)[:, None, None, None]
    whole = energy_by_band(maps)
    np.testing.assert_allclose(np.concatenate([energy_by_band(part) for part in np.split(maps, 4)]), whole, rtol=1e-12)
    np.testing.assert_allclose(whole.sum(axis=0) / whole.sum(), fourier_energy(maps), rtol=1e-9)
    share = high_frequency_share(whole)(np.ones((1, 40)))[0]
    assert share == pytest.approx(high_frequency_energy(maps))


def test_maps_keep_their_axes_and_odd_token_counts_are_refused():
    x = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    assert as_maps(x).shape == (2, 4, 5, 3)
    assert as_maps(torch.zeros(2, 9, 7)).shape == (2, 3, 3, 7)
    with pytest.raises(ModelError, match="no square grid"):
        as_maps(torch.zeros(2, 7, 3))


def test_a_tower_without_known_layers_is_refused():
    with pytest.raises(ModelError, match="no residual blocks or stages"):
        watched(nn.Sequential(nn.Conv2d(3, 4, 3)))


def test_stages_of_a_convolutional_trunk_are_layers():
    visual = nn.Module()
    visual.trunk = nn.Module()
    visual.trunk.stages = nn.Sequential(nn.Identity(), nn.Identity())
    assert list(watched(visual)) == ["trunk.stages.0", "trunk.stages.1", PENULTIMATE]


def test_noise_in_weights_is_read_on_the_references_directions():
    before, after = Clip(), Clip()
    diagonal = torch.tensor([[4.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    before.visual.proj.weight.data = diagonal
    after.visual.proj.weight.data = diagonal + torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = weight_spectra(Candidates(before, after), None, parse_recipe("w4a8-minmax"))
    signal, noise, values = (found[f"visual.proj/{kind}"] for kind in ("signal", "noise", "values"))
    np.testing.assert_allclose(noise / signal, [0.0, 0.25], atol=1e-12)
    np.testing.assert_allclose(values / signal, [1.0, 9.0 / 4.0])
