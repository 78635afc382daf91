"""Compares `rajobs ingest` with a plain script that has the same decoder, columns and coding (plain_ingest.py).

    python benchmarks/speed/ingest_rate.py [--films 2000] [--size FULL|SMALL] [--repeats 2] [--memory 2000 20000]
        [--work DIR]

The zips contain drawn films: half are uncompressed films in deflated members, half are JPEG lossless or RLE. Cold runs
are commands and include the start of Python and Ray. Warm runs are calls in a process that has done one before. The
page cache is warm in both. `on disk` is the time until the output is flushed to the disk; the product waits for that.
Memory of a process tree is the sum of private memory (resident minus shared); peaks of single processes are the
kernel's. `--memory` measures the driver's peak for these numbers of small files; without a number it is skipped.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import plain_ingest
import pyarrow.parquet as pq
from film_zips import make_archives
from process_memory import Peaks, Watch

KEY = "a key for phantoms alone, drawn by nobody"
TINY = (64, 64)
SIDES = {"FULL": 2010 * 1490, "SMALL": 670 * 497}
PLAIN = Path(plain_ingest.__file__)
MB = 1e6
NAMES = ("product", "plain")
TITLES = {"product": b"PoolWorker", "plain": b""}  # in the command lines of workers


def main() -> None:
    """Make the archives, run both programs and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--size", default="FULL", choices=sorted(SIDES))
    parser.add_argument("--repeats", type=int, default=2, help="number of warm runs")
    parser.add_argument("--memory", type=int, nargs="*", default=[2000, 20000], help="numbers of small files")
    parser.add_argument("--work", type=Path, help="folder that keeps the archives; default: a temporary one")
    args = parser.parse_args()
    os.environ["RAJOBS_KEY"] = KEY
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = args.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        check_disk(work, args.films * SIDES[args.size] * 1.6 + max(args.memory, default=0) * 40_000)
        if args.films:
            throughput(work, args.films, args.size, args.repeats)
        if args.memory:
            driver_memory(work, args.memory)


def check_disk(work: Path, needed: float) -> None:
    """Print how much disk is needed, and stop if less is free."""
    free = shutil.disk_usage(work).free
    print(f"about {needed / 1e9:.1f} GB of disk are needed, {free / 1e9:.1f} GB are free")
    if free < needed:
        sys.exit("not enough disk: choose another folder with --work, or fewer --films")


