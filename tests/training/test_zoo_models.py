"""The models that are shipped, against the plans they come from."""

from __future__ import annotations

import pytest

from reliability.models.spec import parse_model
from reliability.models.zoo import FOLDER, zoo_config, zoo_names, zoo_weights
from training.plans import PLANS

MIB = 2**20


def test_every_model_has_a_plan_and_a_card_that_names_it() -> None:
    assert set(zoo_names()) <= set(PLANS)
    for name in zoo_names():
        assert (FOLDER / f"{name}.md").read_text().startswith(f"# zoo:{name}\n")


@pytest.mark.parametrize("name", zoo_names())
def test_a_models_configuration_is_its_plans(name: str) -> None:
    config, plan = zoo_config(name), PLANS[name]
    assert config["model_cfg"] == plan.model_config(len(config["token_ids"]) + 3)
    assert config["preprocess_cfg"] == plan.preprocessing
    told = {key: config["training"][key] for key in ("source", "steps", "batch", "seed")}
    schedule = plan.schedule
    assert told == {"source": plan.source, "steps": schedule.steps, "batch": schedule.batch, "seed": plan.seed}


def test_the_zoo_is_small() -> None:
    sizes = {name: zoo_weights(name).stat().st_size for name in zoo_names()}
    assert max(sizes.values()) <= 5 * MIB
    assert sum(sizes.values()) <= 40 * MIB


@pytest.mark.parametrize("name", zoo_names())
def test_a_model_loads_with_every_weight_of_its_file(name: str) -> None:
    from reliability.models.openclip import load_model, read_state

    clip, stored = load_model(parse_model(f"zoo:{name}")).clip, read_state(zoo_weights(name))
    loaded = clip.state_dict()
    assert all((loaded[key] == value.float()).all() for key, value in stored.items())
    assert ("logit_bias" in stored) == ("init_logit_bias" in zoo_config(name)["model_cfg"])
