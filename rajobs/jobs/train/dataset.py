"""From ingested data to a study's dataset: agreed labels, positions of joints, and arrays drawn on the cluster.

train, tune and evaluate begin here, and so does each worker that trains together with others.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from rajobs import studies
from rajobs.imaging.clinic_visits import VISIT_COLUMNS, Visit, visit_id, visits_of_clinic
from rajobs.imaging.hand_geometry import POSITION_STUDY, Positions, add_crops, positions_from_labels
from rajobs.imaging.rows import CLINIC_TABLE, COLUMNS, LabelPlace, RowKind
from rajobs.jobs import cluster, console
from rajobs.jobs.builtin import NAME
from rajobs.jobs.train.places import (
    Finders,
    complete,
    locate,
    name_sides,
    name_sides_of_readers,
    open_finders,
    places_of,
    read_located,
    silent_films,
)
from rajobs.learning.ensemble import member_points
from rajobs.learning.points import UNKNOWN, points_in_view
from rajobs.learning.recipe import BY_CENTRE, Recipe, Settings
from rajobs.learning.samples import prepared
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.study import POINT_CLASSES, Study
from rajobs.learning.targets import NO, Target
from rajobs.records.errors import DataError, StoreError
from rajobs.records.label_consensus import (
    AXES,
    CROP,
    PRESENT,
    Agreement,
    agree,
    consensus,
    coordinates,
    presence,
)
from rajobs.records.manifest import read_manifest
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, read_table
from rajobs.records.tables.schemas import CLINIC, IMAGES, LABELS

VIEW, ONE_HAND = "view", "unilateral"
"""The label of a film that shows one hand."""

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
    shares: Mapping[str, Mapping[LabelPlace, Mapping[str, float]]]  # of readers by score, where they differ
    positions: Positions
    absent: frozenset[LabelPlace]  # joints that readers say are not there
    finders: Finders | None = None  # where models place some of the joints
    unseen: frozenset[str] = frozenset()  # films that these finders have not looked at yet
    readings: pa.Table  # the labels table, every reader's rows; with the side of a film's only hand


def open_labelled_data(data: str, study: Study, finders: str = NAME, mode: str = "clean") -> LabelledData:
    """The data of an ingest with the labels that the study needs; an error names what is missing.

    Joints are placed by labels, else by what `finders` have seen so far (see `place_joints`). In published mode readers
    may agree in another way (`Study.majority`).
    """
    store = open_store(data)
    manifest = read_manifest(store)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{data} holds no finished ingest; run `rajobs ingest SRC {data} --labels FILE` first")
    rows = study.rows
    readings = labels_of_clinic(store, study) if rows.table == CLINIC_TABLE else read_table(store, "labels", LABELS)
    agreed = {target.name: _agreed_labels(readings, study, target, mode) for target in study.targets}
    labels = {name: agreement.values for name, agreement in agreed.items()}
    needs_positions = rows.cut_by_positions or study.points is not None
    places, absent = agreed_places(readings) if needs_positions else ({axis: {} for axis in AXES}, frozenset())
    if study.points is not None and study.points.name in labels:
        labels[study.points.name] = dict.fromkeys(places["x"], POINT_CLASSES[-1])
    _report_ties({name: agreement.without_majority for name, agreement in agreed.items()})
    _report_unknown_values(study, labels)
    if not any(labels.values()):
        raise DataError(f"{data} has no labels {_label_names(study)} of {study.name}; {_labelled_studies(readings)}")
    source = LabelledData(
        store=store, study=study, data_hash=manifest["hash"], key=manifest["key"], labels=labels,
        shares={name: agreement.shares for name, agreement in agreed.items()},
        positions=add_crops(positions_from_labels(places), _crops(readings, rows)), absent=absent, readings=readings,
    )  # fmt: skip
    return _with_located_joints(source, finders) if study.cut_by_places else source


def _with_located_joints(source: LabelledData, models: str) -> LabelledData:
    """The data with joints where models see them, on films whose labelled hands or joints no label places."""
    labelled = {place for of_target in source.labels.values() for place in of_target}
    silent = silent_films(source.study.rows, labelled, places_of(source.positions) | source.absent)
    finders = open_finders(models) if silent else None
    located = read_located(source.store, finders, silent) if finders is not None else {}
    positions = complete(source.positions, located, labelled, source.absent)
    return replace(
        source, positions=positions, finders=finders, unseen=silent - located.keys(),
        labels={name: name_sides(values, positions) for name, values in source.labels.items()},
        shares={name: name_sides(values, positions) for name, values in source.shares.items()},
        readings=name_sides_of_readers(source.readings, source.study.name, positions),
    )  # fmt: skip


def open_placed_data(data: str, study: Study, finders: str, address: str | None, mode: str = "clean") -> LabelledData:
    """As `open_labelled_data`, after the finders have looked at every film that needs it; says what stays unplaced."""
    source = open_labelled_data(data, study, finders, mode)
    if source.finders is not None and source.unseen:
        locate(source.store, source.finders, source.unseen, address)
        source = open_labelled_data(data, study, finders, mode)
    if study.cut_by_places:
        placed = places_of(source.positions)
        for target, values in source.labels.items():
            lost = sum(study.rows.label_place(*place) not in placed for place in values)
            if lost:
                console.line(
                    f"{lost} labels {target} are of {study.rows} that neither labels nor models place: left out"
                )
    return source


def count_by_placing(source: LabelledData, rows: pa.Table) -> dict[str, int]:
    """How many of some rows were cut where labels place their joints, and how many where models do."""
    by_models = {
        (image, place.side, site)
        for image, of_film in source.positions.items()
        for place in of_film
        for site in (place.site, None)
        if place.confidence is not None
    }
    chosen = rows.select(["image_id", "side", "site"]).to_pylist()
    models = sum(source.study.rows.label_place(*row.values()) in by_models for row in chosen)
    return {"labels": len(chosen) - models, "models": models}


def _agreed_labels(readings: pa.Table, study: Study, target: Target, mode: str) -> Agreement:
    """The readers' agreement on a target, but for places that they call not assessable: a score there is a guess."""
    whole = not study.rows.cut_by_positions
    by_median = target.ordered and not (mode == "published" and target.name in study.majority)
    agreed = agree(readings, study.name, target.name, ordered=by_median, whole=whole)
    if study.assessable is None or study.assessable == target.name:
        return agreed
    assessable = consensus(readings, study.name, study.assessable, ordered=False, whole=whole)
    values = {place: value for place, value in agreed.values.items() if assessable.get(place) != NO}
    return replace(agreed, values=values)


