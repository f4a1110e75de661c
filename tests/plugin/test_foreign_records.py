"""Results that are not of this run fail it, although every case holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reliability.session.log import RunLog


def test_a_record_of_another_run_fails_the_run_and_is_named(
    gate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = RunLog.add

    def add(self: RunLog, record: dict[str, Any]) -> None:
        sound(self, record)
        if record["metric"] == "top1":
            sound(self, {**record, "case": record["case"].replace("fp32", "other"), "recipe": "other"})

    monkeypatch.setattr(RunLog, "add", add)
    run = gate("--recipes", "fp32")
    assert run.status == pytest.ExitCode.TESTS_FAILED, run.output
    assert not run.record["complete"]
    assert "a case was not asked for: accuracy[scenes-clean-other-id-top1]" in run.record["problems"]
