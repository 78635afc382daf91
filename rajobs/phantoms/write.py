"""Writes a phantom: drawn pictures in archives, the labels, the fate each file must end in, and a page to look at."""

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
    """What a phantom holds; `already` when it was there before. `people` is how many patients have planted names."""

    out: str
    already: bool
    people: int
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
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Draws and writes a phantom to a folder or a bucket; the same arguments give the same bytes."""
    _check(patients, damage, only, size, difficulty)
    from rajobs.phantoms.clinic.visits import clinic_table, draw_clinic
    from rajobs.phantoms.packaging.contact_sheet import contact_sheet
    from rajobs.phantoms.radiographs.films import draw_films
    from rajobs.phantoms.ultrasound.scans import draw_scans

    films = draw_films(
        patients=patients if only in (None, "films") else 0, seed=seed, size=size, difficulty=difficulty
    )  # fmt: skip
    scans = draw_scans(patients=patients if only in (None, "ultrasound") else 0, seed=seed, difficulty=difficulty)
    # A visit's films first, then its scans: one exam in one archive.
    pictures = heapq.merge(films, scans, key=lambda picture: (picture.patient.number, picture.visit))
    rows = draw_clinic(patients=patients if only in (None, "clinic") else 0, seed=seed, difficulty=difficulty)
    return write_pictures(
        out,
        pictures,
        contact_sheet=contact_sheet,
        seed=seed,
        patients=patients,
        damage=damage,
        arguments={"only": only, "size": size, "difficulty": difficulty},
        clinic=None if only not in (None, "clinic") else clinic_table(rows),
        progress=progress,
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
    progress: Callable[[int], None] | None = None,
) -> PhantomSummary:
    """Writes pictures of so many patients as a phantom; `arguments` says how they were drawn."""
    run = {"version": PHANTOM_VERSION, "seed": seed, "patients": patients, "damage": damage, **arguments}
    store = open_store(out)
    done = _found(store, run)
    if done is not None:
        return PhantomSummary(out=store.uri, already=True, **done)
    store.put(STARTED, _json(run))
    put = make_put_if_absent(store)
    mixture = ArchiveBuilder(
        lambda key, data: put(f"{ARCHIVES}/{key}", data), seed=seed, damage=damage, patients=patients, readable=readable
    )  # fmt: skip
    for number, picture in enumerate(pictures, start=1):
        mixture.add(picture)
        if progress is not None:
            progress(number)
    mixture.finish()
    put(LABELS, mixture.labels.data())
    put(EXPECTED, mixture.expected.data())
    if clinic is not None:
        put(CLINIC_FILE, clinic)
    if mixture.shown:
        put(CONTACT, contact_sheet(mixture.shown))
    counts = _counts(mixture)
    put(MANIFEST, _json({**run, "counts": counts}))
    store.delete(STARTED)
    return PhantomSummary(out=store.uri, already=False, **counts)


def _counts(mixture: ArchiveBuilder) -> dict[str, Any]:
    return {
        "people": mixture.people,
        "pictures": mixture.pictures,
        "objects": mixture.fates.total(),
        "archives": mixture.archives,
        "labels": mixture.label_count,
        "bytes": mixture.bytes,
        "fates": dict(sorted(mixture.fates.items())),
        "reasons": dict(sorted(mixture.reasons.items())),
        "kinds": dict(sorted(mixture.kinds.items())),
    }


def _check(patients: int, damage: float, only: str | None, size: str, difficulty: str) -> None:
    if patients < 1:
        raise UsageError(f"a phantom needs at least one patient, not {patients}")
    if not 0 <= damage < 1:
        raise UsageError(f"the damaged share lies from 0 to below 1, not at {damage}")
    if size not in SIZES:
        raise UnknownName.among("size", size, SIZES)
    if difficulty not in PRESETS:
        raise UnknownName.among("difficulty", difficulty, PRESETS)
    if only is not None and only not in PARTS:
        raise UnknownName.among("part of a phantom", only, PARTS)


def _found(store: Store, run: dict[str, Any]) -> dict[str, Any] | None:
    """The counts of the same phantom if it is there already; raises if something else is."""
    first = next(iter(store.list()), None)
    if first is None:
        return None
    for key in (MANIFEST, STARTED):
        if store.stat(key) is None:
            continue
        there = _read(store.get(key))
        if {name: there.get(name) for name in run} != json.loads(_json(run)):
            raise WrongOutput("OUT holds a phantom of other arguments, or of another version; choose another OUT")
        counts = there.get("counts")
        return counts if isinstance(counts, dict) else None
    raise WrongOutput("OUT holds something that is no phantom; choose another OUT, or an empty one")


def _read(data: bytes) -> dict[str, Any]:
    try:
        there = json.loads(data)
    except ValueError:
        return {}
    return there if isinstance(there, dict) else {}


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
