"""Kills a job at random moments, restarts it, and compares its output byte for byte with an undisturbed run.

    python benchmarks/faults/kills.py ingest|score [--rounds 10] [--kinds driver drivers worker workers node] [--seed 0]
        [--patients 24] [--full 0] [--data DIR] [--every 120] [--models builtin]

A cluster of two nodes on this machine, in its own network and process namespaces (Linux, util-linux), ingests or scores
a phantom of many small archives. Kinds of kills: `driver` kills the job's own process once, `drivers` kills it
`--rounds` times in a row with one OUT, `worker` kills one process that works on shards, `workers` kills one every
`--every` seconds until the job ends, and `node` kills the raylet of the second node. Then the job is restarted until it
succeeds. Every key and byte of OUT and of the ledger must equal those of the undisturbed run, which for score ran on
one node.
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
PATIENCE, STARTS = 7200.0, 3  # seconds that one start may take; restarts after the last kill
BEFORE, BETWEEN = 6.0, 0.5  # seconds from the start to the first shard, and from one shard to the next
LO_UP = (0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: what `ip link set lo up` does
NAMESPACES = ("--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "--kill-child")

Digests = dict[str, str]


def main() -> None:
    """Re-run itself in namespaces: when they end, every process of the cluster ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--rounds", type=int, default=10, help="rounds of each kind, and kills in a row of `drivers`")
    parser.add_argument("--kinds", nargs="+", default=[kind for kind in KINDS if kind != "workers"], choices=KINDS)
    parser.add_argument("--patients", type=int, default=24, help="patients of the phantom, about two archives each")
    parser.add_argument("--full", type=int, default=0, help="additional patients with films of full size")
    parser.add_argument("--data", help="output of an earlier ingest for score; default: a phantom")
    parser.add_argument("--every", type=float, default=120.0, help="seconds between the kills of `workers`")
    parser.add_argument("--models", default="builtin", help="models for score")
    parser.add_argument("--seed", type=int, default=0, help="seed of the phantom and of the moments")
    parser.add_argument("--work", type=Path, help="folder for phantom and outputs; default: a temporary one")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        with socket.socket() as sock:
            fcntl.ioctl(sock, *LO_UP)
        sys.exit(soak(args))
    unshare = shutil.which("unshare")
    if unshare is None:
        sys.exit("install util-linux: its `unshare` keeps the cluster unreachable from other machines")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exit ends the namespaces and removes the folder
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        work = (args.work or Path(folder) / "work").absolute()
        work.mkdir(parents=True, exist_ok=True)
        scrubbed = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "AWS_"))}
        # Ray keeps sockets below its folder, and a socket's path is short.
        own = {"HOME": folder, "RAY_TMPDIR": folder, "RAJOBS_KEY": KEY}
        again = [sys.executable, __file__, "--inside", *sys.argv[1:], "--work", str(work)]
        sys.exit(subprocess.run([unshare, *NAMESPACES, *again], env={**scrubbed, **own}).returncode)


def soak(args: argparse.Namespace) -> int:
    """Run all rounds and return the exit status."""
    phantoms = [
        make_phantom(args.work, size, patients, args.seed + number)
        for number, (size, patients) in enumerate({"SMALL": args.patients, "FULL": args.full}.items())
        if patients and not args.data
    ]
    draw = random.Random(args.seed)
    failed = 0
    with two_nodes() as nodes:
        job = ingest_command(phantoms) if args.job == "ingest" else score_command(phantoms, args, nodes.address)
        bench = Bench(command=job, work=args.work, nodes=nodes, every=args.every)
        if args.job == "score":
            nodes.remove_second()
        bench.run("reference")
        wanted = digests(args.work / "reference")
        shards = bench.count_done("reference")
        nodes.add_second()
        seconds = bench.run("again")
        print(f"undisturbed: {shards} shards, {len(wanted)} objects, {seconds:.1f} s on a running cluster", flush=True)
        if args.job == "score":
            check_ledger(args.data or args.work / "ingested", args.work / "reference")
        print(f"{'killed':<9}{'round':>6}{'moments (s)':>16}{'shards done':>12}{'starts':>8}{'seconds':>9}  result")
        failed += report("nothing", 0, Outcome(seconds=seconds, starts=1), differences(args.work / "again", wanted))
        for kind in args.kinds:
            for number in range(1 if kind == "drivers" else args.rounds):
                outcome = bench.disturbed(kind, draw, shards, args.rounds if kind == "drivers" else 1)
                failed += report(kind, number + 1, outcome, differences(args.work / "disturbed", wanted))
    print(
        "FAIL" if failed else "PASS", f"{failed} rounds differ" if failed else "every round ended with the same bytes"
    )
    return 1 if failed else 0


