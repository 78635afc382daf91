"""What holds the house together: floors, declarations, and the rules that can be read off the source."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rajobs import studies

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rajobs"
FLOORS = ("records", "imaging", "phantoms", "learning", "studies", "papers", "reports", "jobs", "__main__")
"""From the ground up: a floor imports itself and what is below it."""

SOURCES = sorted(PACKAGE.rglob("*.py"))
EVERY_FILE = sorted(path for folder in ("rajobs", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
MOST_LINES, MOST_FILES = 400, 15
CHANGING = (("learning/training/state.py", "TrainingState"), ("jobs/train/checkpoints.py", "Checkpoints"))
"""Dataclasses that are changed on purpose: what a run has reached so far."""

CHANGERS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "discard", "clear"}


def inside(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def floor_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree_of(path)))


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name; empty for what is none."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@cache
def imported(path: Path) -> tuple[tuple[int, str], ...]:
    """Every import of a file with its line, those within functions and by name too."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{inside(path)}:{node.lineno} imports by a relative name"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and last_name(node.func) in ("import_module", "__import__"):
            first = node.args[0]
            yield node.lineno, str(first.value) if isinstance(first, ast.Constant) else "rajobs"


def test_imports_go_down_only() -> None:
    wrong = []
    for path in SOURCES:
        height = FLOORS.index(floor_of(path)) if floor_of(path) != "__init__" else -1
        for line, name in imported(path):
            parts = name.split(".")
            if parts[0] == "rajobs" and len(parts) > 1 and parts[1] in FLOORS and FLOORS.index(parts[1]) > height:
                wrong.append(f"{inside(path)}:{line} imports {name}")
    assert wrong == []


@pytest.mark.parametrize(
    ("libraries", "floors"),
    [
        (("ray",), ("jobs",)),
        (("torch", "torchvision", "safetensors", "optuna"), ("learning", "jobs")),
        (("click",), ("__main__",)),
        (("boto3", "botocore"), ("records",)),
        (("pydicom",), ("imaging", "phantoms")),
        (("matplotlib", "jinja2"), ("reports",)),
    ],
)
def test_a_library_is_known_to_its_floors_alone(libraries: tuple[str, ...], floors: tuple[str, ...]) -> None:
    users = {floor_of(path) for path in SOURCES for _, name in imported(path) if name.split(".")[0] in libraries}
    assert users <= set(floors)


QUIET = """
import os, pathlib, random, sys, threading
import cv2, numpy  # cv2 sets a variable of its own
before = (dict(os.environ), random.getstate(), str(numpy.random.get_state()), threading.active_count(), os.listdir())
for name in {names}:
    __import__(name)
after = (dict(os.environ), random.getstate(), str(numpy.random.get_state()), threading.active_count(), os.listdir())
heavy = [name for name in ("torch", "ray", "matplotlib.pyplot") if name in sys.modules]
print([one == other for one, other in zip(before, after)], heavy)
"""


