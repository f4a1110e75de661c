from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from training.losses import multi_positive_loss, sigmoid_loss

IMAGE = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
TEXT = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
GROUP = torch.tensor([0, 1, 1])
SCALE, BIAS = torch.tensor(2.0), torch.tensor(-1.0)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_the_sigmoid_loss_is_that_of_a_calculation_by_hand() -> None:
    """Logits 2 cos - 1 are [1, -1], [0.2, 0.6], [-1, 1]; the first picture has caption 0, the others caption 1."""
    right, wrong = [1.0, 0.6, 1.0], [-1.0, 0.2, -1.0]
    expected = (sum(softplus(-x) for x in right) + sum(softplus(x) for x in wrong)) / 3
    assert sigmoid_loss(IMAGE, TEXT, GROUP, SCALE, BIAS).item() == pytest.approx(expected, rel=1e-6)


def test_with_captions_that_all_differ_it_is_open_clips_siglip_loss() -> None:
    from open_clip.loss import SigLipLoss

    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(5, 4), dim=-1) for _ in range(2))
    order = torch.tensor([3, 0, 4, 2, 1])
    expected = SigLipLoss()._loss(image, text[order], SCALE, BIAS)
    assert sigmoid_loss(image, text, order, SCALE, BIAS).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_caption_that_two_pictures_share_is_a_wrong_one_of_neither() -> None:
    image = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    shared = sigmoid_loss(image, image[:1], torch.tensor([0, 0]), torch.tensor(50.0), torch.tensor(-25.0))
    assert shared.item() < 1e-6


def test_scale_and_bias_of_the_sigmoid_loss_have_gradients() -> None:
    scale, bias = SCALE.clone().requires_grad_(), BIAS.clone().requires_grad_()
    loss = sigmoid_loss(IMAGE, TEXT, GROUP, scale, bias)
    gradients = torch.autograd.grad(loss, (scale, bias))
    step = 1e-3
    for at, gradient in zip(((scale + step, bias), (scale, bias + step)), gradients, strict=True):
        rise = sigmoid_loss(IMAGE, TEXT, GROUP, *at) - loss
        assert gradient.item() == pytest.approx(rise.item() / step, abs=1e-3)


def test_the_softmax_loss_is_that_of_a_calculation_by_hand() -> None:
    """Logits 2 cos are [2, 0], [1.2, 1.6], [0, 2]; the second caption is spread over two pictures."""
    to_text = (softplus(-2.0) + softplus(-0.4) + softplus(-2.0)) / 3
    first = -2.0 + math.log(sum(map(math.exp, (2.0, 1.2, 0.0))))
    second = -(1.6 + 2.0) / 2 + math.log(sum(map(math.exp, (0.0, 1.6, 2.0))))
    expected = (to_text + (first + second) / 2) / 2
    assert multi_positive_loss(IMAGE, TEXT, GROUP, SCALE).item() == pytest.approx(expected, rel=1e-6)


def test_with_captions_that_all_differ_the_softmax_loss_is_clips() -> None:
    from open_clip.loss import ClipLoss

    torch.manual_seed(0)
    image, text = (F.normalize(torch.randn(5, 4), dim=-1) for _ in range(2))
    order = torch.tensor([3, 0, 4, 2, 1])
    expected = ClipLoss()(image, text[order], SCALE)
    assert multi_positive_loss(image, text, order, SCALE).item() == pytest.approx(expected.item(), rel=1e-6)
