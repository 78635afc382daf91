"""From ingested data to a study's dataset: agreed labels, positions of joints, and arrays drawn on the cluster.

train, tune and evaluate begin here, and so does each worker that trains together with others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from rajobs import studies
from rajobs.imaging.clinic_visits import VISIT_COLUMNS, Visit, visits_of_clinic
from rajobs.imaging.hand_geometry import POSITION_STUDY, Positions, positions_from_labels
from rajobs.imaging.rows import CLINIC_TABLE, COLUMNS, LabelPlace
from rajobs.jobs import cluster, console
from rajobs.learning.ensemble import member_points
from rajobs.learning.points import UNKNOWN, points_in_view
from rajobs.learning.recipe import Recipe, Settings
from rajobs.learning.samples import prepared
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import POINT_CLASSES, Study
from rajobs.learning.targets import NO, Target
from rajobs.records.errors import DataError, StoreError
from rajobs.records.label_consensus import consensus
from rajobs.records.manifest import read_manifest
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, read_table
from rajobs.records.tables.schemas import CLINIC, IMAGES, LABELS

Labels = Mapping[str, Mapping[LabelPlace, str]]
"""By target, then by place."""


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Ingested data with the labels of one study."""

    store: Store
    study: Study
    data_hash: str  # of the manifest: which input this was
    key: str  # fingerprint of the pseudonyms' key
    labels: Labels
    positions: Positions
    readings: pa.Table  # the labels table, every reader's rows


def open_labelled_data(data: str, study: Study) -> LabelledData:
    """The data of an ingest with the labels that the study needs; an error names what is missing."""
    store = open_store(data)
    manifest = read_manifest(store)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{data} holds no finished ingest; run `rajobs ingest SRC {data} --labels FILE` first")
    rows = study.rows
    readings = labels_of_clinic(store, study) if rows.table == CLINIC_TABLE else read_table(store, "labels", LABELS)
    labels = {target.name: _agreed_labels(readings, study, target) for target in study.targets}
    needs_positions = rows.cut_by_positions or study.points is not None
    coordinates = {
        axis: consensus(readings, POSITION_STUDY, axis, ordered=True) if needs_positions else {} for axis in ("x", "y")
    }
    if study.points is not None and study.points.name in labels:
        labels[study.points.name] = dict.fromkeys(coordinates["x"], POINT_CLASSES[-1])
    _report_unknown_values(study, labels)
    if not any(labels.values()):
        raise DataError(f"{data} has no labels {_label_names(study)} of {study.name}; {_labelled_studies(readings)}")
    return LabelledData(
        store=store, study=study, data_hash=manifest["hash"], key=manifest["key"], labels=labels,
        positions=positions_from_labels(coordinates), readings=readings,
    )  # fmt: skip


def _agreed_labels(readings: pa.Table, study: Study, target: Target) -> Mapping[LabelPlace, str]:
    """The readers' consensus on a target, but for places that they call not assessable: a score there is a guess."""
    whole = not study.rows.cut_by_positions
    agreed = consensus(readings, study.name, target.name, ordered=target.ordered, whole=whole)
    if study.assessable in (None, target.name):
        return agreed
    assessable = consensus(readings, study.name, study.assessable, ordered=False, whole=whole)
    return {place: value for place, value in agreed.items() if assessable.get(place) != NO}


def _label_names(study: Study) -> str:
    points = study.points.name if study.points is not None else ""
    return " or ".join("x and y" if target.name == points else target.name for target in study.targets)


def _labelled_studies(readings: pa.Table) -> str:
    labelled = sorted(set(readings.column("study").to_pylist()))
    return f"it has labels of {', '.join(labelled) or 'nothing'}"


def labels_of_clinic(store: Store, study: Study) -> pa.Table:
    """Labels of visits, which stand in the clinic table in columns named like the targets."""
    visits = read_clinic_visits(store)
    if not visits:
        raise StoreError(
            f"{store.uri} holds no clinic table, which {study.name} learns from; ingest it with --clinic FILE"
        )
    return LABELS.rows([
        {
            "image_id": visit.image_id, "study": study.name, "target": target.name, "reader": "consensus",
            "value": f"{value:g}" if isinstance(value, float) else value,
        }
        for visit in visits
        for target in study.targets
        if (value := visit.findings.get(target.name)) is not None
    ])  # fmt: skip


