"""The page of a reader's sheet as one HTML file: pictures, fields and examples within, no server, nothing loaded."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from rajobs import __version__
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.learning.study import Study
from rajobs.records.anatomy import SITES
from rajobs.reports.sheet.examples import example_places, picture_uri
from rajobs.reports.sheet.fields import Field, fields_of
from rajobs.reports.sheet.words import class_words, site_words, target_words

SCRIPTS = ("picture.js", "answers.js", "reading.js", "layout.js")
"""In the order in which they need each other."""
NOUNS: Mapping[str, str] = {"films": "film", "extremities": "hand", "joints": "hand", "ultrasound": "scan"}
"""What is read, by kind of rows."""

FILL, FILL_PLACES = "the rest of this hand is normal", "the other boxes of this hand are right"
"""What the key F says."""


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    """A picture of a case: what the page has to know of it, and its title (which visit it is of)."""

    picture: int  # number of the picture in the page
    image_id: str
    side: str | None
    title: str
    about: Mapping[str, Any]  # size, window, places: what its packing gave


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is read together: a patient's hand at all visits, a film or a scan."""

    patient: str
    part: str  # hand, foot, or empty
    what: str
    pictures: tuple[ShownPicture, ...]


@dataclass(frozen=True, kw_only=True)
class SheetFacts:
    """A sheet but for its pictures."""

    identity: str  # the browser keeps what is typed under this name
    study: Study
    reader: str
    file: str  # name of the CSV that the page exports
    part: str  # "sheet 1 of 3", or empty
    cases: tuple[Case, ...]


def sheet_page(facts: SheetFacts, pictures: Iterable[tuple[int, str]]) -> str:
    """The page as HTML; `pictures`: number and packed text of each."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rajobs.reports.sheet", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    script = _script()
    study, noun = facts.study, NOUNS[facts.study.rows.name]
    return environment.get_template("sheet.html.j2").render(
        title=f"{study.name}, {facts.reader}",
        question=study.question,
        reader=facts.reader,
        part=facts.part,
        fill=FILL if study.targets else FILL_PLACES,
        css=Markup(_read("sheet.css")),
        examples=Markup(picture_uri()),
        script=Markup(script),
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        sheet=Markup(json.dumps(_content(facts, noun), sort_keys=True).replace("<", "\\u003c")),
        pictures=[(number, Markup(text)) for number, text in pictures],
        help=help_rows(study),
        version=__version__,
    )


def _read(name: str) -> str:
    return resources.files("rajobs.reports.sheet").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    """The page's program; in a function of its own, it leaves no names behind."""
    return '(() => {\n"use strict";\n' + "\n".join(_read(name) for name in SCRIPTS) + "})();\n"


def _content(facts: SheetFacts, noun: str) -> dict[str, Any]:
    study, parts = facts.study, sorted({case.part for case in facts.cases})
    fields = {part: fields_of(study, part) for part in parts}
    return {
        "id": facts.identity, "study": study.name, "reader": facts.reader, "file": facts.file, "noun": f"{noun}s",
        "assessable": study.assessable, "placesStudy": POSITION_STUDY, "onlyPlaces": not study.targets,
        "targets": _targets(study, fields.values()),
        "groups": {part: {"fields": [_field(study, each) for each in of_part], "sites": _sites(part)}
                   for part, of_part in fields.items()},
        "cases": [_case(case) for case in facts.cases],
    }  # fmt: skip


def _classes(study: Study, field: Field) -> tuple[str, ...]:
    return next((target.classes for target in study.targets if target.name == field.target), field.values)


def _targets(study: Study, groups: Iterable[Sequence[Field]]) -> dict[str, Any]:
    return {
        field.target: {
            "words": target_words(field.target),
            "values": class_words(field.target, _classes(study, field)),
        }
        for fields in groups for field in fields
    }  # fmt: skip


def _field(study: Study, field: Field) -> dict[str, Any]:
    return {
        "target": field.target, "site": field.site, "values": field.values, "allValues": _classes(study, field),
        "keys": field.keys, "usual": field.usual, "where": dict(field.where) or None, "examples": example_places(field),
    }  # fmt: skip


def _sites(part: str) -> list[dict[str, str]]:
    """All joints of a hand or foot in the method's order."""
    return [
        {"name": site.name, "short": site.name, "words": site_words(site.name)}
        for site in SITES.values()
        if site.part == part
    ]


def _case(case: Case) -> dict[str, Any]:
    pictures = [
        {"number": shown.picture, "image": shown.image_id, "side": shown.side, "title": shown.title, **shown.about}
        for shown in case.pictures
    ]
    return {"patient": case.patient, "group": case.part, "what": case.what, "pictures": pictures}


def help_rows(study: Study) -> list[tuple[str, str]]:
    """The keys that a study's page knows, in words."""
    joints = study.rows.labels_name_site and study.rows.cut_by_positions
    rows = [("0, 1, 2 ...", "the value; the next field follows"), ("← →", "field before, field after")]
    if joints or not study.targets:
        rows.append(("↑ ↓", "joint before, joint after"))
    if study.assessable is not None:
        rows += [
            ("N", "this joint is not assessable (again: it is)"),
            ("Shift N", "all that is still open of this hand is not assessable"),
            ("F", FILL),
        ]
    if not study.targets:
        rows.append(("F", FILL_PLACES))
    if study.rows.cut_by_positions:
        rows += [("M", "the box lies wrong: then click on the joint"), ("click on the film", "to that joint")]
    if study.rows.name == "ultrasound":
        rows.append(("Space , .", "stop and play, frame before, frame after"))
    return [
        *rows,
        ("Enter", "next with something open"),
        ("Page Up, Page Down", "before, after"),
        ("U or Ctrl Z", "undo"),
        ("Backspace", "clear this field"),
        ("drag", "brightness (up, down) and contrast (left, right)"),
        ("wheel, + −", "zoom; right button or Shift and drag: move"),
        ("R", "brightness, contrast and zoom as at first"),
    ]
