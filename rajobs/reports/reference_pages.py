"""The pages of docs/reference, made from the code: `python -m rajobs.reports.reference_pages docs/reference`.

`make docs` writes them, and a test compares the committed pages with what the code says today.
"""

import dataclasses
import inspect
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from rajobs import studies
from rajobs.learning import recipe as recipes
from rajobs.learning.space import space_text
from rajobs.learning.study import ScoreStep, Study
from rajobs.records import errors
from rajobs.records.anatomy import CLINIC_JOINTS, SIDES
from rajobs.records.tables.schemas import FINDINGS, SCHEMA_VERSION, TABLES
from rajobs.records.tables.table_schema import Column, TableSchema
from rajobs.reports.reference_notes import IGNORE_MEANINGS, PURPOSES, REJECT_ADVICE

COLUMNS_OF_HELP = "100"
WIDTH = 120
JOINT = "<joint>"
COMMAND = re.compile(r"^  (\w+) {2,}\S", re.MULTILINE)

TYPES = (
    (pa.string(), "text"),
    (pa.int32(), "whole number"),
    (pa.int64(), "whole number"),
    (pa.float32(), "number"),
    (pa.float64(), "number"),
    (pa.binary(), "bytes"),
    (pa.date32(), "date"),
    (pa.bool_(), "true or false"),
)


def commands_page() -> str:
    """Every command with its own help."""
    overview = _help()
    parts = [
        _head("Commands", "`rajobs COMMAND --help` prints the same."),
        _paragraph(
            "All commands also run as `python -m rajobs`. The exit status is 0 when the job is done, 1 when it failed "
            "or rejected more than `--max-rejects`, and 2 for wrong use. A mistake is one line that names what is "
            "wrong and what to type instead."
        ),
        _block(overview),
    ]
    for name in COMMAND.findall(overview.partition("Commands:")[2]):
        parts += [f"## {name}\n", _block(_help(name))]
    return "\n".join(parts)


def _help(*command: str) -> str:
    """What the command line prints; it stands above this floor and is asked as a user asks it."""
    environment = {**os.environ, "COLUMNS": COLUMNS_OF_HELP}
    asked = [sys.executable, "-m", "rajobs", *command, "--help"]
    return subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout


def tables_page() -> str:
    """Every table with its key and columns."""
    parts = [
        _head("Tables", f"Schema version {SCHEMA_VERSION}, from `rajobs/records/tables/schemas.py`."),
        _paragraph(
            "Every table is checked against its schema when it is written and when it is read. Tables are Parquet "
            "parts in a folder of the table's name; `score` writes a CSV of each of its tables beside it. A column is "
            "empty (null) where nobody can tell its value; a required one never is."
        ),
    ]
    purposes = {name: PURPOSES.get(name, "") for name in TABLES}
    parts.append(_table(("table", "what it holds"), ((f"[{name}](#{name})", text) for name, text in purposes.items())))
    for name, table in TABLES.items():
        key = " + ".join(f"`{column}`" for column in table.key) or "none"
        parts += [f"## {name}\n", f"{purposes[name]}\n", f"Key: {key}\n", _columns(table)]
    return "\n".join(parts)


def _columns(table: TableSchema) -> str:
    """A row for each column, those that studies add too; the clinic's columns of joints share one for each finding."""
    rows: dict[str, tuple[str, str, str]] = {}
    added = [column for study in studies.every() if study.scores is not None and study.scores.table == table.name
             for column in study.scores.adds]  # fmt: skip
    for column in (*table.columns, *added):
        rows.setdefault(_column_name(column.name), _column_facts(column))
    named = ((f"`{name}`", *facts) for name, facts in rows.items())
    joints = f"\n`<joint>`: {_codes(CLINIC_JOINTS)}.\n" if any(JOINT in name for name in rows) else ""
    return _table(("column", "type", "required", "unit or meaning"), named) + joints


