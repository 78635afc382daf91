"""Kills a job at random moments and compares what a restarted one leaves with an undisturbed run, byte for byte.

    python benchmarks/faults/kills.py ingest|score [--rounds 10] [--kinds driver drivers worker workers node] [--seed 0]
        [--patients 24] [--full 0] [--data DIR] [--every 120] [--models builtin]

A cluster of two nodes on this machine, in a network and a process namespace of its own (Linux, util-linux), takes in or
scores a phantom of many small archives. `driver`: the job's own process is killed; `drivers`: the same, so many times
in a row at one OUT; `worker`: one process that works at shards; `workers`: one every so many seconds, to the end;
`node`: the raylet of the second node. Then the job is started again until it ends well. Every key and every byte of OUT
and of the ledger must be those of the undisturbed run, which for score is one of one node alone.
"""

import argparse
import fcntl
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

KEY = "a key for phantoms alone, drawn by nobody"
HERE = "127.0.0.1"
KINDS = ("driver", "drivers", "worker", "workers", "node")
JOBS = ("ingest", "score")
PATIENCE, STARTS = 7200.0, 3  # seconds that one start may take, and starts after the last kill
BEFORE, BETWEEN = 6.0, 0.5  # seconds: from the start to the first shard, and after a shard
LO_UP = (0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: what `ip link set lo up` does
NAMESPACES = ("--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")

Digests = dict[str, str]


def main() -> None:
    """Re-runs itself in namespaces, whose end is the end of every process of the cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each kind, and kills in a row of `drivers`")
    parser.add_argument("--kinds", nargs="+", default=[kind for kind in KINDS if kind != "workers"], choices=KINDS)
    parser.add_argument("--patients", type=int, default=24, help="of the phantom: about two archives each")
    parser.add_argument("--full", type=int, default=0, help="patients more, whose films have full size")
    parser.add_argument("--data", help="what score is given, taken in before; else a phantom")
    parser.add_argument("--every", type=float, default=120.0, help="seconds between the kills of `workers`")
    parser.add_argument("--models", default="builtin", help="that score")
    parser.add_argument("--seed", type=int, default=0, help="of the phantom and of the moments")
    parser.add_argument("--work", type=Path, help="folder for phantom and outputs; else a temporary one")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        with socket.socket() as sock:
            fcntl.ioctl(sock, *LO_UP)
        sys.exit(soak(asked))
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("unshare of util-linux is needed: the cluster must not be reachable from elsewhere")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what follows is ended and cleared away
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        work = (asked.work or Path(folder) / "work").absolute()
        work.mkdir(parents=True, exist_ok=True)
        scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
        # Ray keeps sockets below its folder, and a socket's path is short.
        own = {"HOME": folder, "RAY_TMPDIR": folder, "RAJOBS_KEY": KEY}
        again = [sys.executable, __file__, "--inside", *sys.argv[1:], "--work", str(work)]
        sys.exit(subprocess.run([unshare, *NAMESPACES, *again], env={**scrubbed, **own}).returncode)


def soak(asked: argparse.Namespace) -> int:
    """All rounds; the exit status."""
    phantoms = [
        drawn(asked.work, size, patients, asked.seed + number)
        for number, (size, patients) in enumerate({"SMALL": asked.patients, "FULL": asked.full}.items())
        if patients and not asked.data
    ]
    draw = random.Random(asked.seed)
    failed = 0
    with two_nodes() as nodes:
        job = ingest_command(phantoms) if asked.job == "ingest" else score_command(phantoms, asked, nodes.address)
        bench = Bench(command=job, work=asked.work, nodes=nodes, every=asked.every)
        if asked.job == "score":
            nodes.drop_second()
        bench.run("reference")
        wanted = digests(asked.work / "reference")
        shards = bench.done("reference")
        nodes.raise_second()
        seconds = bench.run("again")
        print(
            f"undisturbed: {shards} shards, {len(wanted)} objects, {seconds:.1f} s on a cluster that is up", flush=True
        )
        if asked.job == "score":
            add_up(asked.data or asked.work / "ingested", asked.work / "reference")
        print(f"{'killed':<9}{'round':>6}{'moments (s)':>16}{'done then':>10}{'starts':>8}{'seconds':>9}  result")
        failed += report("nothing", 0, Outcome(seconds=seconds, starts=1), differences(asked.work / "again", wanted))
        for kind in asked.kinds:
            for number in range(1 if kind == "drivers" else asked.rounds):
                outcome = bench.disturbed(kind, draw, shards, asked.rounds if kind == "drivers" else 1)
                failed += report(kind, number + 1, outcome, differences(asked.work / "disturbed", wanted))
    print("FAIL" if failed else "PASS", f"{failed} rounds differ" if failed else "every round ended in the same bytes")
    return 1 if failed else 0


def drawn(work: Path, size: str, patients: int, seed: int) -> Path:
    """A phantom of so many patients, made once."""
    phantom = work / f"phantom-{size.lower()}-{patients}-{seed}"
    if not (phantom / "expected.csv").exists():
        make = ["phantom", str(phantom), "--patients", str(patients), "--size", size, "--seed", str(seed)]
        subprocess.run([sys.executable, "-m", "rajobs", *make], check=True, stdout=subprocess.DEVNULL)
    return phantom


Command = Callable[[Path], list[str]]
"""What a person types for a place."""


def ingest_command(phantoms: list[Path]) -> Command:
    """Take in phantoms, with the labels of the first."""
    sources, head = [str(phantom / "archives") for phantom in phantoms], phantoms[0]
    tables = ["--labels", str(head / "labels.csv"), "--clinic", str(head / "clinic.csv"), "--max-rejects", "1"]
    return lambda place: ["ingest", *sources, str(place / "data"), "--ledger", str(place / "ledger"), *tables]


def score_command(phantoms: list[Path], asked: argparse.Namespace, address: str) -> Command:
    """Score what was taken in before, without labels: models find the joints."""
    if asked.data:
        return lambda place: ["score", asked.data, asked.models, str(place)]
    data = asked.work / "ingested"
    sources = [str(phantom / "archives") for phantom in phantoms]
    subprocess.run(
        [sys.executable, "-m", "rajobs", "ingest", *sources, str(data), "--max-rejects", "1"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "RAY_ADDRESS": address},
    )
    return lambda place: ["score", str(data), asked.models, str(place)]


def add_up(data: Path | str, tables: Path) -> None:
    """Every image that was taken in has one fate in the ledger."""
    taken, scored = (json.loads((Path(place) / "manifest.json").read_text()) for place in (data, tables))
    images, told = taken["counts"]["frames"], sum(scored["fates"].values())
    print(f"images taken in: {images}; in the ledger: {told} ({told / images:.1%})", flush=True)
    if told != images:
        sys.exit("the ledger does not add up")


@dataclass(kw_only=True)
class Outcome:
    """What happened in a round: when it was killed, the shards done by then, and how often the job was started."""

    moments: tuple[float, ...] = ()
    done: int = 0
    starts: int = 0
    seconds: float = 0.0
    failure: str = ""


def report(kind: str, number: int, outcome: Outcome, differing: list[str]) -> bool:
    """Prints a row; whether the round failed."""
    moments = " ".join(f"{moment:.1f}" for moment in outcome.moments[-2:])
    moments = f"{len(outcome.moments)}: {moments}" if len(outcome.moments) > 2 else moments
    result = "PASS" if moments or kind == "nothing" else "PASS, but it had ended before it could be killed"
    if outcome.failure or differing:
        result = f"FAIL {outcome.failure} {len(differing)} differ: {' '.join(differing[:4])}"
    print(f"{kind:<9}{number:>6}{moments:>16}{outcome.done:>10}{outcome.starts:>8}{outcome.seconds:>9.1f}  {result}")
    sys.stdout.flush()
    return result.startswith("FAIL")


class Nodes:
    """A head and a second node that can be killed and raised again."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": HERE}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)
        self._second: Any = None
        self.raise_second()

    def raise_second(self) -> None:
        """A second node, if there is none."""
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=1, node_ip_address=HERE)

    def drop_second(self) -> None:
        """An end of the second node as a machine is shut down."""
        self._cluster.remove_node(self._second)
        self._second = None

    def kill_second(self) -> None:
        """Kill -9 of the second node's raylet; what else is left of the node is cleared away."""
        os.kill(self._second.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        time.sleep(1)  # its workers notice by themselves, as they would on another machine
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def stop(self) -> None:
        """The end of both."""
        self._cluster.shutdown()


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    """A cluster of two nodes with one core each."""
    nodes = Nodes()
    try:
        yield nodes
    finally:
        nodes.stop()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One command and one cluster, on which it is started, killed and started again."""

    command: Command
    work: Path
    nodes: Nodes
    every: float

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """The job, as a person would start it."""
        environment = {**os.environ, "RAY_ADDRESS": self.nodes.address, "RAJOBS_TRACEBACK": "1"}
        command = [sys.executable, "-m", "rajobs", *self.command(self.work / name)]
        with (self.work / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def run(self, name: str) -> float:
        """An undisturbed run into a new place; its seconds."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        began = time.monotonic()
        if not self._ends_well(self.start(name)):
            raise SystemExit(f"the undisturbed run failed; see {self.work / name}.log")
        return time.monotonic() - began

    def _ends_well(self, job: "subprocess.Popen[bytes]") -> bool:
        try:
            return job.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            return False

    def disturbed(self, kind: str, draw: random.Random, shards: int, kills: int) -> Outcome:
        """A run that is killed so often, and started again until it ends well."""
        name = "disturbed"
        shutil.rmtree(self.work / name, ignore_errors=True)
        self.nodes.raise_second()
        outcome, began = Outcome(), time.monotonic()
        for _ in range(kills):
            outcome.starts += 1
            start, job = time.monotonic(), self.start(name)
            if kind == "workers":
                self._steadily(name, job, draw, outcome)
                break
            self._moment(name, job, draw, shards, kills)
            outcome.done = self.done(name)
            if self._kill(kind, job, draw):
                outcome.moments = (*outcome.moments, time.monotonic() - start)
        for _ in range(STARTS):
            if self._ends_well(job):
                break
            outcome.starts += 1
            job = self.start(name)
        else:
            if not self._ends_well(job):
                outcome.failure = f"no good end, see {self.work / name}.log;"
        outcome.seconds = time.monotonic() - began
        return outcome

    def _steadily(self, name: str, job: "subprocess.Popen[bytes]", draw: random.Random, outcome: Outcome) -> None:
        """One worker after another, until the job ends."""
        start = time.monotonic()
        while job.poll() is None:
            due = start + (len(outcome.moments) + 1) * self.every
            self._until(partial(_past, due), job)
            outcome.done = self.done(name)
            if job.poll() is None and self._kill("worker", job, draw):
                outcome.moments = (*outcome.moments, time.monotonic() - start)

    def _moment(self, name: str, job: "subprocess.Popen[bytes]", draw: random.Random, shards: int, kills: int) -> None:
        """Waits for the moment to kill: anywhere in the run, its beginning and its end too."""
        here, attempts = self.done(name), self._attempts(name)
        if kills > 1:  # in a row: when it has come to its shards again, which it may or may not get done
            self._until(lambda: self._attempts(name) != attempts or self.done(name) > here, job)
            more = draw.randint(0, max(1, shards // kills))
        else:
            more = draw.randint(-max(1, shards // 8), shards)
        if more >= 0:
            self._until(lambda: self.done(name) >= here + more, job)
        end = time.monotonic() + draw.uniform(0, BEFORE if more < 0 else BETWEEN)
        self._until(lambda: time.monotonic() >= end, job)

    def done(self, name: str) -> int:
        """How many shards are done."""
        place = self.work / name
        return len([*(place / "data" / "shards").glob("*.json"), *(place / "ledger").glob("part-*.parquet")])

    def _attempts(self, name: str) -> set[tuple[str, int]]:
        """The attempts at shards that are noted, and when."""
        found: set[tuple[str, int]] = set()
        for file in (self.work / name / "data" / "attempts").glob("*.json"):
            try:
                found.add((file.name, file.stat().st_mtime_ns))
            except FileNotFoundError:
                continue  # it came to its end
        return found

    def _until(self, reached: Callable[[], bool], job: "subprocess.Popen[bytes]") -> None:
        while job.poll() is None and not reached():
            time.sleep(0.02)

    def _kill(self, kind: str, job: "subprocess.Popen[bytes]", draw: random.Random) -> bool:
        """Kill -9; whether there was something left to kill."""
        if kind == "node":
            self.nodes.kill_second()
            return True
        if kind == "worker":
            self._until(lambda: bool(workers()), job)
            there = workers()
            if there:
                os.kill(draw.choice(there), signal.SIGKILL)
            return bool(there)
        alive = job.poll() is None
        if alive:
            os.kill(job.pid, signal.SIGKILL)
            job.wait()
        return alive


def _past(due: float) -> bool:
    return time.monotonic() >= due


def workers() -> list[int]:
    """The processes that work at shards, by the names Ray gives them; there are no others in this namespace."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            if title.startswith(b"ray::") and (b"MapWorker" in title or b"split_batch" in title):
                found.append(int(folder.name))
    return sorted(found)


def digests(place: Path) -> Digests:
    """Every object of OUT and of the ledger, with a hash of its bytes."""
    files = sorted(file for file in place.rglob("*") if file.is_file())
    return {str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def differences(place: Path, wanted: Digests) -> list[str]:
    """The keys that are missing (-), too many (+) or of other bytes (~)."""
    there = digests(place)
    missing = [f"-{key}" for key in wanted if key not in there]
    more = [f"+{key}" for key in there if key not in wanted]
    return missing + more + [f"~{key}" for key in wanted if there.get(key, wanted[key]) != wanted[key]]


if __name__ == "__main__":
    main()
