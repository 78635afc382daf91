"""The frozen split of a study and mode: made when it is first needed, then read by every job."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from rajobs.imaging.clinic_visits import VISIT_COLUMNS, Visit
from rajobs.imaging.hand_geometry import Position
from rajobs.imaging.rows import CLINIC_TABLE
from rajobs.jobs import console
from rajobs.jobs.train.dataset import LabelledData, read_clinic_visits
from rajobs.jobs.train.places import places_of
from rajobs.records.anatomy import SITES
from rajobs.records.errors import DataError, NotThereYet
from rajobs.records.splits import (
    PARTS,
    LabelledImage,
    PrintedPatients,
    PrintedSplit,
    check_mode,
    clean_split,
    images_left_out,
    published_split,
)
from rajobs.records.store import Store
from rajobs.records.tables.parquet_parts import list_parts, read_file, read_part, to_parquet
from rajobs.records.tables.schemas import IMAGES, SPLIT

SPLIT_SEED = 0
PUBLISHED_SUFFIX = "-published"


def split_key(study: str, mode: str) -> str:
    """Where the data hold a study's split."""
    return f"splits/{study}{'' if mode == 'clean' else PUBLISHED_SUFFIX}.parquet"


def frozen_split(source: LabelledData, mode: str) -> tuple[pa.Table, str]:
    """The split and its hash."""
    check_mode(mode)
    key = split_key(source.study.name, mode)
    if source.store.stat(key) is None:
        source.store.put(key, to_parquet(_make_split(source, mode), SPLIT))
        split = read_file(source.store, key, SPLIT)
    else:
        split = read_file(source.store, key, SPLIT)
        _report_later_labels(source, mode, split, key)
    return split, hashlib.sha256(source.store.get(key)).hexdigest()[:16]


def _report_later_labels(source: LabelledData, mode: str, split: pa.Table, key: str) -> None:
    """Say which of today's labels the split, which was frozen before they came, does not follow."""
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))
    user_parts = _parts_chosen_by_user(source)
    # The paper's counts leave images out on purpose.
    new = (_strata(source).keys() if mode == "clean" else user_parts.keys()) - part_of.keys()
    if new:
        items, _ = _items(source)
        new &= {item.image_id for item in items}
        new -= images_left_out(items, part_of) if mode == "clean" else set()
    moved = sum(part_of.get(name, part) != part for name, part in user_parts.items())
    noun = source.study.rows.noun
    news = [f"{len(new)} labelled {noun} are not in it"] if new else []
    news += [f"{moved} {noun} keep another part than the labels' split gives them"] if moved else []
    if news:
        console.line(
            f"{source.study.name}: the split is frozen in {key}: {' and '.join(news)}. To split anew, remove that file "
            f"from {source.store.uri} and train anew; models of the old split can't be judged on these data any more"
        )


def _parts_chosen_by_user(source: LabelledData) -> dict[str, str]:
    """By image, the part that the labels' column `split` gives it."""
    return {
        row["image_id"]: row["split"]
        for row in source.readings.select(["image_id", "study", "split"]).to_pylist()
        if row["study"] == source.study.name and row["split"]
    }


def _items(source: LabelledData) -> tuple[list[LabelledImage], dict[str, str]]:
    """What a split needs to know of the labelled images, and the patient of every image."""
    strata, user_parts = _strata(source), _parts_chosen_by_user(source)
    rows = _classes_of_rows(source)
    items, patient_of = [], {}
    for name, patient, derived_from in patients_and_sources(source.store):
        patient_of[name] = patient
        if name in strata:
            items.append(LabelledImage(
                image_id=name, patient=patient, derived_from=derived_from, stratum=strata[name],
                user_part=user_parts.get(name), rows=tuple(rows.get(name, ())),
            ))  # fmt: skip
    return items, patient_of


def _classes_of_rows(source: LabelledData) -> dict[str, list[str]]:
    """By image, the class of each labelled row that can be cut out of it, where the paper's split counts rows."""
    study, printed = source.study, source.study.printed_split
    if not isinstance(printed, PrintedSplit) or not printed.whole_patients:
        return {}
    placed, classes = places_of(source.positions), study.target(printed.target).classes
    rows: dict[str, list[str]] = {}
    for place, value in source.labels[printed.target].items():
        if value in classes and (not study.cut_by_places or study.rows.label_place(*place) in placed):
            rows.setdefault(place[0], []).append(value)
    return {image: sorted(values) for image, values in rows.items()}


def count_classes(source: LabelledData, split: pa.Table) -> dict[str, dict[str, int]]:
    """By part and class, the images (or rows) of a split, where the paper prints its own; else nothing."""
    study, printed = source.study, source.study.printed_split
    if not isinstance(printed, PrintedSplit) or study.rows.table == CLINIC_TABLE:
        return {}
    strata = {image: [study.merged_classes.get(name, name)] for image, name in _strata(source).items()}
    classes_of = _classes_of_rows(source) if printed.whole_patients else strata
    counts: dict[str, dict[str, int]] = {}
    for row in split.to_pylist():
        of_part = counts.setdefault(row["split"], {})
        for name in classes_of.get(row["image_id"], ()):
            of_part[name] = of_part.get(name, 0) + 1
    return counts


