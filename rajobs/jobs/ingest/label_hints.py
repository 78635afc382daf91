"""What labels say about files before they are read: the patient, source and kind of a file without a header."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.ingest_rows import exam_patient, image_id, path_name, source_id
from rajobs.jobs.ingest.inventory import Inventory
from rajobs.jobs.ingest.markers import LabelChanges, shard_of
from rajobs.records.identity import Key
from rajobs.records.labels.label_files import labels_by_path, values_by_image
from rajobs.records.manifest import to_json
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part
from rajobs.records.tables.part_index import stored_sizes
from rajobs.records.tables.schemas import IMAGES, OBJECT_PLACES
from rajobs.records.user_tables import UID


@dataclass(frozen=True, kw_only=True)
class LabelHints:
    """What labels say that decides how a file is read: by its path, its source also by its SOP instance UID."""

    patients: Mapping[str, str] = field(default_factory=dict)
    shows: Mapping[str, str] = field(default_factory=dict)  # radiograph | ultrasound
    sources: Mapping[str, str] = field(default_factory=dict)

    def digest(self, key: Key) -> str:
        """A keyed hash of the hints, since they name patients; empty if there are none."""
        hints = [self.patients, self.shows, self.sources]
        return key.pseudonym("hints", to_json(hints).decode())[:16] if any(hints) else ""


def label_hints(labels: pa.Table | None, file_paths: Mapping[str, str] = MappingProxyType({})) -> LabelHints:
    """The hints of labels; a header wins over them, except for the image that a drawing was modelled on.

    `file_paths`: the paths of images that labels name by file name.
    """
    if labels is None:
        return LabelHints()
    images = [file_paths.get(image, image) for image in labels.column("image").to_pylist()]
    labels = labels.set_column(labels.column_names.index("image"), "image", pa.array(images, pa.string()))
    by_path = labels_by_path(labels)
    return LabelHints(
        patients=values_by_image(by_path, "patient"),
        shows=_pictures(by_path),
        sources=values_by_image(labels, "derived_from"),
    )


def _pictures(labels: pa.Table) -> dict[str, str]:
    """What labelled images show, by the rows that the labels' study reads."""
    picture_of = {study.name: study.rows.picture for study in studies.every()}
    pairs = zip(labels.column("image").to_pylist(), labels.column("study").to_pylist())
    return {image: picture for image, study in pairs if (picture := picture_of.get(study)) is not None}


def unique_paths(labels: pa.Table | None, inventory: Inventory) -> dict[str, str]:
    """The path of each loose file that labels name by a file name which no other loose file has.

    Files in archives are not listed yet: labels that say whose pictures they are have to name them by their paths.
    """
    images = set(labels.column("image").to_pylist()) if labels is not None else set()
    paths: dict[str, set[str]] = {}
    for line in inventory.batches.lines() if images else ():
        for path, _, _ in json.loads(line)[1]:
            name = path.rpartition("/")[2]
            if name in images:
                paths.setdefault(name, set()).add(path)
    return {name: next(iter(of_name)) for name, of_name in paths.items() if len(of_name) == 1}


def label_changes(store: Store, key: Key, hints: LabelHints) -> LabelChanges:
    """What labels say about files that were read before they said it."""
    by_path = {path_name(key, name): name for name in {*hints.patients, *hints.sources} if not UID.fullmatch(name)}
    by_id = {image_id(key, name, 0): name for name in hints.sources if UID.fullmatch(name)}
    outdated = set()
    parts = list_parts(store, OBJECT_PLACES.name) if by_path or by_id else []
    stored = stored_sizes(store, (OBJECT_PLACES.name, IMAGES.name)) if parts else {}
    for part in parts:
        if not {part, f"images/{part.rpartition('/')[2]}"} <= stored.keys():
            continue  # its shard is read again, whatever labels say
        table = read_part(store, part, OBJECT_PLACES, ["path", "image_id"])
        pairs = zip(table.column("path").to_pylist(), table.column("image_id").to_pylist())
        names = {image: by_id.get(image) or by_path.get(path) for path, image in pairs}
        if any(names.values()) and _is_outdated(store, part.rpartition("/")[2], key, hints, names):
            outdated.add(shard_of(part))
    described = frozenset(path_name(key, path) for path in hints.shows)
    return LabelChanges(hints=hints.digest(key), described=described, outdated=frozenset(outdated))


def _is_outdated(store: Store, part: str, key: Key, hints: LabelHints, names: Mapping[str, str | None]) -> bool:
    """Whether images of a part have another patient or source than labels give them; `names`: by image_id."""
    columns = ["image_id", "patient", "exam", "derived_from"]
    for row in read_part(store, f"images/{part}", IMAGES, columns).to_pylist():
        name = names.get(row["image_id"]) or ""
        patient, source = hints.patients.get(name), hints.sources.get(name)
        if patient and _is_unnamed(row, key) and row["patient"] != key.pseudonym("patient", patient):
            return True
        if source and row["derived_from"] != source_id(key, source):
            return True
    return False


def _is_unnamed(row: Mapping[str, str | None], key: Key) -> bool:
    """Whether no header names an image's patient, so that labels may: a picture's, or a film's known by its exam."""
    exam = row["exam"]
    return exam is None or row["patient"] == key.pseudonym("patient", exam_patient(exam))