def test_importing_does_nothing_and_studies_and_reports_need_neither_torch_nor_ray(tmp_path: Path) -> None:
    light = [
        path for path in SOURCES if floor_of(path) in ("records", "imaging", "phantoms", "studies", "papers", "reports")
    ]
    paths = [path.relative_to(ROOT).with_suffix("") for path in (*light, PACKAGE / "__main__.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in paths]
    done = subprocess.run(
        [sys.executable, "-c", QUIET.format(names=names)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[True, True, True, True, True] []\n" and done.stderr == ""


def test_a_module_declares_and_does_not_act() -> None:
    declarations = (
        ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Assert,
    )  # fmt: skip
    acts = []
    for path in SOURCES:
        for node in tree_of(path).body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            guard = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
            if not (isinstance(node, declarations) or text or guard):
                acts.append(f"{inside(path)}:{node.lineno} {ast.unparse(node)[:60]}")
    assert acts == []


def constants(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """A module's names that hold something which could be changed."""
    makers = ("list", "dict", "set", "defaultdict", "Counter", "deque", "bytearray")
    kinds = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    for node in tree_of(path).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        made = isinstance(node.value, ast.Call) and last_name(node.value.func) in makers
        if made or isinstance(node.value, kinds):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from ((ast.unparse(target), node.value) for target in targets)


def changed(path: Path) -> Iterator[tuple[int, str]]:
    """What a file changes in place, by the last part of its name."""
    for node in nodes_of(path):
        if isinstance(node, ast.Global):
            yield from ((node.lineno, name) for name in node.names)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.lineno, last_name(node.value)
        elif isinstance(node, ast.AugAssign):
            yield node.lineno, last_name(node.target)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGERS:
            yield node.lineno, last_name(node.func.value)


def test_a_module_s_constants_are_written_as_such_and_never_changed() -> None:
    constant_names = {name for path in SOURCES for name, _ in constants(path)} - {"__all__"}
    assert [name for name in constant_names if not name.isupper()] == []
    lists = [f"{inside(path)} {name}" for path in SOURCES for name, value in constants(path)
             if isinstance(value, ast.List | ast.ListComp) and name != "__all__"]  # fmt: skip
    assert lists == [], "a tuple says the same and stays as it is"
    wrong = [
        f"{inside(path)}:{line} changes {name}"
        for path in SOURCES
        for line, name in changed(path)
        if name in constant_names or name.isupper()
    ]
    assert wrong == []


def test_settings_and_domain_objects_are_frozen_and_named() -> None:
    loose = []
    for path in SOURCES:
        for node in nodes_of(path):
            if not isinstance(node, ast.ClassDef) or (inside(path), node.name) in CHANGING:
                continue
            for mark in map(ast.unparse, node.decorator_list):
                if "dataclass" in mark and not ("frozen=True" in mark and "kw_only=True" in mark):
                    loose.append(f"{inside(path)} {node.name}")
    assert loose == []


def test_every_study_has_a_space_and_back() -> None:
    spaces = {path.stem.partition("-")[0] for path in (ROOT / "tune_spaces").glob("*.toml")}  # a study may have two
    assert spaces == set(studies.names()) == {path.stem for path in (PACKAGE / "studies").glob("[!_]*.py")}


def test_no_job_and_no_page_knows_a_study_by_name() -> None:
    """Except the demo and the built-in models, which declare theirs as data."""
    allowed, names = {"jobs/demo.py", "jobs/builtin.py"}, studies.names()
    known = {
        f"{inside(path)}:{node.lineno} {node.value}"
        for path in SOURCES
        if floor_of(path) in ("jobs", "reports", "learning", "__main__") and inside(path) not in allowed
        for node in nodes_of(path)
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert known == set()


def test_a_file_says_what_it_is_and_stays_short() -> None:
    wrong = []
    for path in EVERY_FILE:
        name = path.relative_to(ROOT).as_posix()
        first = (ast.get_docstring(tree_of(path)) or "").partition("\n")[0]
        if not path.is_relative_to(ROOT / "tests") and len(first) <= 15:
            wrong.append(f"{name} does not begin with a sentence that says what it is")
        if path.read_text().count("\n") > MOST_LINES:
            wrong.append(f"{name} has more than {MOST_LINES} lines")
    assert wrong == []


def names_given(path: Path) -> Iterator[tuple[int, str]]:
    """Every name that a file gives: of a variable, attribute, argument, function or class."""
    for node in nodes_of(path):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield node.lineno, name


def test_a_name_says_what_it_names() -> None:
    """These words could name anything."""
    empty = {"told", "held", "found", "mine", "said", "given"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in EVERY_FILE
        for line, name in names_given(path)
        if name.lower().strip("_") in empty
    ]
    assert wrong == []


def test_a_folder_is_seen_at_a_glance() -> None:
    files = Counter(path.parent for path in EVERY_FILE if path.name != "__init__.py")
    assert {folder.relative_to(ROOT).as_posix(): count for folder, count in files.items() if count > MOST_FILES} == {}


def test_tests_stand_where_the_code_stands() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= set(FLOORS)
    helpers = {
        "browser.py", "conftest.py", "__init__.py", "dicom_files.py", "flaky.py", "in_process.py", "kills.py",
        "layouts.py", "lying_s3.py", "s3_proxy.py", "archive_attacks.py", "attack.py", "file_attacks.py",
        "own_network.py", "place_attacks.py", "run.py", "small_hands.py", "small_papers.py",
    }  # fmt: skip
    names = {path.name for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")}
    assert names == helpers


def test_contributing_tells_the_floors_there_are() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    house = text.partition("From the top down:")[2].lstrip().partition("\n\n")[0]
    listed = [line.split()[0] for line in house.splitlines()]
    assert listed == list(reversed(FLOORS)), "from the top down, as the house stands"
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))} == set(FLOORS[:-1])


def test_no_file_hangs_on_the_machine_it_was_written_on() -> None:
    """But for the places that an archive may try to write to, and the user of the cluster's image."""
    machine_paths = []
    for path in [
        *SOURCES,
        *(ROOT / "tune_spaces").iterdir(),
        *ROOT.glob("*.md"),
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
    ]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"(?<![\w.:}])/(root|home|Users|work|tmp|mnt|srv)/", line):
                machine_paths.append(f"{path.relative_to(ROOT)}:{number} {line.strip()[:80]}")
    assert machine_paths == []
