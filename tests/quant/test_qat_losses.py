from __future__ import annotations

from math import exp, log
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from reliability.errors import UsageError
from reliability.quant.qat.losses import TERMS, Batch, Pairs, total_loss
from reliability.quant.recipe_file import load_recipes
from reliability.quant.schemes import LOSS_TERMS, QatSettings

ONE = torch.tensor(1.0)


def features(seed: int, count: int = 3) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)) * 3


def random_batch() -> Batch:
    return Batch(Pairs(features(2), features(3)), Pairs(features(0), features(1)), torch.tensor(7.0))


def test_names_without_torch_are_the_terms() -> None:
    assert tuple(TERMS) == LOSS_TERMS


def test_cosine_by_hand() -> None:
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    diagonal = torch.tensor([[3.0, 3.0]])
    batch = Batch(Pairs(x, diagonal), Pairs(5 * x, y), ONE)
    assert TERMS["cosine"](batch).item() == pytest.approx(0 + (1 - 0.5**0.5))


def test_contrastive_by_hand() -> None:
    # Logits [[2, 0], [0, 2]] at temperature 2: each right pair has the share e^2 / (e^2 + 1).
    eye = torch.eye(2) * 4
    batch = Batch(Pairs(eye, eye), Pairs(eye, eye), torch.tensor(2.0))
    assert TERMS["contrastive"](batch).item() == pytest.approx(log(1 + exp(-2)), rel=1e-5)


def test_mse_by_hand() -> None:
    theirs = Pairs(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
    ours = Pairs(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[1.0, 1.0], [1.0, 3.0]]))
    assert TERMS["mse"](Batch(ours, theirs, ONE)).item() == pytest.approx((1 + 4) / 5 + 4 / 4)


def test_similarity_by_hand() -> None:
    # The teacher is undecided, the student has the shares p and 1 - p.
    flat = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    p = 1 / (1 + exp(-1))
    batch = Batch(Pairs(torch.eye(2), torch.eye(2)), Pairs(flat, flat), ONE)
    divergence = 0.5 * log(0.5 / p) + 0.5 * log(0.5 / (1 - p))
    assert TERMS["similarity"](batch).item() == pytest.approx(divergence, rel=1e-5)


def test_the_default_matches_a_slow_version() -> None:
    batch = random_batch()
    student, teacher = batch.student.unit, batch.teacher.unit
    slow = sum(1 - float(student.image[i] @ teacher.image[i]) for i in range(3)) / 3
    slow += sum(1 - float(student.text[i] @ teacher.text[i]) for i in range(3)) / 3
    ours, theirs = (7.0 * p.image @ p.text.T for p in (student, teacher))
    for q, p in ((ours, theirs), (ours.T, theirs.T)):
        for i in range(3):
            p_row, q_row = p[i].softmax(0), q[i].softmax(0)
            slow += float((p_row * (p_row / q_row).log()).sum()) / 3 / 2
    assert total_loss(QatSettings().loss, batch).item() == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("term", ["cosine", "similarity", "mse"])
def test_terms_that_compare_with_the_teacher_are_zero_for_it(term: str) -> None:
    teacher = Pairs(features(0), features(1))
    assert TERMS[term](Batch(teacher, teacher, torch.tensor(7.0))).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("term", ["cosine", "similarity", "contrastive"])
def test_only_mse_sees_the_magnitude_of_features(term: str) -> None:
    batch = random_batch()
    louder = Batch(Pairs(2 * batch.student.image, batch.student.text), batch.teacher, batch.temperature)
    assert TERMS[term](louder).item() == pytest.approx(TERMS[term](batch).item(), rel=1e-5)
    assert TERMS["mse"](louder).item() != pytest.approx(TERMS["mse"](batch).item(), rel=1e-2)


def test_terms_add_up() -> None:
    batch = random_batch()
    expected = TERMS["contrastive"](batch) + TERMS["mse"](batch)
    assert total_loss("contrastive+mse", batch).item() == pytest.approx(expected.item())


def test_rows_of_a_pair_stay_together() -> None:
    pairs = Pairs(features(0), features(1)).rows(torch.tensor([2, 0]))
    assert torch.equal(pairs.image, features(0)[[2, 0]])
    assert torch.equal(pairs.unit.text, F.normalize(features(1)[[2, 0]], dim=1))


def written(folder: Path, qat: str, base: str = "w4a8-lsq") -> Path:
    path = folder / "recipes.toml"
    path.write_text(f'[[recipe]]\nname = "mine"\nbase = "{base}"\n{qat}')
    return path


def test_a_recipe_file_chooses_the_loss_and_what_is_held_out(tmp_path: Path) -> None:
    path = written(tmp_path, '[recipe.qat]\nloss = "contrastive+mse"\nheld_out = 0.2\n')
    assert load_recipes(path)["mine"].qat == QatSettings(loss="contrastive+mse", held_out=0.2)


@pytest.mark.parametrize(
    ("qat", "part"),
    [
        ('loss = "hinge"', "different ones of cosine, similarity, contrastive, mse"),
        ('loss = "mse+mse"', "different ones of"),
        ('loss = ""', "different ones of"),
        ("loss = 1", "different ones of"),
        ("held_out = 0.6", "from 0 to 0.5"),
        ("held_out = -0.1", "from 0 to 0.5"),
        ("held_out = nan", "from 0 to 0.5"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, qat: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        load_recipes(written(tmp_path, f"[recipe.qat]\n{qat}\n"))


def test_towers_are_no_setting_of_fp32(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no towers"):
        load_recipes(written(tmp_path, 'towers = "both"', "fp32-tunescale"))