def _column_name(name: str) -> str:
    side, *rest = name.split("_")
    if side in SIDES and len(rest) == 2 and rest[0] in CLINIC_JOINTS and rest[1] in FINDINGS:
        return f"<{'|'.join(SIDES)}>_{JOINT}_{rest[1]}"
    return name


def _column_facts(column: Column) -> tuple[str, str, str]:
    values = f": {_codes(column.values)}" if column.values is not None else ""
    return _type_name(column.type), "" if column.null else "yes", column.meaning + values


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type_name(kind.value_type)}s"
    return next(name for known, name in TYPES if kind == known)


def recipes_page() -> str:
    """Every setting of a recipe with its default, the architectures, and the recipes of every study."""
    parts = [
        _head("Recipes", "Settings from `rajobs/learning/recipe.py`, recipes from `rajobs/studies/`."),
        _paragraph(
            "A recipe holds every hyper-parameter. `rajobs train STUDY DATA OUT --recipe NAME` takes one of a study's "
            "recipes by name, or a TOML file with the settings below: what a file does not name has its default. "
            "`tune` writes such a file, `best.toml`."
        ),
        "## Settings\n",
    ]
    for kind, path in (
        (recipes.Recipe, "top level"),
        (recipes.Member, "`[[members]]`"),
        (recipes.Training, "`[training]`, or `[members.training]` for one member"),
        (recipes.Augment, "`[training.augment]`"),
    ):
        rows = ((f"`{name}`", default, text) for name, default, text in _settings(kind))
        parts += [f"### {kind.__name__}\n", f"{path}. {inspect.getdoc(kind)}\n"]
        parts.append(_table(("setting", "default", "meaning"), rows))
    closed = {"optimiser": recipes.OPTIMISERS, "schedule": recipes.SCHEDULES, "combine": recipes.COMBINES,
              "fit": recipes.FITS}  # fmt: skip
    parts += ["Closed lists:\n", _table(("setting", "values"), ((f"`{n}`", _codes(v)) for n, v in closed.items()))]
    parts += ["## Architectures\n", _architectures()]
    for name in studies.names():
        parts.append(_study(studies.find(name)))
    return "\n".join(parts)


def _settings(kind: type) -> Iterator[tuple[str, str, str]]:
    """Name, default and comment of a dataclass's fields."""
    comments = dict(re.findall(r"^    (\w+): [^#\n]*#\s*(.+)$", inspect.getsource(kind), re.MULTILINE))
    for each in dataclasses.fields(kind):
        if each.default is not dataclasses.MISSING:
            default = _toml_value(each.default)
        elif each.default_factory is not dataclasses.MISSING:
            default = "empty" if each.default_factory is dict else "see below"
        else:
            default = "required"
        yield each.name, default, comments.get(each.name, "")


def _toml_value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


def _architectures() -> str:
    """Architectures by name with their settings; asked late, since they come with torch."""
    from rajobs.learning.networks.architectures import ARCHITECTURES, CASCADES

    builders: dict[str, Callable[..., Any]] = {**ARCHITECTURES, **CASCADES}
    rows = []
    for name, build in builders.items():
        known = inspect.signature(build).parameters.values()
        settings = ", ".join(f"`{p.name}` = {p.default}" for p in known if p.default is not inspect.Parameter.empty)
        rows.append((f"`{name}`", (inspect.getdoc(build) or "").partition("\n")[0], settings))
    return _table(("architecture", "what it is", "settings and defaults"), rows)


