"""What labels say about files: how a file without a header is read, and which image a label names."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from rajobs import studies
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.imaging.ingest_rows import image_id, path_name, source_id
from rajobs.jobs import console
from rajobs.jobs.ingest.markers import LabelChanges
from rajobs.records.anatomy import SITES
from rajobs.records.identity import Key
from rajobs.records.manifest import to_json
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_part
from rajobs.records.tables.schemas import IMAGES, OBJECT_PLACES
from rajobs.records.user_tables import UID, LabelNames, labels_by_path, values_by_image

Frame = tuple[str, int]
"""A name in the labels' column `image`, and the frame."""


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


def label_hints(labels: pa.Table | None) -> LabelHints:
    """The hints of labels; a header wins over them, except for the image that a drawing was modelled on."""
    if labels is None:
        return LabelHints()
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


def label_vocabulary() -> dict[str, LabelNames]:
    """What labels may name, by study."""
    vocabulary = {}
    for study in studies.every():
        axes = ("x", "y") if study.name == POSITION_STUDY else ()
        sites = tuple(SITES) if axes or study.rows.labels_name_site else ()
        targets = (*(target.name for target in study.targets), *axes)
        # Such a label decides which other labels teach, so that a misspelt one must not be left out in silence.
        values = {study.assessable: study.target(study.assessable).classes} if study.assessable is not None else {}
        vocabulary[study.name] = LabelNames(targets=targets, sites=sites, values=values)
    return vocabulary


def label_changes(store: Store, key: Key, hints: LabelHints) -> LabelChanges:
    """What labels say about files that were read before they said it."""
    by_path = {path_name(key, name): name for name in {*hints.patients, *hints.sources} if not UID.fullmatch(name)}
    by_id = {image_id(key, name, 0): name for name in hints.sources if UID.fullmatch(name)}
    outdated = set()
    for part in list_parts(store, OBJECT_PLACES.name) if by_path or by_id else ():
        table = read_part(store, part, OBJECT_PLACES, ["path", "image_id"])
        pairs = zip(table.column("path").to_pylist(), table.column("image_id").to_pylist())
        names = {image: by_id.get(image) or by_path.get(path) for path, image in pairs}
        if any(names.values()) and _is_outdated(store, part.rpartition("/")[2], key, hints, names):
            outdated.add(part.removesuffix(".parquet").split("-")[1])
    described = frozenset(path_name(key, path) for path in hints.shows)
    return LabelChanges(hints=hints.digest(key), described=described, outdated=frozenset(outdated))


def _is_outdated(store: Store, part: str, key: Key, hints: LabelHints, names: Mapping[str, str | None]) -> bool:
    """Whether images of a part have another patient or source than labels give them; `names`: by image_id."""
    columns = ["image_id", "patient", "exam", "derived_from"]
    for row in read_part(store, f"images/{part}", IMAGES, columns).to_pylist():
        name = names.get(row["image_id"]) or ""
        patient, source = hints.patients.get(name), hints.sources.get(name)
        # An exam comes from a header, whose patient counts.
        if patient and row["exam"] is None and row["patient"] != key.pseudonym("patient", patient):
            return True
        if source and row["derived_from"] != source_id(key, source):
            return True
    return False


def label_ids(store: Store, key: Key, labels: pa.Table) -> dict[Frame, str]:
    """The image_id of everything that labels name, as far as it was ingested."""
    frames = {(row["image"], int(row["frame"] or 0)) for row in labels.select(["image", "frame"]).to_pylist()}
    by_id = {image_id(key, name, 0): name for name, _ in frames if UID.fullmatch(name)}
    by_path = {path_name(key, name): name for name, _ in frames if not UID.fullmatch(name)}
    first: dict[str, str] = {}
    ambiguous: set[str] = set()
    for part in list_parts(store, OBJECT_PLACES.name):
        table = read_part(store, part, OBJECT_PLACES, ["path", "image_id"])
        for path, image in zip(table.column("path").to_pylist(), table.column("image_id").to_pylist()):
            for name in (by_id.get(image), by_path.get(path)):
                if name is not None and first.setdefault(name, image) != image:
                    ambiguous.add(name)
    if ambiguous:
        console.line(
            f"{len(ambiguous)} names of the labels belong to several files each (an archive may hold a name twice, two "
            "sources the same one): their labels are left out; name such images by their SOP instance UID"
        )
    return {
        (name, frame): first[name] if frame == 0 else image_id(key, name, frame)
        for name, frame in frames
        if name in first and name not in ambiguous
    }
