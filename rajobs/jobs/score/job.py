"""rajobs score: a cohort's images asked every question there is a model for, in one pass, into tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs import studies
from rajobs.imaging.rows import VISITS
from rajobs.jobs import builtin, cluster, console, pool
from rajobs.jobs.score.bundle_columns import describe_bundles, joint_calibration
from rajobs.jobs.score.corrections import film_corrections, hand_corrections
from rajobs.jobs.score.parts import (
    check_parts,
    drop_broken_parts,
    drop_gathered,
    drop_part,
    images_part,
    scored_parts,
    sweep,
)
from rajobs.jobs.score.steps import Record, ScoreSteps
from rajobs.jobs.score.tables import GatheredTables, gather
from rajobs.jobs.score.worker import ScoreWorker, hand_positions, scan_places
from rajobs.learning.bundle_description import read_description
from rajobs.learning.judging.review import choose_scale, expected_at
from rajobs.learning.samples.row_arrays import previews, shown_films
from rajobs.learning.voting_models import BundleLocation, VotingModels, list_bundles
from rajobs.records.errors import StoreError, UsageError
from rajobs.records.manifest import MANIFEST, check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.scan_grades import PLACE
from rajobs.records.store import Store, absolute, lease, open_store
from rajobs.records.store.lease import Fence, without_number
from rajobs.records.tables.parquet_parts import lacks_columns, list_parts, read_part, read_table
from rajobs.records.tables.part_index import describe_stored, drop_older_indexes, is_stored, read_indexes
from rajobs.records.tables.schemas import IMAGES, JOINTS, LABELS, LEDGER, ULTRASOUND
from rajobs.reports.score.bundles import BundleFacts
from rajobs.reports.score.hand_sections import Place, ReviewQueue, clinic_sections, hand_sections
from rajobs.reports.score.overlay import ScoredJoint, overlay
from rajobs.reports.score.page import IntakeCounts, ScoreFacts, score_page
from rajobs.reports.score.tallies import ShownHand

PAGE = "report.html"
LABELS_USED = "labels.txt"  # which labels the scores were made with: they say where joints are


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What a person asks of score."""

    data: str
    models: str
    out: str
    limit: int | None = None
    no_scores: bool = False
    review_error: float | None = None  # of a score, in the hands that nobody reviews
    ray: str | None = None
    take_over: bool = False


def score(request: ScoreRequest) -> str:
    """Score every image that is not scored yet; the place of the page."""
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {request.limit}")
    data, store = open_store(request.data), open_store(request.out)
    manifest = read_manifest(data)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{request.data} holds no finished ingest; run `rajobs ingest SRC {request.data}` first")
    steps = ScoreSteps.of_all_studies()
    models = find_models(request.models, steps)
    left_out = [study.name for study in steps.scoring if models[study.name]] if request.no_scores else []
    models |= {name: {} for name in left_out}
    hashes = {study: sorted(by_hash) for study, by_hash in models.items()}
    bundles = {study: list(by_hash.values()) for study, by_hash in models.items()}
    identity = {"key": manifest["key"], "scores": "left out" if left_out else "asked for", "studies": hashes}
    if request.review_error is not None:
        identity["review_error"] = request.review_error
    scale = _doubt_scale(request, steps, bundles)
    check_claim(store, "score", identity)
    before = read_manifest(store)
    wanted = digest([manifest["hash"], hashes, request.limit])
    if before and before.get("input") == wanted and is_stored(store, read_indexes(store)):
        console.line(f"nothing to do: {request.out} holds these tables already")
        return f"{request.out}/{PAGE}"
    with lease.hold(store, "score", take_over=request.take_over) as fence:
        claim(store, "score", identity)
        fence.check(now=True)
        for key in (MANIFEST, PAGE):  # until the last part is there, these are no finished tables
            store.delete(key)
        drop_gathered(fence, steps)
        drop_broken_parts(fence, steps)
        _drop_outdated_parts(data, fence, steps)
        keys = _parts_to_score(data, store, request.limit)
        put_plan(store, len(scored_parts(store)) + len(keys))
        if keys:
            with cluster.connected(request.ray), console.Progress("scoring parts", len(keys)) as progress:
                _run(request, bundles, keys, fence, progress, scale)
        return _finish(data, request.out, fence, wanted, identity, steps, bundles, left_out, scale)


def _doubt_scale(request: ScoreRequest, steps: ScoreSteps, bundles: Mapping[str, Sequence[BundleLocation]]) -> float:
    """Of the documented thresholds of doubt, for the error that the user names."""
    if request.review_error is None:
        return 1.0
    return choose_scale(joint_calibration(steps, bundles).review, request.review_error)