def agreed_places(readings: pa.Table) -> tuple[Labels, frozenset[LabelPlace]]:
    """Coordinates of the joints that are there, by axis; and the joints that are not."""
    there = presence(readings, POSITION_STUDY)
    _report_ties({PRESENT: sum(value is None for value in there.values())})
    absent = frozenset(place for place, value in there.items() if value == NO)
    return coordinates(readings, POSITION_STUDY, there), absent


def _crops(readings: pa.Table, rows: RowKind) -> Collection[LabelPlace]:
    """Pictures that are crops of a joint, for studies of joints; on no other row are they of use."""
    return consensus(readings, POSITION_STUDY, CROP, ordered=False) if rows.labels_name_site else ()


def _report_ties(ties: Mapping[str, int]) -> None:
    """Say how many places have readers without a majority for a class."""
    for target, count in ties.items():
        if count:
            console.line(f"{count} labels {target} are left out: no majority of their readers agrees on one class")


def _label_names(study: Study) -> str:
    points = study.points.name if study.points is not None else ""
    return " or ".join("x and y" if target.name == points else target.name for target in study.targets)


def _labelled_studies(readings: pa.Table) -> str:
    labelled = sorted(set(readings.column("study").to_pylist()))
    return f"it has labels of {', '.join(labelled) or 'nothing'}"


