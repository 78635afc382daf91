"""The texts of `rajobs studies`: which studies there are, and for one of them what its labels look like."""

from rajobs import studies
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.imaging.rows import CLINIC_TABLE, ULTRASOUND_PICTURE
from rajobs.learning.study import Study
from rajobs.learning.targets import NO, YES
from rajobs.records.anatomy import SCAN_SITES, SITES
from rajobs.records.label_consensus import CROP, PRESENT
from rajobs.records.tables.schemas import CLINIC

HEADER = "image,side,study,target,site,value,reader"
IMAGES = ("1.2.3.4.5", "films.zip!/IM0001")  # an SOP instance UID, and a path
SITE = "MCP2"
POINT = {"x": "812.5", "y": "1203"}
VISIT = {"visit_date": "2015-05-01", "reader": "reader1", "rf": "31.5", "L_MCP2_swollen": "1"}


def list_studies() -> str:
    """Two lines per study."""
    declared = [studies.find(name) for name in studies.names()]
    width = max(len(study.name) for study in declared)
    lines = []
    for study in declared:
        lines.append(f"{study.name:<{width}}  paper {study.paper}  {study.headline:<26}  {_list_recipes(study)}")
        lines.append(f"{'':<{width}}  {study.question}")
    return "\n".join([*lines, "", "rajobs studies NAME shows one of them in detail."])


def _list_recipes(study: Study) -> str:
    return "recipes: " + ", ".join(study.recipes) if study.recipes else "no recipe yet"


def describe_study(name: str) -> str:
    """A study's question, recipes, printed figures and label columns; `template` is the CSV that goes with it."""
    study = studies.find(name)
    lines = [
        study.name,
        f"  {study.question}",
        f"  paper {study.paper}; learns from {study.rows}; {_list_recipes(study)}",
    ]
    lines += [f"  headline metric: {study.headline}", "", "Printed by the paper:"]
    figures = (*study.printed, *study.printed_members)
    lines += [f"  {printed.value:<8g} {printed.what}" for printed in figures] or ["  nothing yet"]
    if study.rows.table == CLINIC_TABLE:
        columns = ", ".join(target.name for target in study.targets)
        labels = f"Labels: the clinic table's column {columns}, by `rajobs ingest --clinic FILE`"
        return "\n".join([*lines, "", f"{labels}; an empty cell: nobody looked"])
    cut = study.rows.cut_by_positions
    scans = study.rows.picture == ULTRASOUND_PICTURE
    free = "side, site, reader, patient and split" if scans else "reader, patient and split"
    lines += ["", f"Labels, a CSV for `rajobs ingest --labels`; {free} may be left out:"]
    lines += [f"  target {target.name}: {', '.join(target.classes)}" for target in study.targets]
    if study.assessable is not None:
        lines.append(
            f"  {study.assessable} {NO}: it cannot be judged, and its labels of the other targets teach nothing"
        )
    if scans:
        lines.append(f"  site: {', '.join(SCAN_SITES)}")
    if study.targets and not cut:
        lines.append(f"  a table with a column for each target is read, too: image,reader,{study.targets[0].name}")
    return "\n".join([*lines, *(_describe_places(study) if cut else ())])


def _describe_places(study: Study) -> list[str]:
    """How labels of hands and joints are matched, which are cut out of films by the joints' positions."""
    sites = [
        f"  site of a {part}: {', '.join(site.name for site in SITES.values() if site.part == part)}"
        for part in ("hand", "foot")
    ]
    points = "column and row of a joint in the film's pixels, from 0"
    if not study.targets:
        return [
            f"  target x, target y: {points}",
            f"  target {PRESENT}: {NO} for a joint that is not there; a joint without any label is unknown",
            f"  target {CROP}: {YES} for a picture that is a crop of this joint alone, which then needs no x and y",
            "  side: L or R; may be left out for films with one hand",
            *sites,
        ]
    first = study.targets[0].name
    columns = f"{first}_MCP2,{first}_PIP2" if study.rows.labels_name_site else first
    matched = "side and site" if study.rows.labels_name_site else "side"
    return [
        f"  {matched}: of the {study.rows} that are cut out of the film; side may be left out for films with one hand",
        *([] if study.rows.labels_name_site else ["  site: empty"]),
        f"  a table with a row for a hand is read, too: image,side,reader,{columns}",
        f"  a hand or joint without labels x and y of {POSITION_STUDY} is placed by models (train --finders)",
        *sites,
    ]


def template(name: str) -> str:
    """A study's labels as a CSV to fill in: two images, or two visits for a study of the clinic table."""
    study = studies.find(name)
    if study.rows.table == CLINIC_TABLE:
        rows = [
            {**VISIT, "patient": f"P{number}", target.name: value}
            for target in study.targets
            for number, value in enumerate(target.classes[:2], 1)
        ]
        return "\n".join(
            [",".join(CLINIC.names), *(",".join(row.get(name, "") for name in CLINIC.names) for row in rows)]
        )
    side, site = ("L" if study.rows.labels_name_side else ""), (SITE if study.rows.labels_name_site else "")
    lines = [HEADER]
    for target in study.targets:
        values = (YES,) if target.name == study.assessable else target.classes[:2]
        for image, value in zip(IMAGES, values):
            lines.append(f"{image},{side},{study.name},{target.name},{site},{value},reader1")
    if not study.targets:
        lines += [
            f"{image},L,{POSITION_STUDY},{axis},{SITE},{position},reader1"
            for image in IMAGES
            for axis, position in POINT.items()
        ]
        lines.append(f"{IMAGES[1]},L,{POSITION_STUDY},{PRESENT},PIP5,{NO},reader1")
    return "\n".join(lines)
