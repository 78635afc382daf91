"""Score beside a bare loop with the same models, and beside a script a model that each read the films again.

    python benchmarks/score_rate.py DATA MODELS [--films 1000] [--rounds 2] [--only race single memory]

DATA is an ingest's output without positions of joints in its labels, MODELS a folder of bundles or `builtin`. `race`:
films a second of the product on a local cluster that is up, of a bare loop (one process, all cores, no tables) and of
the scripts. `single`: one core's milliseconds for a film without a hand and for one with, and the bytes read of either.
`memory`: the driver's peak over so many films and over four times as many.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch

from rajobs import studies
from rajobs.imaging.rows import Row, rows_of_part
from rajobs.jobs import builtin, cluster
from rajobs.jobs.score import job as product
from rajobs.jobs.score.joint_finding import find_joints
from rajobs.jobs.score.worker import CHAIN, CLINICAL, FILTER, FINDS, GRADES, KEEPS, TABLES, ScoreWorker, places
from rajobs.learning.samples.row_arrays import draw_views
from rajobs.learning.voting import VotingModels, list_bundles
from rajobs.records.manifest import read_manifest
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import list_parts, read_part, read_table
from rajobs.records.tables.schemas import IMAGES, LABELS, VIEWS

COLUMNS = ("image_id", "patient", "derived_from", "modality", "rows", "columns", "laterality")
ASKED = [step for step in CHAIN if step not in (FILTER, FINDS, CLINICAL, GRADES)]
"""What is asked of hands and joints."""


def load(models: str) -> dict[str, VotingModels]:
    """Every study's models."""
    return {step.study: VotingModels.load(studies.find(step.study), list_bundles(models, step.study)) for step in CHAIN}


def ask(data: str, key: str, panel: VotingModels, rows: Sequence[Row]) -> Any:
    """A study's answers to some rows."""
    return panel.vote(rows, draw_views(open_store(data), key, panel.view_requests(rows))) if rows else {}


def kept(data: str, key: str, images: Any, panel: VotingModels) -> list[Row]:
    """The films that show hands, by the filter."""
    rows = rows_of_part("films", images, {})
    views = ask(data, key, panel, rows).get("view")
    return [row for row, p in zip(rows, views.p if views else ()) if VIEWS[int(p.argmax())] in KEEPS]


def bare(data: str, keys: Sequence[str], panels: dict[str, VotingModels]) -> None:
    """What one would write by hand: film after film in one process, all cores for torch; nothing is written."""
    store = open_store(data)
    for key in keys:
        images = read_part(store, key, IMAGES, COLUMNS)
        films = kept(data, key, images, panels[FILTER.study])
        places = find_joints(store, key, images, films, panels[FILTER.study], panels[FINDS.study])
        hands = rows_of_part("hands", images, places)
        rows = {"hands": hands, "joints": [joint for hand in hands for joint in hand.joints]}
        drawn = draw_views(store, key, {
            name: each for step in ASKED for name, each in panels[step.study].view_requests(rows[step.rows]).items()
        })  # fmt: skip
        for step in ASKED:
            panels[step.study].vote(rows[step.rows], drawn)
        ask(data, key, panels[GRADES.study], rows_of_part("ultrasound", images, {}))


def scripts(data: str, keys: Sequence[str], panels: dict[str, VotingModels]) -> None:
    """A script a model as the papers had them: each goes through the films again, and finds again what it needs."""
    store = open_store(data)
    read = {key: read_part(store, key, IMAGES, COLUMNS) for key in keys}
    films = {key: kept(data, key, images, panels[FILTER.study]) for key, images in read.items()}
    finders = panels[FILTER.study], panels[FINDS.study]
    places = {key: find_joints(store, key, images, films[key], *finders) for key, images in read.items()}
    for step in (*ASKED, GRADES):
        for key, images in read.items():
            ask(data, key, panels[step.study], rows_of_part(step.rows, images, places[key]))


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def limited(data: str, films: int) -> tuple[list[str], int]:
    """The parts that hold so many images, and how many they hold."""
    store, keys, count = open_store(data), [], 0
    for key in list_parts(store, "images"):
        if count >= films:
            break
        keys.append(key)
        count += read_part(store, key, IMAGES, ["image_id"]).num_rows
    return keys, count


