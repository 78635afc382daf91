"""The README tells the truth: its commands exist with their options, and its tree has every file."""

import re
import shlex
from pathlib import Path

import click
import pytest

from rajobs.__main__ import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    (?:ray job submit .* -- )?(rajobs .*?)(?:\s+#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_is_understood(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = cli.commands[name]
    command.make_context(f"rajobs {name}", arguments)  # parses, and runs nothing


def test_there_are_commands_in_the_readme() -> None:
    assert len(COMMANDS) >= 5


def test_no_command_is_hidden_from_help() -> None:
    context = click.Context(cli)
    assert all(cli.get_command(context, name).get_short_help_str() for name in cli.list_commands(context))  # type: ignore[union-attr]