# ---- Throughput


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one of the two programs."""

    seconds: float
    on_disk: float
    peaks: Peaks


def product(source: str, out: str) -> None:
    """Run `rajobs ingest` in this process."""
    from rajobs.jobs.ingest.job import IngestRequest, ingest

    ingest(IngestRequest(sources=(source,), out=out, max_rejects=0.0))


def plain(source: str, out: str) -> None:
    """Run the plain script in this process."""
    plain_ingest.ingest(source, out)


def serve(name: str, pipe: Connection) -> None:
    """Body of a warm process: it ingests each source that it receives."""
    from rajobs.jobs import cluster

    with redirect_stdout(io.StringIO()):
        if name == "plain":
            _run_orders(plain, pipe)
        else:
            with cluster.connected(None):
                _run_orders(product, pipe)


def _run_orders(run: Callable[[str, str], None], pipe: Connection) -> None:
    while order := pipe.recv():
        run(*order)
        pipe.send(True)


class Warm:
    """One of the two programs in a process of its own, which stays alive between runs."""

    def __init__(self, name: str) -> None:
        self._pipe, end = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(name, end))
        self._process.start()
        end.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def run(self, source: Path, out: Path) -> None:
        """Run once; if the run fails, the process ends and this raises."""
        self._pipe.send((str(source), str(out)))
        self._pipe.recv()

    def stop(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()


def timed(pid: int, worker: bytes, run: Callable[[], object]) -> Run:
    """Time one run and watch its memory."""
    os.sync()  # pending writes of the run before must not count here
    start = time.monotonic()
    with Watch(pid, worker) as watch:
        run()
    seconds = time.monotonic() - start
    os.sync()
    return Run(seconds=seconds, on_disk=time.monotonic() - start, peaks=watch.peaks)


def cold(name: str, source: Path, out: Path) -> Run:
    """Run one of the two as a command."""
    tool = ["-m", "rajobs", "ingest"] if name == "product" else [str(PLAIN)]
    os.sync()
    start = time.monotonic()
    command = [sys.executable, *tool, str(source), str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        with Watch(process.pid, TITLES[name]) as watch:
            if process.wait():
                sys.exit(f"the run of {name} failed")
        seconds = time.monotonic() - start
    os.sync()
    return Run(seconds=seconds, on_disk=time.monotonic() - start, peaks=watch.peaks)


@dataclass(kw_only=True)
class Race:
    """Both programs on the same archives, with their runs so far."""

    source: Path
    out: Path
    films: int
    read: int  # bytes
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def add(self, label: str, run: Run) -> None:
        """Add a run and print its row."""
        self.runs.setdefault(label, []).append(run)
        peaks = run.peaks
        print(
            f"{label:16}{run.seconds:8.1f}{self.films / run.seconds:9.1f}{self.read / MB / run.seconds:8.1f}"
            f"{run.on_disk:11.1f}{peaks.tree / MB:9.0f}{peaks.driver / MB:11.0f}{peaks.worker / MB:11.0f}",
            flush=True,
        )

    def cold(self) -> None:
        """Run both as commands."""
        ids = []
        for name in NAMES:
            shutil.rmtree(self.out, ignore_errors=True)
            self.add(f"{name} cold", cold(name, self.source, self.out))
            ids.append(image_ids(self.out))
        assert ids[0] == ids[1] and len(ids[0]) == self.films, "both programs must write the same images"

    def warm(self, repeats: int) -> None:
        """Run both in warm processes; they take turns at being first."""
        hosts = {name: Warm(name) for name in NAMES}
        few = self.source.parent / "few"
        few.mkdir(exist_ok=True)
        for file in sorted(self.source.iterdir())[:2]:
            (few / file.name).unlink(missing_ok=True)
            (few / file.name).hardlink_to(file)
        for host in hosts.values():
            shutil.rmtree(self.out, ignore_errors=True)
            host.run(few, self.out)
        for number in range(repeats):
            for name in NAMES if number % 2 == 0 else NAMES[::-1]:
                shutil.rmtree(self.out, ignore_errors=True)
                run = partial(hosts[name].run, self.source, self.out)
                self.add(f"{name} warm", timed(hosts[name].pid, TITLES[name], run))
        for host in hosts.values():
            host.stop()

    def ratios(self) -> None:
        """Print the ratios of the two programs."""
        print("\nfiles/s of the product divided by those of the plain script (above 1: faster)")
        for start in ("cold", "warm"):
            ours, theirs = self.runs[f"product {start}"], self.runs[f"plain {start}"]
            on_disk = median_on_disk(theirs) / median_on_disk(ours)
            pairs = " ".join(f"{b.seconds / a.seconds:.2f}" for a, b in zip(ours, theirs))
            print(f"  {start}: {median_seconds(theirs) / median_seconds(ours):.2f} ({pairs}); on disk {on_disk:.2f}")
        largest = max(run.peaks.worker for label, runs in self.runs.items() for run in runs if "product" in label)
        print(f"largest worker of the product, including its decoder: {largest / 2**30:.2f} GiB")


def throughput(work: Path, films: int, size: str, repeats: int) -> None:
    """Run both programs cold, then warm."""
    source = make_archives(work, films, size, 50)
    read = sum(len(file.read_bytes()) for file in source.iterdir())  # this also fills the page cache
    print(f"\n{films} films, {size}, {read / 1e9:.2f} GB in zips; {os.cpu_count()} cores")
    print(f"{'':16}{'s':>8}{'files/s':>9}{'MB/s':>8}{'on disk s':>11}{'tree MB':>9}{'driver MB':>11}{'worker MB':>11}")
    race = Race(source=source, out=work / "out", films=films, read=read)
    race.cold()
    race.warm(repeats)
    race.ratios()
    shutil.rmtree(race.out, ignore_errors=True)


def median_seconds(runs: list[Run]) -> float:
    """Median seconds of the runs."""
    return statistics.median(run.seconds for run in runs)


def median_on_disk(runs: list[Run]) -> float:
    """Median seconds until the whole output was on the disk."""
    return statistics.median(run.on_disk for run in runs)


def image_ids(out: Path) -> set[str]:
    """The image ids in an output."""
    ids: list[str] = []
    for part in sorted((out / "images").glob("*.parquet")):
        ids += pq.read_table(part, columns=["image_id"]).column("image_id").to_pylist()
    assert len(ids) == len(set(ids)), "the output contains an image twice"
    return set(ids)


# ---- Memory


def driver_memory(work: Path, counts: list[int]) -> None:
    """Print the driver's peak for each number of small files."""
    print(f"\nmemory of the driver for files of {TINY[0]}x{TINY[1]}")
    print(f"{'files':>8}{'s':>8}{'driver MB':>11}{'tree MB':>9}{'worker MB':>11}")
    peaks = []
    for count in counts:
        source, out = make_archives(work, count, TINY, 500), work / "out"
        shutil.rmtree(out, ignore_errors=True)
        run = cold("product", source, out)
        peaks.append(run.peaks.driver)
        print(
            f"{count:8}{run.seconds:8.1f}{run.peaks.driver / MB:11.0f}{run.peaks.tree / MB:9.0f}"
            f"{run.peaks.worker / MB:11.0f}",
            flush=True,
        )
        shutil.rmtree(out, ignore_errors=True)
    print(f"the last peak divided by the first: {peaks[-1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