def _make_split(source: LabelledData, mode: str) -> pa.Table:
    study = source.study
    items, patient_of = _items(source)
    if mode == "clean":
        return _make_clean_split(source, items, patient_of)
    if study.printed_split is None and not _parts_chosen_by_user(source):
        raise NotThereYet(
            f"{study.name} has no published split of its own; give one in the labels' column split, or use --mode clean"
        )
    merged = [replace(item, stratum=study.merged_classes.get(item.stratum, item.stratum)) for item in items]
    if study.rows.table == CLINIC_TABLE and study.printed_split is not None:
        return _published_split_of_visits(read_clinic_visits(source.store, VISIT_COLUMNS), merged, study.printed_split)
    if isinstance(study.printed_split, PrintedPatients) and not _parts_chosen_by_user(source):
        merged = [item for item in merged if _shows_one_hand(source.positions.get(item.image_id, ()))]
    split = published_split(merged, study.printed_split, SPLIT_SEED)
    _report_missed_counts(source, split)
    return split


def _report_missed_counts(source: LabelledData, split: pa.Table) -> None:
    """Say where whole patients do not give the paper's counts."""
    printed = source.study.printed_split
    if not isinstance(printed, PrintedSplit) or not printed.whole_patients or _parts_chosen_by_user(source):
        return
    counts = count_classes(source, split)
    missed = [
        f"{part} {printed.target} {name}: {there} for {printed.count(name, part)}"
        for part in PARTS
        for name in printed.learn
        if (there := counts.get(part, {}).get(name, 0)) != printed.count(name, part)
    ]
    if missed:
        console.line(f"whole patients do not give all of the paper's counts: {', '.join(missed)}")


def _shows_one_hand(places: Sequence[Position]) -> bool:
    """Whether these are the joints of a single hand; a picture of one joint alone is no film of a hand."""
    hands = {(place.side, SITES[place.site].part) for place in places if not place.crop}
    return len(hands) == 1 and hands.pop()[1] == "hand"


def patients_and_sources(store: Store) -> Iterator[tuple[str, str, str | None]]:
    """The id, the patient and the image it derives from, for every image and visit."""
    for part in list_parts(store, "images"):
        for image in read_part(store, part, IMAGES, ["image_id", "patient", "derived_from"]).to_pylist():
            yield image["image_id"], image["patient"], image["derived_from"]
    for visit in read_clinic_visits(store, VISIT_COLUMNS):
        yield visit.image_id, visit.patient, None  # a variant's patient is the one it derives from


def _published_split_of_visits(
    visits: Sequence[Visit], items: Sequence[LabelledImage], printed: PrintedSplit | PrintedPatients
) -> pa.Table:
    """000's split: each patient's first visit by the paper's counts, and the variants of those who teach.

    Its 80/20 is drawn by each trial for itself (`redraw` of the recipe), variants of one patient on both sides: its
    leak. Variants of test patients take no part.
    """
    first: dict[str, str] = {}
    for visit in sorted(visits, key=lambda visit: visit.day):
        if visit.derived_from is None:
            first.setdefault(visit.patient, visit.image_id)
    split = published_split([item for item in items if item.image_id in set(first.values())], printed, SPLIT_SEED)
    rows = split.to_pylist()
    learning = {row["image_id"] for row in rows if row["split"] != "test"}
    labelled = {item.image_id for item in items}
    rows += [
        {"image_id": visit.image_id, "group": visit.image_id, "split": "train"}
        for visit in visits
        if visit.derived_from and visit.image_id in labelled and first.get(visit.patient) in learning
    ]
    return SPLIT.rows(sorted(rows, key=lambda row: str(row["image_id"])))


def _make_clean_split(source: LabelledData, items: Sequence[LabelledImage], patient_of: Mapping[str, str]) -> pa.Table:
    """A split in which a patient has the part that earlier studies' splits gave them."""
    part_of_patient: dict[str, str] = {}
    for entry in source.store.list("splits/"):
        if not entry.key.endswith(f"{PUBLISHED_SUFFIX}.parquet"):
            for row in read_file(source.store, entry.key, SPLIT).to_pylist():
                part_of_patient.setdefault(patient_of.get(row["image_id"], ""), row["split"])
    try:
        split = clean_split(items, SPLIT_SEED, part_of_patient)
    except DataError:
        split = clean_split(items, SPLIT_SEED)  # fails again if the labels are to blame
        console.line(
            f"{source.study.name}: the other studies' splits leave it a part without a patient, so its patients are "
            "split anew; don't start its networks from another study's weights"
        )
        return split
    _report_left_out(split, items)
    return split


def _report_left_out(split: pa.Table, items: Sequence[LabelledImage]) -> None:
    if split.num_rows < len(items):
        console.line(
            f"{len(items) - split.num_rows} images take no part: what derives from them, or from their patients', "
            "stands in another part of the labels' split"
        )


def _strata(source: LabelledData) -> dict[str, str]:
    """Each image's class for stratifying: its first target's label, the highest of several (joints, hands).

    An image without that label gets the next target's label, prefixed with the target's name.
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
