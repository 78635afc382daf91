"""One worker of score: its models loaded once, then part after part. Pixels stay within it.

What is asked of a part: films -> a hand or none (previews alone) -> hands and joints, where something says where they
are -> their scores; scans -> grades. A film's pixels are read and decoded once for all models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.rows import POSITION_STUDY, Positions, Row, positions_from_labels, rows_of_part
from rajobs.jobs.score.extremity_rows import HandInProgress, hand_rows, score_joints
from rajobs.jobs.score.joint_finding import find_joints, keep_examined
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.voting import BundleLocation, Vote, VotingModels
from rajobs.records.anatomy import SITES
from rajobs.records.label_consensus import consensus
from rajobs.records.scan_grades import PLACE, frame_grade, scan_place, split_into_scans
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_part, read_table, to_parquet
from rajobs.records.tables.schemas import FILMS, HANDS, IMAGES, JOINTS, LABELS, LEDGER, ULTRASOUND, VIEWS

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A link of the chain: the study that answers, of which rows, into which table."""

    study: str
    rows: str
    table: str


FILTER, FINDS, SCORES, RECOGNITION, STAGES, GRADES, CLINICAL = CHAIN = (
    Step(study="hand_filter", rows="films", table="films"),
    Step(study="joint_detection", rows="hands", table="joints"),
    Step(study="svdh_scoring", rows="joints", table="joints"),
    Step(study="ra_recognition", rows="hands", table="hands"),
    Step(study="ra_staging", rows="hands", table="hands"),
    Step(study="ultrasound_grading", rows="ultrasound", table="ultrasound"),
    Step(study="clinical_array", rows="visits", table="visits"),  # in a second stage: jobs/score/tables.py
)
"""What score asks. Where joints are is told by the labels' positions, else by models; a study that is not here has no
table yet."""

KEEPS = ("unilateral", "both")  # views after which a film goes on
TABLES = {"films": FILMS, "hands": HANDS, "joints": JOINTS, "ultrasound": ULTRASOUND, "ledger": LEDGER}
"""The tables of a part, in the order they are put: where the ledger's is, the part is done."""

_IMAGES = (
    "image_id", "patient", "visit_date", "derived_from", "modality", "rows", "columns", "laterality", "frame",
    "doppler",
)  # fmt: skip