def make_phantom(work: Path, size: str, patients: int, seed: int) -> Path:
    """Make a phantom, unless an earlier start has made it."""
    phantom = work / f"phantom-{size.lower()}-{patients}-{seed}"
    if not (phantom / "expected.csv").exists():
        make = ["phantom", str(phantom), "--patients", str(patients), "--size", size, "--seed", str(seed)]
        subprocess.run([sys.executable, "-m", "rajobs", *make], check=True, stdout=subprocess.DEVNULL)
    return phantom


Command = Callable[[Path], list[str]]
"""Arguments of `rajobs` for a folder of outputs."""


def ingest_command(phantoms: list[Path]) -> Command:
    """Ingest all phantoms with the labels of the first."""
    sources, head = [str(phantom / "archives") for phantom in phantoms], phantoms[0]
    tables = ["--labels", str(head / "labels.csv"), "--clinic", str(head / "clinic.csv"), "--max-rejects", "1"]
    return lambda place: ["ingest", *sources, str(place / "data"), "--ledger", str(place / "ledger"), *tables]


def score_command(phantoms: list[Path], args: argparse.Namespace, address: str) -> Command:
    """Score an ingest without labels, for which the models find the joints."""
    if args.data:
        return lambda place: ["score", args.data, args.models, str(place)]
    data = args.work / "ingested"
    sources = [str(phantom / "archives") for phantom in phantoms]
    subprocess.run(
        [sys.executable, "-m", "rajobs", "ingest", *sources, str(data), "--max-rejects", "1"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "RAY_ADDRESS": address},
    )
    return lambda place: ["score", str(data), args.models, str(place)]


def check_ledger(data: Path | str, tables: Path) -> None:
    """Check that every ingested image has one fate in the ledger."""
    ingested, scored = (json.loads((Path(place) / "manifest.json").read_text()) for place in (data, tables))
    images, fates = ingested["counts"]["frames"], sum(scored["fates"].values())
    print(f"ingested images: {images}; in the ledger: {fates} ({fates / images:.1%})", flush=True)
    if fates != images:
        sys.exit("the ledger does not add up")


@dataclass(kw_only=True)
class Outcome:
    """Moments of the kills in a round, shards done at the last one, and number of starts."""

    moments: tuple[float, ...] = ()
    done: int = 0
    starts: int = 0
    seconds: float = 0.0
    failure: str = ""


def report(kind: str, number: int, outcome: Outcome, differing: list[str]) -> bool:
    """Print a row and return whether the round failed."""
    moments = " ".join(f"{moment:.1f}" for moment in outcome.moments[-2:])
    moments = f"{len(outcome.moments)}: {moments}" if len(outcome.moments) > 2 else moments
    result = "PASS" if moments or kind == "nothing" else "PASS, but the job ended before it was killed"
    if outcome.failure or differing:
        result = f"FAIL {outcome.failure} {len(differing)} differ: {' '.join(differing[:4])}"
    print(f"{kind:<9}{number:>6}{moments:>16}{outcome.done:>12}{outcome.starts:>8}{outcome.seconds:>9.1f}  {result}")
    sys.stdout.flush()
    return result.startswith("FAIL")


