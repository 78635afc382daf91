"""`rajobs ingest` beside a plain script with the same decoder, columns and coding (plain_ingest.py), in one run.

    python benchmarks/speed/ingest_rate.py [--films 2000] [--size FULL|SMALL] [--repeats 2] [--memory 2000 20000]
        [--work DIR]

Zips of drawn films, half of them uncompressed within a deflated member, half in JPEG lossless or RLE. Cold: both as
commands, Ray's start and Python's included. Warm: both called in a process that has done so before. The page cache is
warm for both. `on disk` is the time until the output is not only written but on the disk, which the product waits for.
Memory: what processes hold for themselves (resident less shared), all of a tree at once; peaks by the kernel's account.
`--memory`: the driver's peak at such numbers of small files; without numbers it is left out.
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
TITLES = {"product": b"MapWorker", "plain": b""}  # in the command lines of workers


def main() -> None:
    """Makes the archives, runs both, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--size", default="FULL", choices=sorted(SIDES))
    parser.add_argument("--repeats", type=int, default=2, help="of the warm runs")
    parser.add_argument("--memory", type=int, nargs="*", default=[2000, 20000], help="numbers of small files")
    parser.add_argument("--work", type=Path, help="where archives are kept for the next time; else a temporary folder")
    asked = parser.parse_args()
    os.environ["RAJOBS_KEY"] = KEY
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        work = asked.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        check_disk(work, asked.films * SIDES[asked.size] * 1.6 + max(asked.memory, default=0) * 40_000)
        if asked.films:
            throughput(work, asked.films, asked.size, asked.repeats)
        if asked.memory:
            driver_memory(work, asked.memory)


def check_disk(work: Path, needed: float) -> None:
    """Says what is needed, and stops where there is less."""
    free = shutil.disk_usage(work).free
    print(f"needs about {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free")
    if free < needed:
        sys.exit("not enough; name another folder by --work, or fewer --films")


