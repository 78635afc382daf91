"""What train, tune and evaluate begin with: the rows of a study with their arrays, agreed labels and frozen split."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from rajobs import studies
from rajobs.imaging.rows import Positions, positions_from_labels
from rajobs.jobs import cluster, say
from rajobs.learning import prepared
from rajobs.learning.ensemble import Lesson
from rajobs.learning.study import Study
from rajobs.records.errors import DataError, NotThereYet, StoreError, UnknownName
from rajobs.records.labels import consensus
from rajobs.records.manifest import read_manifest
from rajobs.records.parts import parts, read_file, read_part, read_table, to_parquet
from rajobs.records.schema import IMAGES, LABELS, SPLIT
from rajobs.records.splits import MODES, Item, clean_split, published_split
from rajobs.records.store import Store, open_store

SPLIT_SEED = 0
PUBLISHED = "-published"
_NOWHERE = {"split": "", "group": ""}  # of an image outside the split


@dataclass(frozen=True, kw_only=True)
class Source:
    """Ingested data as a study meets them."""

    store: Store
    study: Study
    data_hash: str  # of the manifest: which input this was
    key: str  # fingerprint of the pseudonyms' key
    labels: Mapping[str, Mapping[tuple[str, str | None, str | None], str]]  # target -> place -> value
    positions: Positions
    readings: pa.Table


def open_source(data: str, study: Study) -> Source:
    """The data of an ingest, with the labels that the study needs; whatever is missing is named."""
    store = open_store(data)
    manifest = read_manifest(store)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{data} holds no finished ingest; run `rajobs ingest SRC {data} --labels FILE` first")
    if study.rows == "visits":
        raise NotThereYet(f"{study.name} learns from visits, which this version cannot prepare")
    readings = read_table(store, "labels", LABELS)
    labels = {t.name: consensus(readings, study.name, t.name, ordered=t.ordered) for t in study.targets}
    _check_values(study, labels)
    if not any(labels.values()):
        there = sorted(set(readings.column("study").to_pylist()))
        wanted = " or ".join(target.name for target in study.targets)
        raise DataError(
            f"{data} has no labels {wanted} of {study.name}; it has labels of {', '.join(there) or 'nothing'}"
        )
    places = {axis: consensus(readings, "joint_detection", axis, ordered=True) for axis in ("x", "y")}
    return Source(
        store=store, study=study, data_hash=manifest["hash"], key=manifest["key"], labels=labels,
        positions=positions_from_labels(places), readings=readings,
    )  # fmt: skip


def _check_values(study: Study, labels: Mapping[str, Mapping[Any, str]]) -> None:
    """Say how many labels have a value that their target does not have; they count as missing."""
    for target in study.targets:
        wrong = sum(value not in target.classes for value in labels[target.name].values())
        if wrong:
            say.line(f"{wrong} labels {target.name} have a value that is none of {', '.join(target.classes)}: left out")


def prepare(source: Source, settings: Mapping[str, Any], address: str | None) -> prepared.Prepared:
    """The study's arrays in one view; those that are not there yet are drawn on the cluster."""
    study, store = source.study, source.store
    todo = prepared.missing(store, study, settings, source.positions)
    if todo:
        with cluster.connected(address), say.Progress(f"drawing {study.rows} for {study.name}", len(todo)) as progress:
            _draw_on_cluster(source, settings, todo, progress)
    return prepared.read_prepared(store, study, settings, source.positions)


def _draw(uri: str, key: str, study: str, settings: dict[str, Any], positions: Positions) -> int:
    return prepared.prepare(open_store(uri), key, studies.find(study), settings, positions)


def _draw_on_cluster(source: Source, settings: Mapping[str, Any], todo: Sequence[str], progress: say.Progress) -> None:
    draw = ray.remote(num_cpus=1)(_draw)
    shared = ray.put(source.positions)
    waiting = [draw.remote(source.store.uri, key, source.study.name, dict(settings), shared) for key in todo]
    while waiting:
        ready, waiting = ray.wait(waiting)
        ray.get(ready)
        progress.step(len(ready))


