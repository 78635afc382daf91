"""One worker of score: its models are loaded once, then it takes part after part. Pixels stay within it.

The filter sees previews alone. On the films that it passes, labels or models place hands and joints, and every study
that declares a score step is asked about its rows. A film's pixels are read and decoded once for all models.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa

from rajobs.imaging import rows as row_kinds
from rajobs.imaging.hand_geometry import POSITION_STUDY, Positions, positions_from_labels
from rajobs.imaging.rows import Row, RowKind
from rajobs.jobs.score import joint_spaces
from rajobs.jobs.score.extremity_rows import ExtremityInProgress, extremity_rows, fill_joints
from rajobs.jobs.score.joint_finding import find_joints, keep_examined
from rajobs.jobs.score.joint_spaces import space_columns, space_request
from rajobs.jobs.score.steps import Record, ScoreSteps, Votes
from rajobs.learning.samples.row_arrays import ViewRequest, draw_views
from rajobs.learning.study import Array, Study
from rajobs.learning.voting import Vote, apply_rule
from rajobs.learning.voting_models import BundleLocation, VotingModels
from rajobs.records.anatomy import SITES
from rajobs.records.label_consensus import coordinates, presence
from rajobs.records.scan_grades import PLACE, scan_place, split_into_scans
from rajobs.records.store import open_store
from rajobs.records.store.lease import Fence, numbered
from rajobs.records.tables.parquet_parts import read_part, read_table, to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS

OWNER_COLUMNS = ("image_id", "patient", "visit_date")
_IMAGES = (
    *OWNER_COLUMNS, "derived_from", "modality", "rows", "columns", "laterality", "frame", "doppler", "spacing_mm",
)  # fmt: skip


class ScoreWorker:
    """Takes the key of an images part, and writes its parts of the tables."""

    def __init__(
        self, data: str, out: str, bundles: Mapping[str, Sequence[BundleLocation]], run: int, doubt_scale: float = 1.0
    ) -> None:
        self.data, self.fence, self.doubt_scale = open_store(data), Fence(open_store(out), run), doubt_scale
        self.steps = ScoreSteps.of_all_studies()
        self.tables = self.steps.part_tables
        self.models = {
            study.name: VotingModels.load(study, bundles[study.name])
            for study in self.steps.studies
            if study.rows is not row_kinds.VISITS  # asked in a second stage: jobs/score/tables.py
        }
        ruled = [rule.column for study in self.steps.studies for rule in study.rules]
        self.columns = list(dict.fromkeys((*_IMAGES, *ruled)))
        labels = read_table(self.data, "labels", LABELS)
        self.positions, self.scan_places = hand_positions(labels), scan_places(labels, self.steps)

    def __call__(self, item: Record) -> Record:
        key: str = item["key"]
        images = read_part(self.data, key, IMAGES, self.columns)
        records = images.to_pylist()
        films = self._film_rows(key, images, records)
        kept = {film["image_id"]: film for film in films if film["fate"] == "kept"}
        positions = {**self._find_joints(key, images, kept), **self.positions}
        hands = [
            ExtremityInProgress(row=row, owner=_owner(records[row.at]), film=kept[row.image_id])
            for row in row_kinds.EXTREMITIES.rows_of_part(images, positions)
            if row.image_id in kept
        ]
        scans = row_kinds.ULTRASOUND.rows_of_part(images, {})
        joints = [joint for hand in hands for joint in hand.row.joints]
        rows = {
            row_kinds.JOINTS: joints, row_kinds.EXTREMITIES: [hand.row for hand in hands], row_kinds.ULTRASOUND: scans
        }  # fmt: skip
        drawn = draw_views(self.data, key, {**self._requests(rows), joint_spaces.NAME: space_request(joints)})
        of_joints, of_hands, of_scans = self._votes(drawn, records, rows)
        spaces = [
            space_columns(measured, records[joint.at]["spacing_mm"])
            for measured, joint in zip(drawn[joint_spaces.NAME], joints, strict=True)
        ]
        finder = self._hashes(self.steps.joint_finder)
        fill_joints(hands, of_joints, spaces, [*finder, *of_joints.hashes])
        tables: dict[str, list[Record]] = {
            "films": films,
            "extremities": extremity_rows(
                hands,
                of_hands,
                [*finder, *of_joints.hashes, *of_hands.hashes],
                of_joints.calibration.widths,
                self.doubt_scale,
            ),
            "joints": [joint for hand in hands for joint in hand.joints],
            "ultrasound": self._scan_rows(scans, of_scans, records),
        }
        tables["ledger"] = self._ledger_rows(records, tables)
        name = numbered(key.rpartition("/")[2], self.fence.number)
        for table, schema in self.tables.items():
            self.fence.check()
            self.fence.store.put(f"{table}/{name}", to_parquet(schema.rows(tables[table]), schema))
        return {"images": images.num_rows}

    def _hashes(self, study: Study | None) -> list[str]:
        return self.models[study.name].hashes if study is not None else []

    def _find_joints(self, key: str, images: pa.Table, kept: Mapping[str, Record]) -> Positions:
        """The joints of the kept films whose joints no label places."""
        hand_finder, joint_finder = self.steps.hand_finder, self.steps.joint_finder
        if hand_finder is None or joint_finder is None:
            return {}
        wanted = kept.keys() - self.positions.keys()
        films = [row for row in row_kinds.FILMS.rows_of_part(images, {}) if row.image_id in wanted]
        positions = find_joints(
            self.data, key, images, films, self.models[hand_finder.name], self.models[joint_finder.name]
        )
        return keep_examined(positions, {name for name, film in kept.items() if film.get("view") == "unilateral"})

    def _requests(self, rows: Mapping[RowKind, Sequence[Row]]) -> dict[str, ViewRequest]:
        """The views that the models of some kinds of rows ask for; everything is drawn in one pass over the part."""
        requests: dict[str, ViewRequest] = {}
        for kind, of_kind in rows.items():
            for study in self.steps.filling(kind):
                requests.update(self.models[study.name].view_requests(of_kind))
        return requests

    def _votes(
        self, drawn: Mapping[str, Array], records: Sequence[Record], rows: Mapping[RowKind, Sequence[Row]]
    ) -> list[Votes]:
        """The votes about rows of some kinds, in their order."""
        studies = {kind: self.steps.filling(kind) for kind in rows}
        return [
            Votes(
                studies=tuple(filling),
                by_study={
                    study.name: _by_rules(study, self.models[study.name].vote(rows[kind], drawn), rows[kind], records)
                    for study in filling
                },
                models=self.models,
                schema=self.tables[kind.name],
            )
            for kind, filling in studies.items()
        ]

    def _film_rows(self, key: str, images: pa.Table, records: Sequence[Record]) -> list[Record]:
        films = row_kinds.FILMS.rows_of_part(images, {})
        of_films = {row_kinds.FILMS: films}
        (votes,) = self._votes(draw_views(self.data, key, self._requests(of_films)), records, of_films)
        passes = self._filter_passes(votes)
        rows = []
        for number, film in enumerate(films):
            row: Record = {**_owner(records[film.at]), "bundles": votes.hashes, **votes.fill(number)}
            if passes is None:  # without a filter, films with labelled joints are taken for hands
                row["fate"] = "kept" if film.image_id in self.positions else "no-model"
            else:
                row["fate"] = "kept" if passes[number] else "no-hand"
            rows.append(row)
        return rows

    def _filter_passes(self, votes: Votes) -> list[bool] | None:
        """Whether each film goes on; None if no model filters."""
        for study, _, vote in votes.each():
            if (
                study.scores is not None
                and study.scores.passes
                and set(study.scores.passes) <= set(vote.target.classes)
            ):
                passing = [vote.target.classes.index(name) for name in study.scores.passes]
                passes: list[bool] = np.isin(vote.answers, passing).tolist()
                return passes
        return None

    def _scan_rows(self, scans: Sequence[Row], votes: Votes, records: Sequence[Record]) -> list[Record]:
        rows: list[Record] = []
        for number, scan in enumerate(scans):
            image = records[scan.at]
            labelled = self.scan_places.get(scan.image_id, {})
            rows.append({
                **_owner(image), "frame": image["frame"], "doppler": image["doppler"], "bundles": votes.hashes,
                **{name: labelled.get(name) for name in PLACE}, **votes.fill(number),
            })  # fmt: skip
        return spread_places(rows)

    def _ledger_rows(self, records: Sequence[Record], tables: Mapping[str, Sequence[Record]]) -> list[Record]:
        """What became of every image, and why."""
        films = {film["image_id"]: film for film in tables["films"]}
        filtering = self.steps.filter.name if self.steps.filter is not None else "a filter"
        finders = [self.steps.hand_finder, self.steps.joint_finder]
        searched = all(study is not None and self.models[study.name].finders for study in finders)
        rows = []
        for image in records:
            name = image["image_id"]
            hands = sum(hand["image_id"] == name for hand in tables["extremities"])
            joints = sum(joint["image_id"] == name and "x" in joint for joint in tables["joints"])
            fate, why = (
                _film_fate(films[name], hands, filtering, searched=searched) if name in films else self._scan_fate()
            )
            rows.append({"image_id": name, "fate": fate, "why": why, "extremities": hands, "joints": joints})
        return rows

    def _scan_fate(self) -> tuple[str, str]:
        grading = self.steps.filling(row_kinds.ULTRASOUND)
        names = " and ".join(study.name for study in grading)
        graded = any(self.models[study.name].models for study in grading)
        return ("scored", names) if graded else ("no-model", f"no model of {names}")


def _film_fate(film: Record, hands: int, filtering: str, *, searched: bool) -> tuple[str, str]:
    """What became of a film, and why; `searched`: models looked for hands."""
    if film["fate"] == "no-model":
        return "no-model", f"no model of {filtering}, and nothing says where its joints are"
    why = f"{filtering}: {film['view']}" if film.get("view") else "the labels name its joints"
    if film["fate"] == "no-hand":
        return "no-hand", why
    if hands:
        return "scored", why
    return "no-joints", f"{why}; {'models found no hand on it' if searched else 'nothing says where its joints are'}"


def _by_rules(
    study: Study, votes: Mapping[str, Vote], rows: Sequence[Row], records: Sequence[Record]
) -> dict[str, Vote]:
    """The votes with the answers of the study's rules in the rows where these hold."""
    ruled = dict(votes)
    for rule in study.rules:
        if rule.target in ruled:
            holds = np.array([records[row.at][rule.column] == rule.value for row in rows])
            ruled[rule.target] = apply_rule(ruled[rule.target], rule, holds)
    return ruled


