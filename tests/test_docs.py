"""The documents fit the code: links, paths, quoted messages, and the reference pages that are made from it."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rajobs.records.errors import IGNORE_REASONS, REJECT_REASONS
from rajobs.records.tables.schemas import TABLES
from rajobs.reports.reference_notes import IGNORE_MEANINGS, PURPOSES, REJECT_ADVICE
from rajobs.reports.reference_pages import PAGES, differences
from tests.test_house import FLOORS, SOURCES, nodes_of

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for place in ("*.md", "docs/**/*.md", "cluster/*.md", "rajobs/**/*.md") for path in ROOT.glob(place)
)
GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
FOLDERS = ("rajobs", "tests", "benchmarks", "tune_spaces", "cluster", "docs")
EVERY = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def prose(path: Path) -> str:
    """A document without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


@cache
def anchors(path: Path) -> frozenset[str]:
    """What the headings of a document are called in links."""
    names = []
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        names.append(re.sub(r"[^\w\- ]", "", shown).strip().lower().replace(" ", "-"))
    assert len(set(names)) == len(names), f"{path.name} has two headings of one name"
    return frozenset(names)


@EVERY
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@EVERY
def test_paths_that_are_named_exist(path: Path) -> None:
    """But for those of a toy, and places that are spelt with a placeholder."""
    if path.name == "CHANGELOG.md":
        return  # it tells of what was
    named = {word for code in CODE.findall(prose(path)) for word in code.split()}
    paths = {word for word in named if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]+", word)}
    real = {name for name in paths if "toy" not in name and "NAME" not in name}
    assert sorted(name for name in real if not (ROOT / name).exists()) == []


def messages() -> Iterator[tuple[str, str]]:
    """What the guides quote: the first cells of their tables of messages."""
    for path in GUIDES:
        table = path.read_text().partition("| message |")[2]
        for message in re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE):
            yield path.name, message.replace("\\|", "|")


@cache
def templates() -> frozenset[str]:
    """Every text in the package; what is put in while a job runs is `...`."""
    texts = set()
    for node in (node for path in SOURCES for node in nodes_of(path)):
        if isinstance(node, ast.JoinedStr):
            parts = [str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values]
            texts.add(re.sub(r"(\.\.\.)+", "...", "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
    return frozenset(re.sub(r"\{\w*\}", "...", text) for text in texts)


@pytest.mark.parametrize(("guide", "message"), list(messages()))
def test_a_quoted_message_is_one_that_the_code_has(guide: str, message: str) -> None:
    assert any(message in text for text in templates()), f"{guide} quotes what no code says (any more)"


def test_every_guide_quotes_messages() -> None:
    assert {path.name for path in GUIDES} == {guide for guide, _ in messages()}


@pytest.mark.parametrize("name", PAGES)
def test_a_reference_page_is_what_the_code_makes(name: str) -> None:
    committed = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "run `make docs`"


def test_reference_pages_explain_every_table_and_reason() -> None:
    assert set(PURPOSES) == set(TABLES), "rajobs/reports/reference_notes.py says what each table holds"
    assert set(REJECT_ADVICE) == set(REJECT_REASONS) and set(IGNORE_MEANINGS) == set(IGNORE_REASONS)


def test_every_table_and_column_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "tables.md").read_text()
    for table in TABLES.values():
        part = page.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
        short = [name for name in table.names if not re.match(r"[LR]_\w+_(symptom|tender|swollen|gs|pd)$", name)]
        assert all(f"| `{name}` |" in part for name in short), table.name


def test_the_differences_of_a_recipe_are_the_recipe() -> None:
    from rajobs import studies
    from rajobs.learning.recipe import from_dict

    every = [recipe for name in studies.names() for recipe in studies.find(name).recipes.values()]
    assert all(from_dict(differences(recipe)) == recipe for recipe in every)


def test_the_picture_of_the_architecture_has_the_floors_in_their_order() -> None:
    tree = ElementTree.parse(ROOT / "docs" / "explanation" / "architecture.svg")
    texts = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    first = texts.index("The house")
    assert [text for text in texts[first:] if text in FLOORS][: len(FLOORS)] == list(reversed(FLOORS))