class Nodes:
    """A head node and a second node that can be killed and added again."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, "node_ip_address": HERE}
        self._cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.address = str(self._cluster.address)
        self._second: Any = None
        self.add_second()

    def add_second(self) -> None:
        """Add the second node unless it is there."""
        if self._second is None:
            self._second = self._cluster.add_node(num_cpus=1, node_ip_address=HERE)

    def remove_second(self) -> None:
        """Remove the second node in an orderly shutdown."""
        self._cluster.remove_node(self._second)
        self._second = None

    def kill_second(self) -> None:
        """Kill the second node's raylet with SIGKILL, then remove what is left of the node."""
        os.kill(self._second.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        time.sleep(1)  # its workers notice it themselves, as on a machine that failed
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None

    def stop(self) -> None:
        """Shut down both nodes."""
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
    """One command and the cluster on which it is started, killed and restarted."""

    command: Command
    work: Path
    nodes: Nodes
    every: float

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start the job as a user would."""
        environment = {**os.environ, "RAY_ADDRESS": self.nodes.address, "RAJOBS_TRACEBACK": "1"}
        command = [sys.executable, "-m", "rajobs", *self.command(self.work / name)]
        with (self.work / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def run(self, name: str) -> float:
        """Run the job undisturbed into an empty folder and return the seconds it took."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        began = time.monotonic()
        if not self._succeeds(self.start(name)):
            raise SystemExit(f"the undisturbed run failed; see {self.work / name}.log")
        return time.monotonic() - began

    def _succeeds(self, job: "subprocess.Popen[bytes]") -> bool:
        try:
            return job.wait(PATIENCE) == 0
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            return False

    def disturbed(self, kind: str, draw: random.Random, shards: int, kills: int) -> Outcome:
        """Kill a run `kills` times, then restart it until it succeeds."""
        name = "disturbed"
        shutil.rmtree(self.work / name, ignore_errors=True)
        self.nodes.add_second()
        outcome, began = Outcome(), time.monotonic()
        for _ in range(kills):
            outcome.starts += 1
            start, job = time.monotonic(), self.start(name)
            if kind == "workers":
                self._kill_workers(name, job, draw, outcome)
                break
            self._await_moment(name, job, draw, shards, kills)
            outcome.done = self.count_done(name)
            if self._kill(kind, job, draw):
                outcome.moments = (*outcome.moments, time.monotonic() - start)
        for _ in range(STARTS):
            if self._succeeds(job):
                break
            outcome.starts += 1
            job = self.start(name)
        else:
            if not self._succeeds(job):
                outcome.failure = f"the job did not succeed, see {self.work / name}.log;"
        outcome.seconds = time.monotonic() - began
        return outcome

    def _kill_workers(self, name: str, job: "subprocess.Popen[bytes]", draw: random.Random, outcome: Outcome) -> None:
        """Kill one worker every `every` seconds until the job ends."""
        start = time.monotonic()
        while job.poll() is None:
            due = start + (len(outcome.moments) + 1) * self.every
            self._wait_until(partial(_past, due), job)
            outcome.done = self.count_done(name)
            if job.poll() is None and self._kill("worker", job, draw):
                outcome.moments = (*outcome.moments, time.monotonic() - start)

    def _await_moment(
        self, name: str, job: "subprocess.Popen[bytes]", draw: random.Random, shards: int, kills: int
    ) -> None:
        """Wait for the moment to kill, which may be anywhere in the run, including its beginning and its end."""
        here, attempts = self.count_done(name), self._attempts(name)
        if kills > 1:  # in a row: once the restarted job works on shards, whether or not it completes one
            self._wait_until(lambda: self._attempts(name) != attempts or self.count_done(name) > here, job)
            more = draw.randint(0, max(1, shards // kills))
        else:
            more = draw.randint(-max(1, shards // 8), shards)
        if more >= 0:
            self._wait_until(lambda: self.count_done(name) >= here + more, job)
        end = time.monotonic() + draw.uniform(0, BEFORE if more < 0 else BETWEEN)
        self._wait_until(lambda: time.monotonic() >= end, job)

    def count_done(self, name: str) -> int:
        """Number of shards that are done."""
        place = self.work / name
        return len([*(place / "data" / "shards").glob("*.json"), *(place / "ledger").glob("part-*.parquet")])

    def _attempts(self, name: str) -> set[tuple[str, int]]:
        """The recorded attempts at shards with their times."""
        attempts: set[tuple[str, int]] = set()
        for file in (self.work / name / "data" / "attempts").glob("*.json"):
            try:
                attempts.add((file.name, file.stat().st_mtime_ns))
            except FileNotFoundError:
                continue  # the attempt has ended in the meantime
        return attempts

    def _wait_until(self, reached: Callable[[], bool], job: "subprocess.Popen[bytes]") -> None:
        while job.poll() is None and not reached():
            time.sleep(0.02)

    def _kill(self, kind: str, job: "subprocess.Popen[bytes]", draw: random.Random) -> bool:
        """Kill with SIGKILL and return whether there was a process to kill."""
        if kind == "node":
            self.nodes.kill_second()
            return True
        if kind == "worker":
            self._wait_until(lambda: bool(workers()), job)
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
    """Processes that work on shards, by Ray's process titles; this namespace contains no other cluster."""
    pids = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                title = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # the process has ended in the meantime
            if title.startswith(b"ray::") and (b"PoolWorker" in title or b"split_batch" in title):
                pids.append(int(folder.name))
    return sorted(pids)


def digests(place: Path) -> Digests:
    """SHA-256 of every object of OUT and of the ledger."""
    files = sorted(file for file in place.rglob("*") if file.is_file())
    return {str(file.relative_to(place)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def differences(place: Path, wanted: Digests) -> list[str]:
    """The keys that are missing (-), additional (+) or have other bytes (~)."""
    there = digests(place)
    missing = [f"-{key}" for key in wanted if key not in there]
    more = [f"+{key}" for key in there if key not in wanted]
    return missing + more + [f"~{key}" for key in wanted if there.get(key, wanted[key]) != wanted[key]]


if __name__ == "__main__":
    main()
