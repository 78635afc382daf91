"""Compares score with a bare loop over the same models, and with one script per model that reads the films again.

    python benchmarks/speed/score_rate.py DATA MODELS [--films 1000] [--rounds 2] [--only race single memory]

DATA is an ingest's output whose labels have no positions of joints; MODELS is a folder of bundles or `builtin`. `race`
measures films per second of the product on a running local cluster, of a bare loop (one process, all cores, no tables)
and of the scripts. `single` measures the milliseconds that one core needs for a film without a hand and for a film with
hands. `memory` compares the driver's peak for this many films with its peak for four times as many.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import ray
import torch

from rajobs.imaging import rows as row_kinds
from rajobs.imaging.rows import Row
from rajobs.jobs import builtin, cluster
from rajobs.jobs.score import job as product
from rajobs.jobs.score.joint_finding import find_joints
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.jobs.score.worker import ScoreWorker, hand_positions
from rajobs.learning.samples.row_arrays import ViewRequest, draw_views
from rajobs.learning.voting import Vote
from rajobs.learning.voting_models import VotingModels, list_bundles
from rajobs.records.manifest import read_manifest
from rajobs.records.store import open_store
from rajobs.records.store.lease import numbered
from rajobs.records.tables.parquet_parts import list_parts, read_part, read_table
from rajobs.records.tables.schemas import FILMS, IMAGES, LABELS, VIEWS

COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns", "laterality")
STEPS = ScoreSteps.of_all_studies()
OF_HANDS = [*STEPS.filling(row_kinds.EXTREMITIES), *STEPS.filling(row_kinds.JOINTS)]
SCANS = STEPS.filling(row_kinds.ULTRASOUND)


def load(models: str) -> dict[str, VotingModels]:
    """Load the models of every study."""
    return {study.name: VotingModels.load(study, list_bundles(models, study.name)) for study in STEPS.studies}


def vote_on(data: str, key: str, models: VotingModels, rows: Sequence[Row]) -> dict[str, Vote]:
    """One study's answers to some rows."""
    return models.vote(rows, draw_views(open_store(data), key, models.view_requests(rows))) if rows else {}


def finders(models: Mapping[str, VotingModels]) -> tuple[VotingModels, VotingModels]:
    """The models that find hands and joints."""
    assert STEPS.hand_finder is not None and STEPS.joint_finder is not None
    return models[STEPS.hand_finder.name], models[STEPS.joint_finder.name]


def hand_films(data: str, key: str, images: pa.Table, models: Mapping[str, VotingModels]) -> list[Row]:
    """The films that show hands according to the filter."""
    assert STEPS.filter is not None and STEPS.filter.scores is not None
    rows, passes = row_kinds.FILMS.rows_of_part(images, {}), STEPS.filter.scores.passes
    view = vote_on(data, key, models[STEPS.filter.name], rows).get("view")
    return [row for row, number in zip(rows, view.answers if view else ()) if VIEWS[number] in passes]


def bare(data: str, keys: Sequence[str], models: Mapping[str, VotingModels]) -> None:
    """Plain loop over the films in one process, all cores for torch, without writing anything."""
    store = open_store(data)
    for key in keys:
        images = read_part(store, key, IMAGES, COLUMNS)
        positions = find_joints(store, key, images, hand_films(data, key, images, models), *finders(models))
        hands = row_kinds.EXTREMITIES.rows_of_part(images, positions)
        rows = {row_kinds.EXTREMITIES: hands, row_kinds.JOINTS: [joint for hand in hands for joint in hand.joints]}
        requests: dict[str, ViewRequest] = {}
        for study in OF_HANDS:
            requests.update(models[study.name].view_requests(rows[study.rows]))
        drawn = draw_views(store, key, requests)
        for study in OF_HANDS:
            models[study.name].vote(rows[study.rows], drawn)
        for study in SCANS:
            vote_on(data, key, models[study.name], study.rows.rows_of_part(images, {}))


def scripts(data: str, keys: Sequence[str], models: Mapping[str, VotingModels]) -> None:
    """One script per model, as in the papers: each goes through all films again."""
    store = open_store(data)
    read = {key: read_part(store, key, IMAGES, COLUMNS) for key in keys}
    films = {key: hand_films(data, key, images, models) for key, images in read.items()}
    positions = {key: find_joints(store, key, images, films[key], *finders(models)) for key, images in read.items()}
    for study in (*OF_HANDS, *SCANS):
        for key, images in read.items():
            vote_on(data, key, models[study.name], study.rows.rows_of_part(images, positions[key]))


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def limited(data: str, films: int) -> tuple[list[str], int]:
    """The first parts that together contain this many images, and their number of images."""
    store, keys, count = open_store(data), [], 0
    for key in list_parts(store, "images"):
        if count >= films:
            break
        keys.append(key)
        count += read_part(store, key, IMAGES, ["image_id"]).num_rows
    return keys, count


