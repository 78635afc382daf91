"""Ingests the attacks, one after the other, and compares fates, time and memory with what they may be.

    python -m tests.imaging.attacks.run [NAME ...]

Every file that an attack lists must have its fate, no other may be there, and the tables must take all rows.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rajobs.imaging.archives.archive_reader import ArchiveReader
from rajobs.imaging.image import Image, ReadOptions
from rajobs.imaging.ingest_rows import IngestRows, RowBuilder
from rajobs.imaging.sandbox import Decoder
from rajobs.records.identity import Key
from rajobs.records.store.local import LocalStore
from rajobs.records.tables.schemas import CROSSWALK, IGNORED, IMAGES, OBJECT_PLACES, REJECTS
from tests.imaging.attacks import archive_attacks, file_attacks, place_attacks
from tests.imaging.attacks.attack import Attack

ATTACKS: tuple[Attack, ...] = (*archive_attacks.ATTACKS, *file_attacks.ATTACKS, *place_attacks.ATTACKS)
KEY = Key(secret=b"0123456789abcdef0123456789abcdef")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an attack."""

    fates: dict[str, str]
    seconds: float  # CPU time of all processes
    mebibytes: int  # of the process that took most, beyond what it had before
    faults: list[str]


def run(attack: Attack) -> Outcome:
    """Ingest an attack with processes of its own, and say what that took."""
    with written(attack) as folder, Decoder() as decoder, ArchiveReader() as reader:
        (folder / "sound").mkdir()
        (folder / "sound" / "first.zip").write_bytes(archive_attacks.zip_of(1))
        _ingest(LocalStore(str(folder / "sound")), reader, decoder, attack)  # both processes have started
        before = (_cpu_seconds(), decoder.peak_bytes(), reader.peak_bytes(), _own_peak())
        fates, faults = ingest_attack(attack, folder, reader, decoder)
        seconds = _cpu_seconds() - before[0]
        after = (decoder.peak_bytes(), reader.peak_bytes(), _own_peak())
    most = max(now - then for now, then in zip(after, before[1:])) >> 20
    if seconds > attack.seconds:
        faults.append(f"took {seconds:.1f} s, not {attack.seconds:g}")
    if most > attack.mebibytes:
        faults.append(f"took {most} MiB, not {attack.mebibytes}")
    return Outcome(fates=fates, seconds=seconds, mebibytes=most, faults=faults)


@contextmanager
def written(attack: Attack) -> Iterator[Path]:
    """A folder with an attack in its `source`, for as long as it is needed."""
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    try:
        (folder / "source").mkdir()
        attack.make(folder / "source")
        yield folder
    finally:
        # Not shutil, which calls itself for every folder within a folder.
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def ingest_attack(
    attack: Attack, folder: Path, reader: ArchiveReader, decoder: Decoder
) -> tuple[dict[str, str], list[str]]:
    """The fates of an attack's objects by path, and what is wrong with them."""
    fates, faults = _ingest(LocalStore(str(folder / "source")), reader, decoder, attack)
    return fates, faults + _differences(attack, fates)


def _ingest(
    store: LocalStore, reader: ArchiveReader, decoder: Decoder, attack: Attack
) -> tuple[dict[str, str], list[str]]:
    fates: dict[str, str] = {}
    faults: list[str] = []
    listed = 0
    options = ReadOptions(pictures=attack.shows, ultrasound_regions="all")

    def read(data: bytes | memoryview, shows: str | None) -> list[Image]:
        return decoder.read(data, options)

    shards = list(reader.split(store, store.list_source(), max_members=4000))
    for shard in shards:
        builder = RowBuilder(key=KEY, read=read, origin=shard.origin, patients={}, shows={})
        for rows in builder.build_rows(reader.members(store, shard)):
            listed += rows.counts["objects"]
            faults += _table_faults(rows)
            _add_fates(fates, rows)
    if listed != len(fates):
        faults.append(f"{listed} objects have {len(fates)} fates")
    return fates, faults


def _add_fates(fates: dict[str, str], rows: IngestRows) -> None:
    by_source = {row["source"]: f"reject:{row['reason']}" for row in rows.rejects}
    by_source |= {row["source"]: f"ignored:{row['reason']}" for row in rows.ignored}
    by_source |= {row["source"]: "image" for row in rows.places}
    for row in rows.crosswalk:
        path = str(row["path"])
        number = 1
        while path in fates:
            number += 1
            path = f"{row['path']}#{number}"
        fates[path] = by_source[row["source"]]


def _table_faults(rows: IngestRows) -> list[str]:
    """What is wrong with the tables: each must take its rows, and every object must be in one of them."""
    fates = len(rows.places) + len(rows.rejects) + len(rows.ignored)
    wrong = [] if fates == rows.counts["objects"] else [f"{rows.counts['objects']} objects, {fates} accounted for"]
    pairs = (
        (IMAGES, rows.images), (REJECTS, rows.rejects), (IGNORED, rows.ignored), (OBJECT_PLACES, rows.places),
        (CROSSWALK, rows.crosswalk),
    )  # fmt: skip
    for schema, of_table in pairs:
        try:
            schema.rows(of_table)
        except Exception as error:  # noqa: BLE001 - whatever it is, it would end a job
            wrong.append(f"{schema.name} does not take its rows: {type(error).__name__}")
    return wrong


def _differences(attack: Attack, fates: dict[str, str]) -> list[str]:
    wrong = [
        f"{path[-40:]}: {fates.get(path, 'lost')}, not {fate}"
        for path, fate in attack.fates.items()
        if fates.get(path) not in fate.split("|")
    ]
    return wrong[:5] + [f"{path[-40:]}: {fates[path]}, not expected" for path in list(fates.keys() - attack.fates)[:5]]


def _cpu_seconds() -> float:
    """CPU time of this process and its children, those that have ended and those that run."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = time.process_time() + ended.ru_utime + ended.ru_stime
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / TICK
    return total


def _own_peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main() -> None:
    """Run the attacks and print what became of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    failed = 0
    for attack in ATTACKS:
        if names and attack.name not in names:
            continue
        outcome = run(attack)
        failed += bool(outcome.faults)
        fates = ", ".join(f"{count} {fate}" for fate, count in Counter(outcome.fates.values()).most_common())
        word = "FAIL" if outcome.faults else "ok  "
        print(f"{word} {attack.name:24} {outcome.seconds:6.1f} s {outcome.mebibytes:5} MiB  {fates}", flush=True)
        for fault in outcome.faults:
            print(f"       {fault}")
    print(f"{failed} attacks succeeded" if failed else "every attack was met")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