def find_models(models: str, steps: ScoreSteps) -> dict[str, dict[str, BundleLocation]]:
    """Each study's bundles by their hash, at the places that are named, one or several with commas between them.

    A score that a model learnt from real joints is not mixed with that of a model that learnt from drawings alone.
    """
    by_study: dict[str, dict[str, BundleLocation]] = {name: {} for name in steps.names}
    drawn: dict[str, set[str]] = {study.name: set() for study in steps.scoring}
    for name in models.split(","):
        place = absolute(builtin.resolve_models(name))
        here = {study: list_bundles(place, study) for study in by_study}
        if not any(here.values()):
            raise StoreError(
                f"{name} holds no model of {', '.join(by_study)}; run `rajobs train` first, or name {builtin.NAME}"
            )
        for study, bundles in here.items():
            for uri, folder in bundles:
                description = read_description(open_store(uri), folder)
                by_study[study].setdefault(description.hash, (uri, folder))
                if study in drawn and description.origin.drawn is not None:
                    drawn[study].add(description.hash)
    for study, hashes in drawn.items():
        if hashes and by_study[study].keys() > hashes:
            by_study[study] = {name: place for name, place in by_study[study].items() if name not in hashes}
            console.line(f"{study}: the model that learnt from drawings alone is not asked, since there is another")
    return by_study


def _parts_to_score(data: Store, store: Store, limit: int | None) -> list[str]:
    """Keys of the images parts that have no ledger part yet; with a limit, of the first ones."""
    keys = list_parts(data, "images")
    if limit is not None:
        counts = np.cumsum([read_part(data, key, IMAGES, ["image_id"]).num_rows for key in keys])
        keys = keys[: int(np.searchsorted(counts, limit)) + 1]
    scored = scored_parts(store)
    return [key for key in keys if key.rpartition("/")[2] not in scored]


def _drop_outdated_parts(data: Store, fence: Fence, steps: ScoreSteps) -> None:
    """Remove parts that must be scored again: where labels that place joints or scans have changed since, and all
    parts where a table has got a column since, so that no table has parts with it and parts without it."""
    store = fence.store
    if any(_lacks_columns(store, steps, name) for name in steps.part_tables):
        for part in scored_parts(store).values():
            drop_part(fence, steps, part)
    labels_now = digest([without_number(key) for key in list_parts(data, "labels")])
    labels_used = store.get(LABELS_USED).decode() if store.stat(LABELS_USED) else labels_now
    if labels_used != labels_now:
        labels = read_table(data, "labels", LABELS)
        placed = hand_positions(labels).keys() | scan_places(labels, steps).keys()
        for part in scored_parts(store).values():
            rows = read_part(store, f"ledger/{part}", LEDGER, ["image_id", "joints"]).to_pylist()
            if any(row["joints"] or row["image_id"] in placed for row in rows) or _has_placed_scans(store, part):
                drop_part(fence, steps, part)
        store.delete(LABELS_USED)
    if not store.stat(LABELS_USED):
        store.put(LABELS_USED, labels_now.encode())


def _lacks_columns(store: Store, steps: ScoreSteps, table: str) -> bool:
    """Whether a table was written before one of its columns came; all its parts were, or none."""
    part = next(iter(scored_parts(store).values()), None)
    return part is not None and lacks_columns(store, f"{table}/{part}", steps.part_tables[table])


def _has_placed_scans(store: Store, part: str) -> bool:
    """Whether a part's scans have a side or a site, which labels gave them and may have taken back since."""
    scans = read_part(store, f"ultrasound/{part}", ULTRASOUND, PLACE)
    return any(scans.column(name).null_count < scans.num_rows for name in PLACE)


def _run(
    request: ScoreRequest,
    bundles: Mapping[str, list[BundleLocation]],
    keys: list[str],
    fence: Fence,
    progress: console.Progress,
    doubt_scale: float,
) -> None:
    items = [{"key": key} for key in keys]
    arguments = (absolute(request.data), absolute(request.out), dict(bundles), fence.number, doubt_scale)
    share = pool.gpu_share(cluster.nodes())
    for answer in pool.map_unordered(items, ScoreWorker, arguments, num_gpus=share):
        progress.step(note=f"{answer['images']} images in the last")


