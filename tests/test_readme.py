"""README and guides tell the truth: their commands exist with their options, and what they run is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rajobs.__main__ import cli

ROOT = Path(__file__).parents[1]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "cluster/README.md", "rajobs/builtin/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
)
MOST_LINES = 150  # of the README: everything else has a place under docs/


def commands() -> Iterator[tuple[str, str]]:
    """Page and command, for each line of an indented block that runs something."""
    for page in PAGES:
        for line in re.findall(r"^    (\S.*)$", page.read_text(), re.MULTILINE):
            command = re.sub(r"\s+(# .*|> \S+)", "", line).rpartition(" -- ")[2]
            yield page.relative_to(ROOT).as_posix(), command


COMMANDS = sorted({(page, line) for page, line in commands() if line.startswith("rajobs ")})


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_is_understood(page: str, line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = cli.commands[name]
    command.make_context(f"rajobs {name}", arguments)  # parses, and runs nothing


def test_readme_and_guides_have_commands_and_the_readme_is_short() -> None:
    pages = [page for page, _ in COMMANDS]
    guides = [page.relative_to(ROOT).as_posix() for page in PAGES if page.parent.name == "guide"]
    assert all(pages.count(page) >= 2 for page in ("README.md", *guides))
    assert (ROOT / "README.md").read_text().count("\n") <= MOST_LINES


def test_make_targets_and_scripts_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(page.read_text() for page in PAGES)
    named = {line.split()[1] for _, line in commands() if line.startswith("make ")}
    named |= set(re.findall(r"`make ([a-z-]+)`", text))
    assert named and named <= targets
    scripts = set(re.findall(r"python (benchmarks/[\w/]+\.py)", text))
    assert scripts and [script for script in scripts if not (ROOT / script).is_file()] == []


def test_no_command_is_hidden_from_help() -> None:
    context = click.Context(cli)
    assert all(cli.get_command(context, name).get_short_help_str() for name in cli.list_commands(context))  # type: ignore[union-attr]
