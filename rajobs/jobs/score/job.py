"""rajobs score: a cohort's images asked every question there is a model for, in one pass, into tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray

from rajobs import studies
from rajobs.jobs import builtin, cluster, console
from rajobs.jobs.evaluate.job import previews
from rajobs.jobs.score.tables import drop_gathered, gather
from rajobs.jobs.score.worker import CHAIN, CLINICAL, TABLES, ScoreWorker, places, scan_places
from rajobs.learning.bundle import read_description
from rajobs.learning.samples.row_arrays import shown_films
from rajobs.learning.voting import BundleLocation, VotingModels, list_bundles
from rajobs.records.errors import StoreError, UsageError
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.scan_grades import PLACE
from rajobs.records.store import Store, absolute, open_store
from rajobs.records.tables.parquet_parts import list_parts, open_part, read_part, read_table
from rajobs.records.tables.schemas import IMAGES, JOINTS, LABELS, LEDGER, ULTRASOUND
from rajobs.reports.hand_sections import clinic_sections, hand_sections
from rajobs.reports.overlay import ScoredJoint, overlay
from rajobs.reports.score_page import IntakeCounts, ScoreFacts, score_page
from rajobs.reports.score_tallies import HandTally

PAGE = "report.html"
LABELLED = "labels.txt"  # which labels the scores were made with: they say where joints are


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What a person asks of score."""

    data: str
    models: str
    out: str
    limit: int | None = None
    ray: str | None = None


def score(order: ScoreRequest) -> str:
    """Score every image that is not scored yet; the place of the page."""
    if order.limit is not None and order.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {order.limit}")
    data, store = open_store(order.data), open_store(order.out)
    manifest = read_manifest(data)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{order.data} holds no finished ingest; run `rajobs ingest SRC {order.data}` first")
    known = find_models(order.models)
    hashes = {study: sorted(found) for study, found in known.items()}
    bundles = {study: list(found.values()) for study, found in known.items()}
    identity = {"key": manifest["key"], "studies": hashes}
    check_claim(store, "score", identity)
    done = read_manifest(store)
    wanted = digest([manifest["hash"], hashes, order.limit])
    if done and done.get("input") == wanted:
        console.line(f"nothing to do: {order.out} holds these tables already")
        return f"{order.out}/{PAGE}"
    claim(store, "score", identity)
    for key in (MANIFEST, PAGE):  # until the last part is there, these are no finished tables
        store.delete(key)
    drop_gathered(store)
    _drop_outdated(data, store)
    todo = _todo(data, store, order.limit)
    put_plan(store, len(list_parts(store, "ledger")) + len(todo))
    if todo:
        with cluster.connected(order.ray), console.Progress("scoring parts", len(todo)) as progress:
            _run(order, bundles, todo, progress)
    return _finish(data, order.out, wanted, identity, bundles[CLINICAL.study])


def find_models(models: str) -> dict[str, dict[str, BundleLocation]]:
    """Each study's bundles by their hash, at the places that are named, one or several with commas between them."""
    found: dict[str, dict[str, BundleLocation]] = {step.study: {} for step in CHAIN}
    for name in models.split(","):
        place = absolute(builtin.resolve_models(name))
        here = {study: list_bundles(place, study) for study in found}
        if not any(here.values()):
            raise StoreError(
                f"{name} holds no model of {', '.join(found)}; run `rajobs train` first, or name {builtin.NAME}"
            )
        for study, bundles in here.items():
            for uri, folder in bundles:
                found[study].setdefault(read_description(open_store(uri), folder)["hash"], (uri, folder))
    return found


def _todo(data: Store, store: Store, limit: int | None) -> list[str]:
    """Keys of the images parts that have no ledger part yet; of the first ones, where there is a limit.

    A part that ingest has written again since, without what an earlier archive holds, takes its scores with it.
    """
    keys = list_parts(data, "images")
    named = {key.rpartition("/")[2] for key in keys}
    for folder in reversed(TABLES):
        for key in list_parts(store, folder):
            if key.rpartition("/")[2] not in named:
                _drop(store, key)
    there = {key.rpartition("/")[2] for key in list_parts(store, "ledger")}
    if limit is not None:
        counts = np.cumsum([read_part(data, key, IMAGES, ["image_id"]).num_rows for key in keys])
        keys = keys[: int(np.searchsorted(counts, limit)) + 1]
    return [key for key in keys if key.rpartition("/")[2] not in there]


def _drop_outdated(data: Store, store: Store) -> None:
    """Where labels have changed since, parts with joints or scans of theirs are scored again; where a table has got a
    column since, all parts: none is left without it."""
    scans = list_parts(store, "ultrasound")
    if scans and _lacks(store, scans[0]):
        for key in scans:
            _drop(store, key)
    now = digest(list_parts(data, "labels"))
    held = store.get(LABELLED).decode() if store.stat(LABELLED) else now
    if held != now:
        labels = read_table(data, "labels", LABELS)
        named = places(labels).keys() | scan_places(labels).keys()
        for key in list_parts(store, "ledger"):
            rows = read_part(store, key, LEDGER, ["image_id", "joints"]).to_pylist()
            if any(row["joints"] or row["image_id"] in named for row in rows) or _places_scans(store, key):
                _drop(store, key)
        store.delete(LABELLED)
    if not store.stat(LABELLED):
        store.put(LABELLED, now.encode())