class ScoreWorker:
    """Takes the key of an images part, writes its parts of the tables."""

    def __init__(self, data: str, out: str, bundles: Mapping[str, Sequence[BundleLocation]]) -> None:
        self.data, self.out = open_store(data), open_store(out)
        asked = [step.study for step in CHAIN if step is not CLINICAL]
        self.panels = {study: VotingModels.load(studies.find(study), bundles[study]) for study in asked}
        labels = read_table(self.data, "labels", LABELS)
        self.positions, self.scanned = places(labels), scan_places(labels)

    def __call__(self, item: Record) -> Record:
        images = read_part(self.data, item["key"], IMAGES, _IMAGES)
        told = images.to_pylist()
        films = self._films(item["key"], images, told)
        film_of = {film["image_id"]: film for film in films if film["fate"] == "kept"}
        positions = {**self._found(item["key"], images, film_of), **self.positions}
        hands = [
            HandInProgress(row=row, whose=_whose(told[row.at]), film=film_of[row.image_id])
            for row in rows_of_part("hands", images, positions)
            if row.image_id in film_of
        ]
        rows = {
            "hands": [hand.row for hand in hands],
            "joints": [joint for hand in hands for joint in hand.row.joints],
            "ultrasound": rows_of_part("ultrasound", images, {}),
        }
        votes = self._votes(item["key"], rows)
        hashes = [*self.panels[FINDS.study].hashes, *self.panels[SCORES.study].hashes]
        score_joints(hands, votes[SCORES.study], hashes)
        asked = [name for step in (FINDS, SCORES, RECOGNITION, STAGES) for name in self.panels[step.study].hashes]
        ra, stage = votes[RECOGNITION.study].get("ra"), votes[STAGES.study].get("stage")
        tables: dict[str, list[Record]] = {
            "films": films,
            "hands": hand_rows(hands, ra, stage, asked),
            "joints": [joint for hand in hands for joint in hand.joints],
            "ultrasound": self._scans(rows["ultrasound"], votes, told),
        }
        tables["ledger"] = self._ledger(told, tables)
        name = item["key"].rpartition("/")[2]
        for table, found in tables.items():
            self.out.put(f"{table}/{name}", to_parquet(TABLES[table].rows(found), TABLES[table]))
        return {"images": images.num_rows}

    def _found(self, key: str, images: pa.Table, kept: Mapping[str, Record]) -> Positions:
        """The joints of the kept films that no label names."""
        films = [
            row for row in rows_of_part(FILTER.rows, images, {}) if row.image_id in kept.keys() - self.positions.keys()
        ]
        found = find_joints(self.data, key, images, films, self.panels[FILTER.study], self.panels[FINDS.study])
        return keep_examined(found, {name for name, film in kept.items() if film.get("view") == "unilateral"})

    def _votes(self, key: str, rows: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, Vote]]:
        """By study, by target; what is drawn is drawn at one go."""
        panels = {step: self.panels[step.study] for step in CHAIN if step.rows in rows and step is not FINDS}
        asks = {}
        for step, panel in panels.items():
            asks.update(panel.view_requests(rows[step.rows]))
        drawn = draw_views(self.data, key, asks)
        return {step.study: panel.vote(rows[step.rows], drawn) for step, panel in panels.items()}

    def _films(self, key: str, images: pa.Table, told: Sequence[Record]) -> list[Record]:
        panel, rows = self.panels[FILTER.study], rows_of_part(FILTER.rows, images, {})
        vote = panel.vote(rows, draw_views(self.data, key, panel.view_requests(rows))).get("view")
        films = []
        for at, row in enumerate(rows):
            film: Record = {**_whose(told[row.at]), "bundles": panel.hashes}
            if vote is None:  # without a filter the films that have joints are taken for hands
                film["fate"] = "kept" if row.image_id in self.positions else "no-model"
            else:
                view = VIEWS[int(vote.answers[at])]
                film |= {"view": view, **{f"{name}_p": float(p) for name, p in zip(VIEWS, vote.p[at])}}
                film["disagreement"] = float(vote.apart[at]) if len(panel.models) > 1 else None
                film["fate"] = "kept" if view in KEEPS else "no-hand"
            films.append(film)
        return films

    def _scans(
        self, scans: Sequence[Row], votes: Mapping[str, Mapping[str, Vote]], told: Sequence[Record]
    ) -> list[Record]:
        panel, asked = self.panels[GRADES.study], votes[GRADES.study]
        rows: list[Record] = []
        for at, scan in enumerate(scans):
            image = told[scan.at]
            row: Record = {
                **_whose(image), "frame": image["frame"], "doppler": image["doppler"], "bundles": panel.hashes,
            }  # fmt: skip
            row |= {name: self.scanned.get(scan.image_id, {}).get(name) for name in PLACE}
            for target in panel.study.targets:
                if target.name in asked and (p := asked[target.name].probabilities_at(at)) is not None:
                    row |= frame_grade(target.name, p, int(asked[target.name].answers[at]), image["doppler"])
            rows.append(row)
        return place_scans(rows)

    def _ledger(self, told: Sequence[Record], tables: Mapping[str, Sequence[Record]]) -> list[Record]:
        """What became of every image, and why."""
        films = {film["image_id"]: film for film in tables["films"]}
        graded = bool(self.panels[GRADES.study].models)
        looked = all(self.panels[study].finders for study in (FILTER.study, FINDS.study))
        rows = []
        for image in told:
            name = image["image_id"]
            hands = sum(hand["image_id"] == name for hand in tables["hands"])
            joints = sum(joint["image_id"] == name and "x" in joint for joint in tables["joints"])
            fate, why = _film_fate(films[name], hands, looked) if name in films else _scan_fate(graded)
            rows.append({"image_id": name, "fate": fate, "why": why, "hands": hands, "joints": joints})
        return rows


def places(labels: pa.Table) -> Positions:
    """Where the labels say that the joints of hands are; feet have no table."""
    found = positions_from_labels({axis: consensus(labels, POSITION_STUDY, axis, ordered=True) for axis in ("x", "y")})
    hands = {image: [place for place in held if SITES[place.site].part == "hand"] for image, held in found.items()}
    return {image: held for image, held in hands.items() if held}


def scan_places(labels: pa.Table) -> dict[str, dict[str, str]]:
    """The side and the site that labels of a scan name, as far as they do."""
    found: dict[str, dict[str, str]] = {}
    for row in labels.select(["image_id", "study", *PLACE]).to_pylist():
        named = {name: row[name] for name in PLACE if row[name]}
        if row["study"] == GRADES.study and named:
            found[row["image_id"]] = {**found.get(row["image_id"], {}), **named}
    return found


def place_scans(rows: Sequence[Record]) -> list[Record]:
    """Frames, in the order of their tables, with their scan's side and site, which labels name on one of them."""
    found: list[Record] = []
    for _, mine in groupby(rows, key=lambda row: (row["patient"], row["visit_date"])):
        found += [{**frame, **scan_place(scan)} for scan in split_into_scans(list(mine)) for frame in scan]
    return found


def _whose(image: Record) -> Record:
    return {name: image[name] for name in ("image_id", "patient", "visit_date")}


def _film_fate(film: Record, hands: int, looked: bool) -> tuple[str, str]:
    if film["fate"] == "no-model":
        return "no-model", f"no model of {FILTER.study}, and nothing says where its joints are"
    why = f"{FILTER.study}: {film['view']}" if film.get("view") else "the labels name its joints"
    if film["fate"] == "no-hand":
        return "no-hand", why
    if hands:
        return "scored", why
    return "no-joints", f"{why}; {'models found no hand on it' if looked else 'nothing says where its joints are'}"


def _scan_fate(graded: bool) -> tuple[str, str]:
    return ("scored", GRADES.study) if graded else ("no-model", f"no model of {GRADES.study}")