def race(asked: argparse.Namespace) -> None:
    """Prints films a second of each."""
    keys, count = limited(asked.data, asked.films)
    panels = load(asked.models)
    ours: list[float] = []
    rates: dict[str, list[float]] = {"product": ours, "bare loop": [], "scripts": []}
    bare(asked.data, keys[:2], panels)  # reads what is to be read into the page cache, and makes torch ready
    with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as folder, cluster.connected(None):
        print(f"{count} images, {int(ray.cluster_resources()['CPU'])} cores, {torch.get_num_threads()} threads")
        for number in range(asked.rounds):
            order = product.ScoreRequest(
                data=asked.data, models=asked.models, out=f"{folder}/{number}", limit=asked.films
            )
            took = {
                "product": timed(partial(product.score, order)),
                "bare loop": timed(lambda: bare(asked.data, keys, panels)),
                "scripts": timed(lambda: scripts(asked.data, keys, panels)),
            }
            for name, seconds in took.items():
                rates[name].append(count / seconds)
                print(f"  {name:<10} {seconds:7.1f} s {count / seconds:8.1f} images/s", flush=True)
    for name in ("bare loop", "scripts"):
        ratios = [mine / theirs for mine, theirs in zip(ours, rates[name])]
        print(f"product to {name}: {statistics.median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)})")


def single(asked: argparse.Namespace) -> None:
    """Prints what a film costs one core, by what it shows."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    keys, _ = limited(asked.data, asked.films)
    store = open_store(asked.data)
    every = {step.study: list_bundles(asked.models, step.study) for step in CHAIN}
    alone = {study: found if study == FILTER.study else [] for study, found in every.items()}
    images = sum(read_part(store, key, IMAGES, ["image_id"]).num_rows for key in keys)
    with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
        filter_only, whole = (ScoreWorker(asked.data, f"{out}/{n}", each) for n, each in enumerate((alone, every)))
        for scorer in (filter_only, whole):
            scorer({"key": keys[0]})
        cheap = timed(lambda: [filter_only({"key": key}) for key in keys])
        dear = timed(lambda: [whole({"key": key}) for key in keys])
        told = [read_part(open_store(f"{out}/1"), f"{name}/{key.rpartition('/')[2]}", TABLES[name])
                for key in keys for name in ("films",)]  # fmt: skip
    torch.set_num_threads(threads)
    films = sum(table.num_rows for table in told)
    hands = sum(table.column("fate").to_pylist().count("kept") for table in told)
    print(f"one core, {films} films, {hands} of them with hands, {images - films} scans")
    print(f"  a film without a hand (preview and filter alone): {1000 * cheap / images:.1f} ms (target 10)")
    more = (dear - cheap) / max(hands, 1) + cheap / images
    print(f"  a film with its hands, joints and scores: {1000 * more:.0f} ms (004: 630)")


def memory(asked: argparse.Namespace) -> None:
    """Prints the driver's peak."""
    peaks = []
    for films in (asked.films, 4 * asked.films):
        with tempfile.TemporaryDirectory(prefix="rajobs-bench-") as out:
            command = [sys.executable, "-m", "rajobs", "score", asked.data, asked.models, out, "--limit", str(films)]
            peaks.append(peak(command))
        print(f"  {films} images asked for: the driver's peak {peaks[-1]:.0f} MB", flush=True)
    print(f"driver's memory, four times as many images: {peaks[1] / peaks[0]:.2f} times")


def peak(command: Sequence[str]) -> float:
    """The most memory that a process has held itself, in MB."""
    high = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            try:
                told = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            high = max(
                [high, *(int(line.split()[1]) / 1000 for line in told.splitlines() if line.startswith("RssAnon"))]
            )
            time.sleep(0.2)
    if process.wait():
        raise SystemExit("score failed")
    return high


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("models")
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=("race", "single", "memory"), default=("race", "single", "memory"))
    asked = parser.parse_args()
    if read_manifest(open_store(asked.data)) is None:
        parser.error(f"{asked.data} holds no finished ingest")
    if places(read_table(open_store(asked.data), "labels", LABELS)):
        parser.error(f"the labels of {asked.data} say where joints are: score would not look for them, the rest would")
    asked.models = builtin.resolve_models(asked.models)
    for name in asked.only:
        {"race": race, "single": single, "memory": memory}[name](asked)


if __name__ == "__main__":
    main()