def _study(study: Study) -> str:
    """A study's recipes, each by what differs from the defaults, and the axes of its sweep."""
    targets = "; ".join(f"`{target.name}`: {', '.join(target.classes)}" for target in study.targets)
    parts = [
        f"## {study.name}\n",
        f"{study.question} Paper {study.paper}; rows: {study.rows}; headline metric: `{study.headline}`.\n",
        *([f"Targets: {targets}.\n"] if targets else []),
        f"Settings of its view, with defaults: {_mapping(study.view.settings)}.\n",
        *([_answers(study.scores)] if study.scores is not None and study.scores.columns else []),
    ]
    for name in study.recipes:
        wanted = "It is meant for a GPU. " if study.recipes[name].heavy else ""
        parts += [f"### {study.name}: {name}\n", f"{wanted}What differs from the defaults:\n"]
        parts.append(_block(_toml(differences(study.recipes[name]))))
    axes = tomllib.loads(space_text(study.name))["axes"]
    rows = ((f"`{setting}`", _axis(values)) for setting, values in axes.items())
    parts += [f"### {study.name}: what a sweep turns\n", f"From `tune_spaces/{study.name}.toml`.\n"]
    return "\n".join([*parts, _table(("setting", "values"), rows)])


def _answers(step: ScoreStep) -> str:
    """What `score` does with a study's answers."""
    names = [name for columns in step.columns for name in columns.names]
    return f"`score` writes its answers to [{step.table}](tables.md#{step.table}): {_codes(names)}.\n"


def differences(recipe: recipes.Recipe) -> dict[str, Any]:
    """A recipe as plain data, without what has its default."""
    return _differing(recipe)


def _differing(value: Any) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for each in dataclasses.fields(value):
        now = getattr(value, each.name)
        factory = each.default_factory
        usual = each.default if factory is dataclasses.MISSING else factory()
        if now == usual:
            continue
        if each.name == "members":
            changed[each.name] = [_differing(member) for member in now]
        elif dataclasses.is_dataclass(now):
            changed[each.name] = _differing(now)
        else:
            changed[each.name] = _plain(now)
    return changed


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _toml(data: Mapping[str, Any]) -> str:
    import tomli_w

    return tomli_w.dumps(data)


def _axis(values: Mapping[str, Any]) -> str:
    if "choices" in values:
        return ", ".join(_toml_value(value) for value in values["choices"])
    return f"{values['low']} to {values['high']}" + (", on a log scale" if values.get("log") else "")


def rejects_page() -> str:
    """Why a file is no image, and what to do about it."""
    meanings = dict(re.findall(r'^    "([\w-]+)",\s*# (.+)$', inspect.getsource(errors), re.MULTILINE))
    rejected = ((f"`{name}`", meanings.get(name, ""), REJECT_ADVICE[name]) for name in errors.REJECT_REASONS)
    ignored = ((f"`{name}`", *IGNORE_MEANINGS[name]) for name in errors.IGNORE_REASONS)
    return "\n".join([
        _head("Rejects and ignored files", "Reasons from `rajobs/records/errors.py`."),
        _paragraph(
            "Every file that `ingest` is given ends in exactly one of images, rejects and ignored. The counts of the "
            "manifest add up, or the job fails. A reject counts towards `--max-rejects`, unless a setting of the "
            "command turned the file away (`no-region`, `no-modality`, `burned-in-annotation`)."
        ),
        "To count them:\n",
        _block("python -c \"import pandas; print(pandas.read_parquet('out/data/rejects').reason.value_counts())\"\n"),
        _paragraph(
            f"The column `stage` says where a file failed: {_codes(errors.REJECT_STAGES)}. Where `ingest` had "
            "`--ledger`, the ledger's `crosswalk` table has the path of every file under the same `source`."
        ),
        "## Rejects\n",
        _table(("reason", "meaning", "what to do"), rejected),
        "## Ignored\n",
        _table(("reason", "meaning", "what to do"), ignored),
    ])  # fmt: skip


def _head(title: str, origin: str) -> str:
    return f"# {title}\n\nThis page is made by `make docs`; a test keeps it up to date. {origin}\n"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False) + "\n"


def _block(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.rstrip().splitlines())


def _table(columns: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(columns), ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _mapping(values: Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}` = {_toml_value(value)}" for name, value in values.items()) or "none"


PAGES = {
    "commands.md": commands_page,
    "tables.md": tables_page,
    "recipes.md": recipes_page,
    "rejects.md": rejects_page,
}


def main() -> None:
    """Write every page into the folder that is named."""
    folder = Path(sys.argv[1])
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
