"""What train, tune and evaluate begin with: the rows of a study with their arrays, agreed labels and frozen split."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray

from rajobs import studies
from rajobs.imaging.rows import (
    COLUMNS,
    POSITION_STUDY,
    VISIT_COLUMNS,
    Positions,
    Visit,
    positions_from_labels,
    rows_of_part,
    visits_of_clinic,
)
from rajobs.jobs import cluster, console
from rajobs.learning.ensemble import Dataset, member_points
from rajobs.learning.points import UNKNOWN, points_in_view
from rajobs.learning.recipe import Recipe
from rajobs.learning.samples import prepared
from rajobs.learning.study import POINT_CLASSES, Study
from rajobs.records.errors import DataError, NotThereYet, StoreError
from rajobs.records.label_consensus import consensus
from rajobs.records.manifest import read_manifest
from rajobs.records.splits import (
    LabelledImage,
    PrintedPatients,
    PrintedSplit,
    check_mode,
    clean_split,
    images_left_out,
    published_split,
)
from rajobs.records.store import Store, open_store
from rajobs.records.tables.parquet_parts import list_parts, read_file, read_part, read_table, to_parquet
from rajobs.records.tables.schemas import CLINIC, IMAGES, LABELS, SPLIT

SPLIT_SEED = 0
PUBLISHED = "-published"
LABELLED_BY_SITE = ("hands", "joints")  # rows that labels tell apart by side and site; all others are whole images
_NOWHERE = {"split": "", "group": ""}  # of an image outside the split


@dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Ingested data as a study meets them."""

    store: Store
    study: Study
    data_hash: str  # of the manifest: which input this was
    key: str  # fingerprint of the pseudonyms' key
    labels: Mapping[str, Mapping[tuple[str, str | None, str | None], str]]  # target -> place -> value
    positions: Positions
    readings: pa.Table


def open_labelled_data(data: str, study: Study) -> LabelledData:
    """The data of an ingest, with the labels that the study needs; whatever is missing is named."""
    store = open_store(data)
    manifest = read_manifest(store)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{data} holds no finished ingest; run `rajobs ingest SRC {data} --labels FILE` first")
    readings = _told_by_the_clinic(store, study) if study.rows == "visits" else read_table(store, "labels", LABELS)
    whole = study.rows not in LABELLED_BY_SITE
    labels = {t.name: consensus(readings, study.name, t.name, ordered=t.ordered, whole=whole) for t in study.targets}
    cut = study.rows in ("hands", "joints") or study.points is not None  # by where the labels say that joints are
    places = {axis: consensus(readings, POSITION_STUDY, axis, ordered=True) if cut else {} for axis in ("x", "y")}
    if study.points is not None and study.points.name in labels:
        labels[study.points.name] = dict.fromkeys(places["x"], POINT_CLASSES[-1])
    _check_values(study, labels)
    if not any(labels.values()):
        there = sorted(set(readings.column("study").to_pylist()))
        shown = study.points.name if study.points is not None else ""
        wanted = " or ".join("x and y" if target.name == shown else target.name for target in study.targets)
        raise DataError(
            f"{data} has no labels {wanted} of {study.name}; it has labels of {', '.join(there) or 'nothing'}"
        )
    return LabelledData(
        store=store, study=study, data_hash=manifest["hash"], key=manifest["key"], labels=labels,
        positions=positions_from_labels(places), readings=readings,
    )  # fmt: skip


def _told_by_the_clinic(store: Store, study: Study) -> pa.Table:
    """Visits have their labels in the clinic table itself, in columns of the targets' names."""
    found = read_clinic_visits(store)
    if not found:
        raise StoreError(
            f"{store.uri} holds no clinic table, which {study.name} learns from; ingest it with --clinic FILE"
        )
    return LABELS.rows([
        {
            "image_id": visit.image_id, "study": study.name, "target": target.name, "reader": "consensus",
            "value": f"{value:g}" if isinstance(value, float) else value,
        }
        for visit in found
        for target in study.targets
        if (value := visit.findings.get(target.name)) is not None
    ])  # fmt: skip


def read_clinic_visits(store: Store, columns: Sequence[str] = ()) -> list[Visit]:
    """All visits, with all that was found or with some columns of it."""
    chosen = [name for name in CLINIC.names if not columns or name in (*VISIT_COLUMNS, *columns)]
    return [
        visit
        for key in list_parts(store, "clinic")
        for visit in visits_of_clinic(read_part(store, key, CLINIC, chosen))
    ]


def _check_values(study: Study, labels: Mapping[str, Mapping[Any, str]]) -> None:
    """Say how many labels have a value that their target does not have; they count as missing."""
    for target in study.targets:
        wrong = sum(value not in target.classes for value in labels[target.name].values())
        if wrong:
            console.line(
                f"{wrong} labels {target.name} have a value that is none of {', '.join(target.classes)}: left out"
            )


