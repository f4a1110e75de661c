"""The command's help, and completion of its names in a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reliability.cli import main
from reliability.cli.commands import COMMANDS
from reliability.cli.completion import SHELLS


def test_every_command_stands_under_one_heading_with_a_whole_sentence() -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=100).output
    listed = [command.name for commands in COMMANDS.values() for command in commands]
    assert sorted(listed) == sorted(main.commands)
    for heading, commands in COMMANDS.items():
        block = shown.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        for command in commands:
            assert f"\n  {command.name} " in f"\n{block}"
    assert "..." not in shown.partition("\n")[2]


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    return [(*path, name) for name in sorted(group.commands)]


@pytest.mark.parametrize("path", _commands(main), ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    command = main.commands[path[0]]
    bare = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert not bare, f"without help: {bare}"


@pytest.fixture
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """``reliability`` can be called by that name."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_asks_this_command(shell: str) -> None:
    shown = CliRunner().invoke(main, ["completion", shell])
    assert shown.exit_code == 0
    assert "_RELIABILITY_COMPLETE" in shown.output
    assert f"{shell}_complete" in shown.output


@pytest.mark.usefixtures("on_path")
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_and_their_choices() -> None:
    def completed(*words: str) -> list[str]:
        line = " ".join(words)
        script = (
            f'eval "$(reliability completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; '
            "_reliability_completion reliability; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("reliability", "exp") == ["explain", "export"]
    assert completed("reliability", "list", "re") == ["recipes"]


def test_the_command_runs_as_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "reliability", "--version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "version" in done.stdout