def split_of(source: Source, mode: str) -> tuple[pa.Table, str]:
    """The frozen split of a study and mode, made at the first asking, and its hash."""
    if mode not in MODES:
        raise UnknownName.among("mode", mode, MODES)
    key = f"splits/{source.study.name}{'' if mode == 'clean' else PUBLISHED}.parquet"
    if source.store.stat(key) is None:
        source.store.put(key, to_parquet(_make_split(source, mode), SPLIT))
    return read_file(source.store, key, SPLIT), hashlib.sha256(source.store.get(key)).hexdigest()[:16]


def _make_split(source: Source, mode: str) -> pa.Table:
    study = source.study
    strata = _strata(source)
    given = {
        row["image_id"]: row["split"]
        for row in source.readings.select(["image_id", "study", "split"]).to_pylist()
        if row["study"] == study.name and row["split"]
    }
    items, patient_of = [], {}
    for part in parts(source.store, "images"):
        for image in read_part(source.store, part, IMAGES, ["image_id", "patient", "derived_from"]).to_pylist():
            patient_of[image["image_id"]] = image["patient"]
            if image["image_id"] in strata:
                name = image["image_id"]
                items.append(Item(
                    image_id=name, patient=image["patient"], derived_from=image["derived_from"],
                    stratum=strata[name], given=given.get(name),
                ))  # fmt: skip
    if mode == "clean":
        return _clean(source, items, patient_of)
    if study.printed_split is None:
        raise NotThereYet(f"{study.name} has no published split yet; use --mode clean")
    folded = [Item(**{**vars(item), "stratum": study.folds.get(item.stratum, item.stratum)}) for item in items]
    return published_split(folded, study.printed_split, SPLIT_SEED)


def _clean(source: Source, items: Sequence[Item], patient_of: Mapping[str, str]) -> pa.Table:
    """A patient stands in one part, whichever study asks."""
    held: dict[str, str] = {}
    for entry in source.store.list("splits/"):
        if not entry.key.endswith(f"{PUBLISHED}.parquet"):
            for row in read_file(source.store, entry.key, SPLIT).to_pylist():
                held.setdefault(patient_of.get(row["image_id"], ""), row["split"])
    try:
        return clean_split(items, SPLIT_SEED, held)
    except DataError:
        split = clean_split(items, SPLIT_SEED)  # fails again where the labels are to blame
    say.line(
        f"{source.study.name}: the other studies' splits leave it a part without a patient, so its patients are split "
        "anew; don't start its networks from another study's weights"
    )
    return split


def _strata(source: Source) -> dict[str, str]:
    """An image's class for stratifying: its first target's label, the highest where it has several (joints, hands)."""
    target = source.study.targets[0]
    strata: dict[str, str] = {}
    for (image, _, _), value in source.labels[target.name].items():
        if value in target.classes:
            held = strata.get(image)
            strata[image] = value if held is None else max(held, value, key=target.classes.index)
    return strata


def lesson_of(source: Source, arrays: prepared.Prepared, split: pa.Table, budget: float = 1.0) -> Lesson:
    """Arrays, labels and parts put side by side, a row each."""
    rows = arrays.rows.select(["image_id", "side", "site"]).to_pylist()
    split_rows = {row["image_id"]: row for row in split.to_pylist()}
    labels = {
        target.name: _values(source.labels[target.name], source.study.rows, rows) for target in source.study.targets
    }
    held = [split_rows.get(row["image_id"], _NOWHERE) for row in rows]
    parts_ = np.array([each["split"] for each in held], dtype=np.str_)
    groups = np.array([each["group"] for each in held], dtype=np.str_)
    return Lesson(study=source.study, arrays=arrays, labels=labels, parts=parts_, groups=groups, budget=budget)


def _values(
    labels: Mapping[tuple[str, str | None, str | None], str], kind: str, rows: Sequence[Mapping[str, Any]]
) -> list[str | None]:
    """Each row's label: of the hand or the joint, or of the whole image, whatever side and site its label names."""
    if kind in ("hands", "joints"):
        return [labels.get((row["image_id"], row["side"], row["site"] or None)) for row in rows]
    of_image = {image: value for (image, _, _), value in labels.items()}
    return [of_image.get(row["image_id"]) for row in rows]