def prepare(source: LabelledData, settings: Mapping[str, Any], address: str | None) -> prepared.Prepared:
    """The study's arrays in one view; those that are not there yet are drawn on the cluster."""
    study, store = source.study, source.store
    todo = prepared.missing(store, study, settings, source.positions)
    if todo:
        with (
            cluster.connected(address),
            console.Progress(f"drawing {study.rows} for {study.name}", len(todo)) as progress,
        ):
            _draw_on_cluster(source, settings, todo, progress)
    return prepared.read_prepared(store, study, settings, source.positions)


def _draw(uri: str, key: str, study: str, settings: dict[str, Any], positions: Positions) -> int:
    return prepared.prepare(open_store(uri), key, studies.find(study), settings, positions)


def _draw_on_cluster(
    source: LabelledData, settings: Mapping[str, Any], todo: Sequence[str], progress: console.Progress
) -> None:
    draw = ray.remote(num_cpus=1)(_draw)
    shared = ray.put(source.positions)
    waiting = [draw.remote(source.store.uri, key, source.study.name, dict(settings), shared) for key in todo]
    while waiting:
        ready, waiting = ray.wait(waiting)
        ray.get(ready)
        progress.step(len(ready))


def frozen_split(source: LabelledData, mode: str) -> tuple[pa.Table, str]:
    """The frozen split of a study and mode, made at the first asking, and its hash."""
    check_mode(mode)
    key = f"splits/{source.study.name}{'' if mode == 'clean' else PUBLISHED}.parquet"
    if source.store.stat(key) is None:
        source.store.put(key, to_parquet(_make_split(source, mode), SPLIT))
        split = read_file(source.store, key, SPLIT)
    else:
        split = read_file(source.store, key, SPLIT)
        _tell_of_later_labels(source, mode, split, key)
    return split, hashlib.sha256(source.store.get(key)).hexdigest()[:16]


def _tell_of_later_labels(source: LabelledData, mode: str, split: pa.Table, key: str) -> None:
    """What the labels say now that a split which was frozen before does not follow."""
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))
    given = _given(source)
    # The paper's counts leave images out on purpose.
    new = (_strata(source).keys() if mode == "clean" else given.keys()) - part_of.keys()
    if new:
        items, _ = _items(source)
        new &= {item.image_id for item in items}
        new -= images_left_out(items, part_of) if mode == "clean" else set()
    moved = sum(part_of.get(name, part) != part for name, part in given.items())
    what = "visits" if source.study.rows == "visits" else "images"
    told = [f"{len(new)} labelled {what} are not in it"] if new else []
    told += [f"{moved} {what} keep another part than the labels' split gives them"] if moved else []
    if told:
        console.line(
            f"{source.study.name}: the split is frozen in {key}: {' and '.join(told)}. To split anew, remove that file "
            f"from {source.store.uri} and train anew; models of the old split can't be judged on these data any more"
        )


def _given(source: LabelledData) -> dict[str, str]:
    """The part of each image to which the labels' own split gives one."""
    return {
        row["image_id"]: row["split"]
        for row in source.readings.select(["image_id", "study", "split"]).to_pylist()
        if row["study"] == source.study.name and row["split"]
    }


def _items(source: LabelledData) -> tuple[list[LabelledImage], dict[str, str]]:
    """What a split needs to know of the labelled images, and the patient of every image."""
    strata, given = _strata(source), _given(source)
    items, patient_of = [], {}
    for name, patient, derived_from in _whose(source.store):
        patient_of[name] = patient
        if name in strata:
            items.append(LabelledImage(
                image_id=name, patient=patient, derived_from=derived_from, stratum=strata[name],
                user_part=given.get(name),
            ))  # fmt: skip
    return items, patient_of


def _make_split(source: LabelledData, mode: str) -> pa.Table:
    study = source.study
    items, patient_of = _items(source)
    if mode == "clean":
        return _clean(source, items, patient_of)
    if study.printed_split is None and not _given(source):
        raise NotThereYet(
            f"{study.name} has no published split of its own; give one in the labels' column split, or use --mode clean"
        )
    folded = [LabelledImage(**{**vars(item), "stratum": study.folds.get(item.stratum, item.stratum)}) for item in items]
    if study.rows == "visits" and study.printed_split is not None:
        return _published_visits(read_clinic_visits(source.store, VISIT_COLUMNS), folded, study.printed_split)
    return published_split(folded, study.printed_split, SPLIT_SEED)


def _whose(store: Store) -> Iterator[tuple[str, str, str | None]]:
    """Of every image and visit its id, its patient and the image it derives from."""
    for part in list_parts(store, "images"):
        for image in read_part(store, part, IMAGES, ["image_id", "patient", "derived_from"]).to_pylist():
            yield image["image_id"], image["patient"], image["derived_from"]
    for visit in read_clinic_visits(store, VISIT_COLUMNS):
        yield visit.image_id, visit.patient, None  # a variant's patient is the one whom it derives from