def _finish(
    data: Store,
    out: str,
    fence: Fence,
    wanted: str,
    identity: Mapping[str, Any],
    steps: ScoreSteps,
    bundles: Mapping[str, list[BundleLocation]],
    left_out: Sequence[str],
    doubt_scale: float,
) -> str:
    store = fence.store
    fence.check(now=True)
    store.sweep()
    of_visits = {study.name: VotingModels.load(study, bundles[study.name]) for study in steps.filling(VISITS)}
    calibration = joint_calibration(steps, bundles)
    gathered = gather(data, fence, steps, of_visits, calibration.precision)
    parts = check_parts(data, fence, gathered.parts)
    missing = [name for name in studies.names() if not identity["studies"].get(name) and name not in left_out]
    described = describe_bundles(steps, bundles)
    queue = ReviewQueue(
        scale=doubt_scale, asked=identity.get("review_error"),
        expected=expected_at(calibration.review, doubt_scale) if calibration.review else None,
    )  # fmt: skip
    store.put(PAGE, _page(data, store, steps, gathered, missing, left_out, described, queue).encode())
    views = {view: len(sure) for view, sure in gathered.films.certainty.items() if len(sure)}
    fence.check(now=True)
    put_manifest(store, {
        "job": "score", **identity, "input": wanted, "images": gathered.rows["ledger"], "rows": gathered.rows,
        "fates": dict(sorted(gathered.fates.items())), "views": dict(sorted(views.items())),
        "without_model": missing, "bundles": {each.hash: each.to_json() for each in described},
    })  # fmt: skip
    sweep(fence, data, parts)
    drop_older_indexes(fence)
    counts = {"images": gathered.rows["ledger"]}
    counts |= {name: gathered.rows[name] for name in ("films", "extremities", "visits")}
    console.table("scored", {**counts, **gathered.fates})
    console.line(describe_stored(parts))
    console.line(f"tables: {out}/{'  '.join(gathered.rows)}\nreport: {out}/{PAGE}")
    return f"{out}/{PAGE}"


def _page(
    data: Store,
    store: Store,
    steps: ScoreSteps,
    gathered: GatheredTables,
    missing: Sequence[str],
    left_out: Sequence[str],
    bundles: Sequence[BundleFacts],
    queue: ReviewQueue,
) -> str:
    counts = (read_manifest(data) or {})["counts"]
    intake = IntakeCounts(**{name: counts[name] for name in ("objects", "images", "frames", "rejects", "ignored")})
    ultrasound = gathered.rows["ledger"] - gathered.rows["films"]
    facts = ScoreFacts(
        intake=intake, ultrasound=ultrasound, missing=tuple(missing), left_out=tuple(left_out), bundles=tuple(bundles)
    )
    hands = {hand.place: hand for hand in gathered.hands.shown()}
    joints = _joints_of_hands(store, hands)
    overlays, corrections = _overlays(data, hands, joints), hand_corrections(steps, hands, joints)
    sections = [
        *hand_sections(gathered.hands, gathered.visits, overlays, corrections, queue),
        *clinic_sections(gathered.visits),
    ]
    films = gathered.films.shown()
    pictures = previews(data, {film.image_id for film in films}, _images_keys(film.part for film in films))
    return score_page(facts, gathered.films, pictures, sections, film_corrections(steps, films))


def _images_keys(parts: Iterable[str]) -> list[str]:
    """The keys of the images parts that parts with these file names are about."""
    return sorted({f"images/{images_part(part)}" for part in parts})


def _joints_of_hands(store: Store, hands: Mapping[Place, ShownHand]) -> dict[Place, list[Record]]:
    """The rows of the joints of the hands that the page shows."""
    joints: dict[Place, list[Record]] = {place: [] for place in hands}
    images = pa.array(sorted({image for image, _ in hands}), pa.string())
    for part in sorted({hand.part for hand in hands.values()}):
        table = read_part(store, f"joints/{part}", JOINTS)
        for row in table.filter(pc.is_in(table.column("image_id"), images)).to_pylist():
            place = row["image_id"], row["extremity"]
            if place in joints:
                joints[place].append(row)
    return joints


def _overlays(
    data: Store, hands: Mapping[Place, ShownHand], joints: Mapping[Place, Sequence[Record]]
) -> dict[Place, bytes]:
    """Drawings of the hands that the page shows; only their films are read."""
    drawn = {}
    films = {image for image, _ in hands}
    for image, pixels in shown_films(data, films, _images_keys(hand.part for hand in hands.values())):
        for place, hand in hands.items():
            if place[0] == image:
                scored = [ScoredJoint(box=row["box"], jsn=row["jsn"], erosion=row["erosion"]) for row in joints[place]]
                drawn[place] = overlay(pixels, hand.box, scored)
    return drawn