# ---- Throughput


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one of the two."""

    seconds: float
    on_disk: float
    peaks: Peaks


def product(source: str, out: str) -> None:
    """What `rajobs ingest` does, in this process."""
    from rajobs.jobs.ingest.job import IngestRequest, ingest

    ingest(IngestRequest(sources=(source,), out=out, max_rejects=0.0))


def plain(source: str, out: str) -> None:
    """What the plain script does, in this process."""
    plain_ingest.ingest(source, out)


def serve(name: str, pipe: Connection) -> None:
    """A process that keeps warm: it runs what it is sent."""
    from rajobs.jobs import cluster

    with redirect_stdout(io.StringIO()):
        if name == "plain":
            _serve(plain, pipe)
        else:
            with cluster.connected(None):
                _serve(product, pipe)


def _serve(run: Callable[[str, str], None], pipe: Connection) -> None:
    while order := pipe.recv():
        run(*order)
        pipe.send(True)


class Warm:
    """One of the two, in a process of its own that has run before."""

    def __init__(self, name: str) -> None:
        self._pipe, end = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=serve, args=(name, end))
        self._process.start()
        end.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def run(self, source: Path, out: Path) -> None:
        """One run; its process ends with an error where the run fails."""
        self._pipe.send((str(source), str(out)))
        self._pipe.recv()

    def stop(self) -> None:
        """The end of the process."""
        self._pipe.send(None)
        self._process.join()


def timed(pid: int, worker: bytes, run: Callable[[], object]) -> Run:
    """A run, timed and watched."""
    os.sync()  # what is left of the run before is not this one's
    start = time.monotonic()
    with Watch(pid, worker) as watch:
        run()
    seconds = time.monotonic() - start
    os.sync()
    return Run(seconds=seconds, on_disk=time.monotonic() - start, peaks=watch.peaks)


def cold(name: str, source: Path, out: Path) -> Run:
    """A run as a command."""
    tool = ["-m", "rajobs", "ingest"] if name == "product" else [str(PLAIN)]
    os.sync()
    start = time.monotonic()
    command = [sys.executable, *tool, str(source), str(out)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        with Watch(process.pid, TITLES[name]) as watch:
            if process.wait():
                sys.exit(f"{name} failed")
        seconds = time.monotonic() - start
    os.sync()
    return Run(seconds=seconds, on_disk=time.monotonic() - start, peaks=watch.peaks)


@dataclass(kw_only=True)
class Race:
    """Both on the same archives, and what came of it."""

    source: Path
    out: Path
    films: int
    read: int  # bytes
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def note(self, label: str, run: Run) -> None:
        """Keeps a run and prints its row."""
        self.runs.setdefault(label, []).append(run)
        peaks = run.peaks
        print(
            f"{label:16}{run.seconds:8.1f}{self.films / run.seconds:9.1f}{self.read / MB / run.seconds:8.1f}"
            f"{run.on_disk:11.1f}{peaks.tree / MB:9.0f}{peaks.driver / MB:11.0f}{peaks.worker / MB:11.0f}",
            flush=True,
        )

    def cold(self) -> None:
        """Both as commands."""
        ids = []
        for name in NAMES:
            shutil.rmtree(self.out, ignore_errors=True)
            self.note(f"{name} cold", cold(name, self.source, self.out))
            ids.append(image_ids(self.out))
        assert ids[0] == ids[1] and len(ids[0]) == self.films, "both must make the same images"

    def warm(self, repeats: int) -> None:
        """Both in processes that have run before, each in turn the first."""
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
                self.note(f"{name} warm", timed(hosts[name].pid, TITLES[name], run))
        for host in hosts.values():
            host.stop()

    def ratios(self) -> None:
        """What it comes to."""
        print("\nfiles/s of the product over those of the plain script (above 1: faster)")
        for start in ("cold", "warm"):
            ours, theirs = self.runs[f"product {start}"], self.runs[f"plain {start}"]
            pairs = " ".join(f"{b.seconds / a.seconds:.2f}" for a, b in zip(ours, theirs))
            print(f"  {start}: {middle(theirs) / middle(ours):.2f} ({pairs}); on disk {disk(theirs) / disk(ours):.2f}")
        largest = max(run.peaks.worker for label, runs in self.runs.items() for run in runs if "product" in label)
        print(f"largest worker of the product, its decoder included: {largest / 2**30:.2f} GiB")


def throughput(work: Path, films: int, size: str, repeats: int) -> None:
    """Both, cold and warm, in turn."""
    source = make_archives(work, films, size, 50)
    read = sum(len(file.read_bytes()) for file in source.iterdir())  # and so they are in the page cache
    print(f"\n{films} films, {size}, {read / 1e9:.2f} GB in zips; {os.cpu_count()} cores")
    print(f"{'':16}{'s':>8}{'files/s':>9}{'MB/s':>8}{'on disk s':>11}{'tree MB':>9}{'driver MB':>11}{'worker MB':>11}")
    race = Race(source=source, out=work / "out", films=films, read=read)
    race.cold()
    race.warm(repeats)
    race.ratios()
    shutil.rmtree(race.out, ignore_errors=True)


def middle(runs: list[Run]) -> float:
    """The median of the seconds."""
    return statistics.median(run.seconds for run in runs)


def disk(runs: list[Run]) -> float:
    """The median of the seconds until all was on the disk."""
    return statistics.median(run.on_disk for run in runs)


def image_ids(out: Path) -> set[str]:
    """What is in an output."""
    found: list[str] = []
    for part in sorted((out / "images").glob("*.parquet")):
        found += pq.read_table(part, columns=["image_id"]).column("image_id").to_pylist()
    assert len(found) == len(set(found)), "an image is there twice"
    return set(found)


# ---- Memory


def driver_memory(work: Path, counts: list[int]) -> None:
    """The driver's peak at so many small files."""
    print(f"\nmemory of the driver over files of {TINY[0]}x{TINY[1]}")
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
    print(f"the last over the first: {peaks[-1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