def labels_of_clinic(store: Store, study: Study) -> pa.Table:
    """Labels of visits, which stand in the clinic table in columns named like the targets, one row for each reader.

    Rows that name no reader are of a reader each.
    """
    if not list_parts(store, CLINIC_TABLE):
        raise DataError(
            f"{store.uri} holds no clinic table, which {study.name} learns from; ingest it with --clinic FILE"
        )
    names = [target.name for target in study.targets]
    rows = read_table(store, CLINIC_TABLE, CLINIC, ["patient", "visit_date", "reader", *names]).to_pylist()
    return LABELS.rows([
        {
            "image_id": visit_id(row["patient"], row["visit_date"]), "study": study.name, "target": name,
            "reader": row["reader"] or f"row {number}",
            "value": f"{value:g}" if isinstance(value, float) else value,
        }
        for number, row in enumerate(rows)
        for name in names
        if (value := row[name]) is not None and value == value  # a CSV may say nan
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
    draw_missing(source, settings, address)
    return prepared.read_prepared(source.store, source.study, settings, source.positions)


def draw_missing(source: LabelledData, settings: Settings, address: str | None) -> None:
    """Draw the arrays of a view that are not there yet, on the cluster."""
    study = source.study
    keys = prepared.missing(source.store, study, settings, source.positions)
    if keys:
        with (
            cluster.connected(address),
            console.Progress(f"drawing {study.rows} for {study.name}", len(keys)) as progress,
        ):
            _draw_on_cluster(source, settings, keys, progress)


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
    """Arrays, labels and parts of the split, one entry per row; other sites than the recipe's have no part."""
    study, rows = source.study, arrays.rows.select(["image_id", "side", "site"]).to_pylist()
    places = [study.rows.label_place(row["image_id"], row["side"], row["site"]) for row in rows]
    split_rows = {row["image_id"]: row for row in split.to_pylist()}
    outside = {"split": "", "group": ""}
    shares = {target: _by_row(source, of_target, places) for target, of_target in source.shares.items()}
    in_split = [
        outside if recipe.sites and row["site"] not in recipe.sites else split_rows.get(row["image_id"], outside)
        for row in rows
    ]
    shows_points = any(member_points(study, member) for member in recipe.members)
    return Dataset(
        study=study,
        arrays=arrays,
        labels={target.name: _labels_of(source, target.name, places) for target in study.targets},
        shares={target: by_row for target, by_row in shares.items() if by_row},
        points=_points_in_views(source, recipe.view) if shows_points else None,
        parts=np.array([row["split"] for row in in_split], dtype=np.str_),
        groups=np.array([row["group"] for row in in_split], dtype=np.str_),
        centres=_centres(source, [row["image_id"] for row in rows]) if recipe.folds == BY_CENTRE else None,
        budget=budget,
    )


def _centres(source: LabelledData, images: Sequence[str]) -> NDArray[np.str_]:
    """The centre of each image; a visit to the clinic has none."""
    centres: dict[str, str | None] = {}
    for key in list_parts(source.store, "images"):
        centres |= dict(zip(*read_part(source.store, key, IMAGES, ["image_id", "centre"]).to_pydict().values()))
    return np.array([centres.get(name) or "" for name in images], np.str_)


def _labels_of(source: LabelledData, target: str, places: Sequence[LabelPlace]) -> list[str | None]:
    by_place = {source.study.rows.label_place(*place): value for place, value in source.labels[target].items()}
    return [by_place.get(place) for place in places]


def _by_row(
    source: LabelledData, of_target: Mapping[LabelPlace, Mapping[str, float]], places: Sequence[LabelPlace]
) -> dict[int, Mapping[str, float]]:
    """The shares of the rows whose readers differ, by the row's number."""
    by_place = {source.study.rows.label_place(*place): by_class for place, by_class in of_target.items()}
    return {row: by_place[place] for row, place in enumerate(places) if place in by_place}


def _points_in_views(source: LabelledData, settings: Settings) -> NDArray[np.float32]:
    """Where the labelled points lie in each row's array, NaN for those that are not there; UNKNOWN without a label."""
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
            absent = [
                _is_absent(source, row.image_id, side or row.side, site) for side, site in study.points.point_names
            ]
            in_view[np.isnan(in_view).any(axis=1) & ~np.array(absent)] = UNKNOWN
            points.append(in_view)
    return np.stack(points)


def _is_absent(source: LabelledData, image: str, side: str | None, site: str) -> bool:
    """Whether labels say that a joint is not there: by itself, or as one of a second hand on a film of one hand."""
    if (image, side, site) in source.absent:
        return True
    sides = {place.side for place in source.positions.get(image, ())}
    return source.labels.get(VIEW, {}).get((image, None, None)) == ONE_HAND and len(sides) == 1 and side not in sides