def read_clinic_visits(store: Store, columns: Sequence[str] = ()) -> list[Visit]:
    """All visits of the clinic table, with all findings or with those of some columns."""
    chosen = [name for name in CLINIC.names if not columns or name in (*VISIT_COLUMNS, *columns)]
    return [
        visit
        for key in list_parts(store, CLINIC_TABLE)
        for visit in visits_of_clinic(read_part(store, key, CLINIC, chosen))
    ]


def _report_unknown_values(study: Study, labels: Labels) -> None:
    """Say how many labels have a value that their target does not have; they count as missing."""
    for target in study.targets:
        unknown = sum(value not in target.classes for value in labels[target.name].values())
        if unknown:
            classes = ", ".join(target.classes)
            console.line(f"{unknown} labels {target.name} have a value that is none of {classes}: left out")


def prepare(source: LabelledData, settings: Settings, address: str | None) -> prepared.Prepared:
    """The study's arrays in one view; those that are missing are drawn on the cluster."""
    study, store = source.study, source.store
    keys = prepared.missing(store, study, settings, source.positions)
    if keys:
        with (
            cluster.connected(address),
            console.Progress(f"drawing {study.rows} for {study.name}", len(keys)) as progress,
        ):
            _draw_on_cluster(source, settings, keys, progress)
    return prepared.read_prepared(store, study, settings, source.positions)


def _draw_part(uri: str, key: str, study: str, settings: Settings, positions: Positions) -> int:
    return prepared.prepare(open_store(uri), key, studies.find(study), settings, positions)


def _draw_on_cluster(source: LabelledData, settings: Settings, keys: Sequence[str], progress: console.Progress) -> None:
    draw = ray.remote(num_cpus=1)(_draw_part)
    positions = ray.put(source.positions)
    waiting = [draw.remote(source.store.uri, key, source.study.name, dict(settings), positions) for key in keys]
    while waiting:
        ready, waiting = ray.wait(waiting)
        ray.get(ready)
        progress.step(len(ready))


def build_dataset(
    source: LabelledData, arrays: prepared.Prepared, split: pa.Table, recipe: Recipe, budget: float = 1.0
) -> Dataset:
    """Arrays, labels and parts of the split, one entry per row."""
    study, rows = source.study, arrays.rows.select(["image_id", "side", "site"]).to_pylist()
    places = [study.rows.label_place(row["image_id"], row["side"], row["site"]) for row in rows]
    split_rows = {row["image_id"]: row for row in split.to_pylist()}
    outside = {"split": "", "group": ""}
    in_split = [split_rows.get(row["image_id"], outside) for row in rows]
    shows_points = any(member_points(study, member) for member in recipe.members)
    return Dataset(
        study=study,
        arrays=arrays,
        labels={target.name: _labels_of(source, target.name, places) for target in study.targets},
        points=_points_in_views(source, recipe.view) if shows_points else None,
        parts=np.array([row["split"] for row in in_split], dtype=np.str_),
        groups=np.array([row["group"] for row in in_split], dtype=np.str_),
        budget=budget,
    )


def _labels_of(source: LabelledData, target: str, places: Sequence[LabelPlace]) -> list[str | None]:
    by_place = {source.study.rows.label_place(*place): value for place, value in source.labels[target].items()}
    return [by_place.get(place) for place in places]


def _points_in_views(source: LabelledData, settings: Settings) -> NDArray[np.float32]:
    """Where the labelled points lie in each row's array; UNKNOWN in films whose points nobody has labelled."""
    study, points = source.study, []
    assert study.points is not None and study.view.place is not None
    chosen = study.view.with_settings(settings)
    for key in list_parts(source.store, "images"):
        images = read_part(source.store, key, IMAGES, COLUMNS)
        shapes = list(zip(images.column("rows").to_pylist(), images.column("columns").to_pylist()))
        for row in study.rows.rows_of_part(images, source.positions):
            positions = source.positions.get(row.image_id, ())
            to_view = study.view.place(row, shapes[row.at], **chosen)
            in_view = points_in_view(study.points.point_names, row, positions, to_view)
            points.append(in_view if positions else np.full_like(in_view, UNKNOWN))
    return np.stack(points)