def _lacks(store: Store, key: str) -> bool:
    """Whether a part of the ultrasound table was written before one of its columns came."""
    with open_part(store, key, ULTRASOUND) as file:
        return not set(ULTRASOUND.names) <= set(file.schema_arrow.names)


def _places_scans(store: Store, key: str) -> bool:
    """Whether a part's scans have a side or a site: labels told it, and may have taken it back since."""
    scans = read_part(store, f"ultrasound/{key.rpartition('/')[2]}", ULTRASOUND, PLACE)
    return any(scans.column(name).null_count < scans.num_rows for name in PLACE)


def _drop(store: Store, key: str) -> None:
    """A part of all tables, the ledger's first: without it the others are no parts."""
    for folder in reversed(TABLES):
        store.delete(f"{folder}/{key.rpartition('/')[2]}")


def _run(
    order: ScoreRequest, bundles: Mapping[str, list[BundleLocation]], todo: list[str], progress: console.Progress
) -> None:
    gpus = int(ray.cluster_resources().get("GPU", 0))
    workers = min(len(todo), gpus or int(ray.cluster_resources()["CPU"]))
    items = [{"key": key} for key in todo]
    arguments = (absolute(order.data), absolute(order.out), dict(bundles))
    spread = (1, max(workers, 1))
    for done in cluster.each(items, ScoreWorker, arguments, workers=spread, num_gpus=1 if gpus else None):
        progress.step(note=f"{done['images']} images in the last")


def _finish(data: Store, out: str, wanted: str, identity: Mapping[str, Any], clinical: list[BundleLocation]) -> str:
    store = open_store(out)
    store.sweep()
    found = gather(data, store, VotingModels.load(studies.find(CLINICAL.study), clinical))
    asked = {step.study for step in CHAIN if identity["studies"].get(step.study)}
    missing = [name for name in [*studies.names(), *studies.to_come()] if name not in asked]
    views = {view: len(sure) for view, sure in found.films.certainty.items() if len(sure)}
    content = {
        "job": "score", **identity, "input": wanted, "images": found.rows["ledger"], "rows": found.rows,
        "fates": dict(sorted(found.fates.items())), "views": dict(sorted(views.items())), "without_model": missing,
    }  # fmt: skip
    counts = (read_manifest(data) or {})["counts"]
    names = ("objects", "images", "frames", "rejects", "ignored")
    facts = ScoreFacts(
        intake=IntakeCounts(**{name: counts[name] for name in names}),
        ultrasound=found.rows["ledger"] - found.rows["films"],
        missing=tuple(missing),
    )
    shown = [
        *hand_sections(found.hands, found.visits, _overlays(data, store, found.hands)),
        *clinic_sections(found.visits),
    ]
    films = found.films.shown()
    seen = previews(data, {film.image_id for film in films}, _keys(film.part for film in films))
    store.put(PAGE, score_page(facts, found.films, seen, shown).encode())
    put_manifest(store, content)
    counts = {"images": found.rows["ledger"], **{name: found.rows[name] for name in ("films", "hands", "visits")}}
    console.table("scored", {**counts, **found.fates})
    console.line(f"tables: {out}/{'  '.join(found.rows)}\nreport: {out}/{PAGE}")
    return f"{out}/{PAGE}"


def _keys(parts: Iterable[str]) -> list[str]:
    """The keys of the images parts with these file names."""
    return sorted({f"images/{part}" for part in parts})


def _overlays(data: Store, store: Store, hands: HandTally) -> dict[tuple[str, int], bytes]:
    """Drawings of the hands that the page shows; their films alone are read."""
    wanted = {hand.place: hand for hand in hands.shown()}
    joints: dict[tuple[str, int], list[ScoredJoint]] = {place: [] for place in wanted}
    named = pa.array(sorted({image for image, _ in wanted}), pa.string())
    for part in sorted({hand.part for hand in wanted.values()}):
        table = read_part(store, f"joints/{part}", JOINTS)
        for row in table.filter(pc.is_in(table.column("image_id"), named)).to_pylist():
            place = row["image_id"], row["hand"]
            if place in joints:
                joints[place].append(ScoredJoint(box=row["box"], jsn=row["jsn"], erosion=row["erosion"]))
    found = {}
    for image, pixels in shown_films(data, set(named.to_pylist()), _keys(hand.part for hand in wanted.values())):
        for place, hand in wanted.items():
            if place[0] == image:
                found[place] = overlay(pixels, hand.box, joints[place])
    return found