def _published_visits(
    found: Sequence[Visit], items: Sequence[LabelledImage], printed: PrintedSplit | PrintedPatients
) -> pa.Table:
    """000's split: each patient's first visit by the paper's counts. Its leak: variants of the patients to learn from
    fall on both sides of its 80/20; variants of those who judge take no part."""
    first: dict[str, str] = {}
    for visit in sorted(found, key=lambda visit: visit.day):
        if visit.derived_from is None:
            first.setdefault(visit.patient, visit.image_id)
    split = published_split([item for item in items if item.image_id in set(first.values())], printed, SPLIT_SEED)
    rows = split.to_pylist()
    learns = {row["image_id"] for row in rows if row["split"] != "test"}
    labelled = {item.image_id for item in items}
    rng = np.random.default_rng(SPLIT_SEED)
    for visit in sorted(found, key=lambda visit: visit.image_id):
        if visit.derived_from and visit.image_id in labelled and first.get(visit.patient) in learns:
            part = "validation" if rng.random() < 0.2 else "train"
            rows.append({"image_id": visit.image_id, "group": visit.image_id, "split": part})
    return SPLIT.rows(sorted(rows, key=lambda row: str(row["image_id"])))


def _clean(source: LabelledData, items: Sequence[LabelledImage], patient_of: Mapping[str, str]) -> pa.Table:
    """A patient stands in one part, whichever study asks."""
    held: dict[str, str] = {}
    for entry in source.store.list("splits/"):
        if not entry.key.endswith(f"{PUBLISHED}.parquet"):
            for row in read_file(source.store, entry.key, SPLIT).to_pylist():
                held.setdefault(patient_of.get(row["image_id"], ""), row["split"])
    try:
        return _told(clean_split(items, SPLIT_SEED, held), items)
    except DataError:
        split = clean_split(items, SPLIT_SEED)  # fails again where the labels are to blame
    console.line(
        f"{source.study.name}: the other studies' splits leave it a part without a patient, so its patients are split "
        "anew; don't start its networks from another study's weights"
    )
    return split


def _told(split: pa.Table, items: Sequence[LabelledImage]) -> pa.Table:
    """The split; where it leaves rows out, why."""
    if split.num_rows < len(items):
        console.line(
            f"{len(items) - split.num_rows} images take no part: what derives from them, or from their patients', "
            "stands in another part of the labels' split"
        )
    return split


def _strata(source: LabelledData) -> dict[str, str]:
    """An image's class for stratifying: its first target's label, the highest where it has several (joints, hands).

    Of an image without one the next target's label that it has, by the target's name: it takes part all the same.
    """
    strata: dict[str, str] = {}
    for number, target in enumerate(source.study.targets):
        highest: dict[str, int] = {}
        for (image, _, _), value in source.labels[target.name].items():
            if value in target.classes:
                highest[image] = max(highest.get(image, 0), target.classes.index(value))
        for image, at in highest.items():
            strata.setdefault(image, f"{target.name} {target.classes[at]}" if number else target.classes[at])
    return strata


def build_dataset(
    source: LabelledData, arrays: prepared.Prepared, split: pa.Table, recipe: Recipe, budget: float = 1.0
) -> Dataset:
    """Arrays, labels and parts put side by side, a row each."""
    rows = arrays.rows.select(["image_id", "side", "site"]).to_pylist()
    split_rows = {row["image_id"]: row for row in split.to_pylist()}
    labels = {
        target.name: _values(source.labels[target.name], source.study.rows, rows) for target in source.study.targets
    }
    held = [split_rows.get(row["image_id"], _NOWHERE) for row in rows]
    parts_ = np.array([each["split"] for each in held], dtype=np.str_)
    groups = np.array([each["group"] for each in held], dtype=np.str_)
    shows = any(member_points(source.study, member) for member in recipe.members)
    points = _points(source, recipe.view) if shows else None
    return Dataset(
        study=source.study, arrays=arrays, labels=labels, points=points, parts=parts_, groups=groups, budget=budget
    )


def _points(source: LabelledData, settings: Mapping[str, Any]) -> NDArray[np.float32]:
    """Where the labels' points lie in each row's array; UNKNOWN in films of which nobody has said it."""
    study, found = source.study, []
    assert study.points is not None and study.view.place is not None
    chosen = study.view.with_settings(settings)
    for key in list_parts(source.store, "images"):
        images = read_part(source.store, key, IMAGES, COLUMNS)
        shapes = list(zip(images.column("rows").to_pylist(), images.column("columns").to_pylist()))
        for row in rows_of_part(study.rows, images, source.positions):
            told = source.positions.get(row.image_id, ())
            to_view = study.view.place(row, shapes[row.at], **chosen)
            mine = points_in_view(study.points.point_names, row, told, to_view)
            found.append(mine if told else np.full_like(mine, UNKNOWN))
    return np.stack(found)


def _values(
    labels: Mapping[tuple[str, str | None, str | None], str], kind: str, rows: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """Each row's label: of the hand or the joint, or of the whole image, whatever side and site its label names."""
    if kind in LABELLED_BY_SITE:
        return [labels.get((row["image_id"], row["side"], row["site"] or None)) for row in rows]
    of_image = {image: value for (image, _, _), value in labels.items()}
    return [of_image.get(row["image_id"]) for row in rows]