def hand_positions(labels: pa.Table) -> Positions:
    """Where the labels place the joints of hands; feet are not scored yet."""
    places = coordinates(labels, POSITION_STUDY, presence(labels, POSITION_STUDY))
    hands = {
        image: [place for place in positions if SITES[place.site].part == "hand"]
        for image, positions in positions_from_labels(places).items()
    }
    return {image: positions for image, positions in hands.items() if positions}


def scan_places(labels: pa.Table, steps: ScoreSteps) -> dict[str, dict[str, str]]:
    """The side and the site that labels of a scan name, as far as they do, by image_id."""
    grading = {study.name for study in steps.filling(row_kinds.ULTRASOUND)}
    places: dict[str, dict[str, str]] = {}
    for row in labels.select(["image_id", "study", *PLACE]).to_pylist():
        named = {name: row[name] for name in PLACE if row[name]}
        if row["study"] in grading and named:
            places[row["image_id"]] = {**places.get(row["image_id"], {}), **named}
    return places


def spread_places(rows: Sequence[Record]) -> list[Record]:
    """Frames, in the order of their tables, with the side and site that labels name on one frame of their loop."""
    spread: list[Record] = []
    for _, of_day in groupby(rows, key=lambda row: (row["patient"], row["visit_date"])):
        spread += [{**frame, **scan_place(scan)} for scan in split_into_scans(list(of_day)) for frame in scan]
    return spread


def _owner(image: Record) -> Record:
    return {name: image[name] for name in OWNER_COLUMNS}
