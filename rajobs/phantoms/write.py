"""Writes a phantom: drawn pictures in archives, labels, the expected fate of each file, and a contact sheet."""

import heapq
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rajobs.phantoms.packaging.archive_builder import ArchiveBuilder
from rajobs.phantoms.packaging.archives import make_put_if_absent
from rajobs.phantoms.picture import PHANTOM_VERSION, Picture
from rajobs.phantoms.presets import PRESETS, SIZES
from rajobs.records.errors import UnknownName, UsageError, WrongOutput
from rajobs.records.store import Store, open_store

PARTS = ("films", "ultrasound", "clinic")
ARCHIVES, LABELS, EXPECTED, CONTACT = "archives", "labels.csv", "expected.csv", "contact.png"
CLINIC_FILE = "clinic.csv"
MANIFEST, STARTED = "phantom.json", "phantom.started.json"


@dataclass(frozen=True, kw_only=True)
class PhantomSummary:
    """The contents of a phantom."""

    out: str
    already: bool  # whether it existed before
    people: int  # patients with planted names
    pictures: int
    objects: int
    archives: int
    labels: int
    bytes: int
    fates: dict[str, int]
    reasons: dict[str, int]
    kinds: dict[str, int]


def write_phantoms(
    out: str,
    *,
    patients: int = 24,
    seed: int = 0,
    damage: float = 0.05,
    only: str | None = None,
    size: str = "FULL",
    difficulty: str = "standard",
    repeats: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Draws and writes a phantom to a folder or a bucket; the same arguments give the same bytes."""
    _check_arguments(patients, damage, only, size, difficulty)
    if repeats and only not in (None, "films"):
        raise UsageError(f"--repeats takes films twice, and --only {only} draws none; leave one of them out")
    from rajobs.phantoms.clinic.visits import clinic_table, draw_clinic
    from rajobs.phantoms.packaging.contact_sheet import contact_sheet
    from rajobs.phantoms.radiographs.films import draw_films
    from rajobs.phantoms.ultrasound.scans import draw_scans

    films = draw_films(
        patients=patients if only in (None, "films") else 0, seed=seed, size=size, difficulty=difficulty,
        repeats=repeats,
    )  # fmt: skip
    scans = draw_scans(patients=patients if only in (None, "ultrasound") else 0, seed=seed, difficulty=difficulty)
    # The films of a visit come first, then its scans, so that an exam lies in one archive.
    pictures = heapq.merge(films, scans, key=lambda picture: (picture.patient.number, picture.visit))
    rows = draw_clinic(patients=patients if only in (None, "clinic") else 0, seed=seed, difficulty=difficulty)
    return write_pictures(
        out,
        pictures,
        contact_sheet=contact_sheet,
        seed=seed,
        patients=patients,
        damage=damage,
        arguments={"only": only, "size": size, "difficulty": difficulty, "repeats": repeats},
        clinic=None if only not in (None, "clinic") else clinic_table(rows),
        on_progress=on_progress,
    )


def write_pictures(
    out: str,
    pictures: Iterable[Picture],
    *,
    contact_sheet: Callable[[list[Picture]], bytes],
    seed: int,
    patients: int,
    damage: float,
    arguments: dict[str, Any],
    clinic: bytes | None = None,
    readable: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes pictures of so many patients as a phantom; `arguments` record how they were drawn."""
    run = {"version": PHANTOM_VERSION, "seed": seed, "patients": patients, "damage": damage, **arguments}
    store = open_store(out)
    counts = _counts_if_written(store, run)
    if counts is not None:
        return PhantomSummary(out=store.uri, already=True, **counts)
    store.put(STARTED, _to_json(run))
    put = make_put_if_absent(store)
    builder = ArchiveBuilder(
        lambda key, data: put(f"{ARCHIVES}/{key}", data), seed=seed, damage=damage, patients=patients, readable=readable
    )  # fmt: skip
    for number, picture in enumerate(pictures, start=1):
        builder.add(picture)
        if on_progress is not None:
            on_progress(number)
    builder.finish()
    put(LABELS, builder.labels.data())
    put(EXPECTED, builder.expected.data())
    if clinic is not None:
        put(CLINIC_FILE, clinic)
    if builder.contact_pictures:
        put(CONTACT, contact_sheet(builder.contact_pictures))
    counts = _count_contents(builder)
    put(MANIFEST, _to_json({**run, "counts": counts}))
    store.delete(STARTED)
    return PhantomSummary(out=store.uri, already=False, **counts)


def _count_contents(builder: ArchiveBuilder) -> dict[str, Any]:
    return {
        "people": builder.people,
        "pictures": builder.pictures,
        "objects": builder.fates.total(),
        "archives": builder.archives,
        "labels": builder.label_count,
        "bytes": builder.bytes,
        "fates": dict(sorted(builder.fates.items())),
        "reasons": dict(sorted(builder.reasons.items())),
        "kinds": dict(sorted(builder.kinds.items())),
    }


def _check_arguments(patients: int, damage: float, only: str | None, size: str, difficulty: str) -> None:
    if patients < 1:
        raise UsageError(f"a phantom needs at least one patient, not {patients}")
    if not 0 <= damage < 1:
        raise UsageError(f"the damaged share must be at least 0 and below 1, not {damage}")
    if size not in SIZES:
        raise UnknownName.among("size", size, SIZES)
    if difficulty not in PRESETS:
        raise UnknownName.among("difficulty", difficulty, PRESETS)
    if only is not None and only not in PARTS:
        raise UnknownName.among("part of a phantom", only, PARTS)


def _counts_if_written(store: Store, run: dict[str, Any]) -> dict[str, Any] | None:
    """The counts of this phantom if OUT contains it already; raises if OUT contains something else."""
    first = next(iter(store.list()), None)
    if first is None:
        return None
    for key in (MANIFEST, STARTED):
        if store.stat(key) is None:
            continue
        manifest = _parse_manifest(store.get(key))
        if {name: manifest.get(name) for name in run} != json.loads(_to_json(run)):
            raise WrongOutput("OUT contains a phantom of other arguments or of another version; choose another OUT")
        counts = manifest.get("counts")
        return counts if isinstance(counts, dict) else None
    raise WrongOutput("OUT contains something that is no phantom; choose another OUT, or empty it")


def _parse_manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _to_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
