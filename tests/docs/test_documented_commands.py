"""Every command that README and docs/ show runs; one that needs hours, a network or a cluster is understood."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from reliability.cli import main

_HERE = runpy.run_path(str(Path(__file__).with_name("documented.py")))
ROOT = _HERE["ROOT"]
COMMANDS = _HERE["shell_commands"]()

OUTSIDE = ("pip", "helm", "kubectl", "srun", "sleep", "head=", "export", "cd", "git")
"""Programs of others."""
IN_THE_EXAMPLE = ("quantize_with_onnxruntime.py", "quantize_with_torchao.py")
"""Run from beginning to end by tests/examples."""
RUN = (
    "reliability list recipes",
    "reliability init",
    "reliability doctor",
    "reliability sweep plans/smoke.toml --out /tmp/smoke",
    "reliability query /tmp/smoke",
    "reliability sweep plans/scale-700k.toml --out sweeps/large --count",
    "reliability quantize zoo:scenes-clean w8a8-minmax --out w8a8/",
    "reliability pictures out/ --data folder:/data/mine",
)
"""Beginnings of what is run here, in this order, in one folder; everything else of ours is read by the real parsers."""


def _of(program: str) -> list[Any]:
    return [command for command in COMMANDS if command.words[0] == program]


def _id(command: Any) -> str:
    return f"{command.page}: {' '.join(command.words)[:70]}"


def _place(words: list[str], folder: Path) -> list[str]:
    """A reader's folders, put below one of the test's."""
    moved = {"/tmp/smoke": "smoke", "/data": "data", "/shared": "shared"}
    placed = []
    for word in words:
        for shown, here in moved.items():
            word = word.replace(shown, str(folder / here))
        placed.append(word)
    return placed


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plans and a small set of pictures, as a reader would have."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "plans").symlink_to(ROOT / "plans")
    for label, colour in (("cat", (200, 90, 20)), ("dog", (20, 90, 200))):
        for number in range(6):
            file = folder / "data" / "mine" / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), tuple(min(255, channel + 5 * number) for channel in colour)).save(file)
    return folder


def test_every_command_is_ours_or_known_to_be_others() -> None:
    ours = {"reliability", "pytest", "make", "python"}
    unknown = [_id(c) for c in COMMANDS if c.words[0] not in ours and not c.words[0].startswith(OUTSIDE)]
    assert not unknown, f"say in this test how these are tested: {unknown}"


def test_what_is_run_is_still_documented() -> None:
    texts = [" ".join(command.words) for command in COMMANDS]
    assert [start for start in RUN if not any(text.startswith(start) for text in texts)] == []


@pytest.mark.parametrize("start", RUN)
def test_a_documented_command_does_its_work(start: str, workplace: Path) -> None:
    command = next(c for c in COMMANDS if " ".join(c.words).startswith(start))
    words = [str(Path(sys.executable).with_name("reliability")), *_place(command.words, workplace)[1:]]
    settings = {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(workplace / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(words, cwd=workplace, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("command", _of("reliability"), ids=_id)
def test_the_command_line_takes_every_documented_option(command: Any, workplace: Path) -> None:
    name, *arguments = _place(command.words, workplace)[1:]
    subcommand = main.commands[name]
    for argument in arguments:
        if argument.endswith("/") and not argument.startswith("/"):
            (workplace / argument).mkdir(exist_ok=True, parents=True)
    here = Path.cwd()
    os.chdir(workplace)
    try:
        subcommand.make_context(name, arguments)
    finally:
        os.chdir(here)


@pytest.fixture
def options_of_pytest() -> Callable[[list[str]], pytest.Config]:
    def parse(arguments: list[str]) -> pytest.Config:
        # The parser as a run of its own would have it, with the plugin's options declared; --rootdir keeps it ours.
        return pytest.Config.fromdictargs({}, ["--rootdir", str(ROOT), *arguments])

    return parse


@pytest.mark.parametrize("command", _of("pytest"), ids=_id)
def test_pytest_takes_every_documented_option(command: Any, options_of_pytest: Any) -> None:
    arguments = [word for word in command.words[1:] if word != "--help"]
    config = options_of_pytest(arguments)
    for word in config.args:
        known = str(word).startswith("tests/reliability") or (ROOT / str(word).partition("::")[0]).exists()
        assert known, f"{word} is not here"
    thresholds = config.getoption("--thresholds")
    if thresholds is not None and str(thresholds).startswith("thresholds/"):
        assert (ROOT / thresholds).is_file()


@pytest.mark.parametrize("command", _of("make"), ids=_id)
def test_make_knows_every_documented_target(command: Any) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", _of("python"), ids=_id)
def test_a_documented_script_is_run_by_the_worked_example(command: Any) -> None:
    script = Path(command.words[1]).name
    assert script in IN_THE_EXAMPLE
    assert (ROOT / "tests" / "examples" / "gate_your_own" / script).is_file()


@pytest.mark.parametrize(("page", "name", "arguments"), _HERE["modules"]())
def test_a_documented_module_exists(page: str, name: str, arguments: list[str]) -> None:
    assert importlib.util.find_spec(name) is not None, f"{page} names {name}"
    if name == "benchmarks" and arguments:
        from benchmarks.__main__ import SECTIONS

        assert set(arguments) <= set(SECTIONS), page
