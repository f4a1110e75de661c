"""Bounds, figures and records that are not what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fault_world import Fault, World

from reliability.evaluate.engine import Engine
from reliability.metrics import registry
from reliability.metrics.scores import SCORES


def bounds(old: str, new: str) -> Callable[[World], None]:
    """The threshold file reads otherwise."""

    def plant(world: World) -> None:
        assert old in world.bounds
        world.bounds = world.bounds.replace(old, new, 1)

    return plant


AGREEMENT = 'metric = "flip_rate"\nrelation = "at_most"\nmargin = 0.03'


def agreement(old: str, new: str) -> Callable[[World], None]:
    return bounds(AGREEMENT, AGREEMENT.replace(old, new))


def score_negated(world: World) -> None:
    sound = SCORES["mcm"]
    world.patch.setitem(SCORES, "mcm", replace(sound, fn=lambda evidence: -sound.fn(evidence)))


def orientation_swapped(world: World) -> None:
    """Unfamiliar pictures count as the positive class, for both models."""
    other = registry.get("fpr95_ood_positive")
    for name in ("fpr95",):
        found = registry.get(name)
        world.patch.setitem(registry._METRICS, name, replace(found, weighted=other.weighted, fn=other.fn))


def direction_reversed(world: World) -> None:
    """More flips count as better."""
    found = registry.get("nll")
    world.patch.setitem(registry._METRICS, "nll", replace(found, direction="higher"))


def exchanged(world: World) -> None:
    """A bad candidate stands where the reference should, so that harm reads as gain."""
    sound = Engine.pair

    def pair(self: Engine, reference: Any, recipe: Any, task: Any, **settings: Any) -> Any:
        found = sound(self, reference, recipe, task, **settings)
        return found if recipe.is_float else replace(found, reference=found.candidate, candidate=found.reference)

    world.patch.setattr(Engine, "pair", pair)


def exchanged_and_damaged(world: World) -> None:
    from faults_of_numbers import heads_swapped

    world.spoil_network(heads_swapped)
    exchanged(world)


def of_another_run(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A case of a run with other pictures stands in the place of this run's."""
    stranger = _elsewhere(next(record for record in records if record["metric"] == "nll"))
    stranger["case"], stranger["recipe"] = stranger["case"].replace("-plain-", "-other-"), "other"
    return [*records, stranger]


def replaced(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same case, judged on other pictures."""
    mine = next(record for record in records if record["metric"] == "nll")
    return [_elsewhere(record) if record is mine else record for record in records]


def _elsewhere(record: dict[str, Any]) -> dict[str, Any]:
    shifted = {
        name: {key: value + 0.5 * (key in ("estimate", "lower", "upper")) for key, value in record[name].items()}
        for name in ("reference", "candidate")
    }
    return json.loads(json.dumps(record | shifted))


def added_twice(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*records, records[0]]


def one_lost(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return records[:-1]


def flattered(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A verdict that its own figures do not give."""
    flips = next(record for record in records if record["metric"] == "flip_rate")
    return [{**record, "margin": -1.0} if record is flips else record for record in records]


def records(edit: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.edit_records = edit

    return plant


FILE = "the threshold file"
REPORT = "the records that the report is made of"
CODE = "the installed code, for both models"

FAULTS = (
    Fault("reference below its floor", FILE, bounds("at_least = 0.60", "at_least = 0.999"),
          "agreement", "ModelError", "misses its own floor"),
    Fault("a margin in per cent", FILE, agreement("0.03", "3"), "run", "ThresholdError", "nothing could break"),
    Fault("a margin of all there is", FILE, agreement("0.03", "1.0"), "run", "ThresholdError", "nothing could break"),
    Fault("a misspelt key", FILE, agreement("margin", "margni"), "run", "ThresholdError", "unknown key"),
    Fault("a misspelt relation", FILE, agreement("at_most", "at_mots"), "run", "ThresholdError", "unknown relation"),
    Fault("a misspelt metric", FILE, agreement("flip_rate", "flip_rat"), "run", "ThresholdError", "unknown metric"),
    Fault("no level of confidence", FILE, bounds("level = 0.95", "level = 0.5"), "run", "ThresholdError", "level"),
    Fault("no least number of images", FILE, bounds("min_images = 100", "min_images = 0"),
          "run", "ThresholdError", "min_images"),
    Fault("two bounds on one figure", FILE, bounds('metric = "ece"', 'metric = ["ece", "ece"]'),
          "run", "ThresholdError", "listed twice"),
    Fault("bound matching nothing", FILE, bounds('task = "spurious/background"', 'task = "spurious/backgruond"'),
          "run", "ThresholdError", "matches no case"),
    Fault("OOD score negated", f"{CODE}: mcm", score_negated, "ood_separation", "UndefinedMetricError", "known answer",
          tasks=("ood/near",)),
    Fault("FPR95 orientation swapped", f"{CODE}: fpr95", orientation_swapped,
          "ood_false_acceptance", "UndefinedMetricError", "known answer", tasks=("ood/near",)),
    Fault("a metric's direction reversed", f"{CODE}: nll", direction_reversed,
          "likelihood", "UndefinedMetricError", "known answer"),
    Fault("reference and candidate exchanged", "the pair, over a candidate with swapped heads", exchanged_and_damaged,
          "agreement"),
    Fault("results of another run merged in", REPORT, records(of_another_run), "report", "a case was not asked for"),
    Fault("results of another run in the place of this one's", REPORT, records(replaced), "report",
          "likelihood", "different values of one reference", recipe="plain,fp32"),
    Fault("one record twice", REPORT, records(added_twice), "report", "RecordError", "two records of one case"),
    Fault("a record's bound loosened afterwards", REPORT, records(flattered), "report", "RecordError", "contradicts"),
    Fault("report built from a partial run", REPORT, records(one_lost), "report", "1 of", "cases were not judged"),
)  # fmt: skip