def race(args: argparse.Namespace) -> None:
    """Print images per second of the product, the bare loop and the scripts."""
    keys, count = limited(args.data, args.films)
    panels = load(args.models)
    ours: list[float] = []
    rates: dict[str, list[float]] = {"product": ours, "bare loop": [], "scripts": []}
    bare(args.data, keys[:2], panels)  # fills the page cache and warms up torch
    with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as folder, cluster.connected(None):
        print(f"{count} images, {int(ray.cluster_resources()['CPU'])} cores, {torch.get_num_threads()} threads")
        for number in range(args.rounds):
            order = product.ScoreRequest(data=args.data, models=args.models, out=f"{folder}/{number}", limit=args.films)
            took = {
                "product": timed(partial(product.score, order)),
                "bare loop": timed(lambda: bare(args.data, keys, panels)),
                "scripts": timed(lambda: scripts(args.data, keys, panels)),
            }
            for name, seconds in took.items():
                rates[name].append(count / seconds)
                print(f"  {name:<10} {seconds:7.1f} s {count / seconds:8.1f} images/s", flush=True)
    for name in ("bare loop", "scripts"):
        ratios = [own / other for own, other in zip(ours, rates[name])]
        print(f"product to {name}: {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})")


def single(args: argparse.Namespace) -> None:
    """Print the time that one core needs for a film without hands and for a film with hands."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keys, _ = limited(args.data, args.films)
    store = open_store(args.data)
    assert STEPS.filter is not None
    every = {name: list_bundles(args.models, name) for name in STEPS.names}
    alone = {name: bundles if name == STEPS.filter.name else [] for name, bundles in every.items()}
    images = sum(read_part(store, key, IMAGES, ["image_id"]).num_rows for key in keys)
    with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
        filter_only, whole = (ScoreWorker(args.data, f"{out}/{n}", each, 1) for n, each in enumerate((alone, every)))
        for scorer in (filter_only, whole):
            scorer({"key": keys[0]})
        cheap = timed(lambda: [filter_only({"key": key}) for key in keys])
        dear = timed(lambda: [whole({"key": key}) for key in keys])
        films_of = [numbered(f"films/{key.rpartition('/')[2]}", 1) for key in keys]
        tables = [read_part(open_store(f"{out}/1"), key, FILMS) for key in films_of]
    torch.set_num_threads(threads)
    films = sum(table.num_rows for table in tables)
    hands = sum(table.column("fate").to_pylist().count("kept") for table in tables)
    print(f"one core: {films} films, {hands} of them with hands, and {images - films} scans")
    print(f"  a film without a hand (preview and filter alone): {1000 * cheap / images:.1f} ms (target 10)")
    more = (dear - cheap) / max(hands, 1) + cheap / images
    print(f"  a film with its hands, joints and scores: {1000 * more:.0f} ms (004: 630)")


def memory(args: argparse.Namespace) -> None:
    """Print the driver's peak memory."""
    peaks = []
    for films in (args.films, 4 * args.films):
        with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
            command = [sys.executable, "-m", "rajobs", "score", args.data, args.models, out, "--limit", str(films)]
            peaks.append(peak(command))
        print(f"  {films} images: the driver's peak is {peaks[-1]:.0f} MB", flush=True)
    print(f"the driver's peak with four times as many images is {peaks[1] / peaks[0]:.2f} times the first")


def peak(command: Sequence[str]) -> float:
    """Peak private memory (RssAnon) of the command's process, in MB."""
    high = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                text = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            high = max(
                [high, *(int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("RssAnon"))]
            )
            time.sleep(0.2)
    if process.wait():
        raise SystemExit("score failed")
    return high


def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("models")
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=("race", "single", "memory"), default=("race", "single", "memory"))
    args = parser.parse_args()
    if read_manifest(open_store(args.data)) is None:
        parser.error(f"{args.data} holds no finished ingest")
    if hand_positions(read_table(open_store(args.data), "labels", LABELS)):
        parser.error(
            f"the labels of {args.data} contain positions of joints, which score would use instead of its finders: "
            "ingest without --labels"
        )
    args.models = builtin.resolve_models(args.models)
    for name in args.only:
        {"race": race, "single": single, "memory": memory}[name](args)


if __name__ == "__main__":
    main()
