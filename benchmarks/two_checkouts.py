"""Two checkouts of this repository run the same commands on the same drawings, and every output is compared.

    python benchmarks/two_checkouts.py BEFORE AFTER OUT [--quick]

For a change that must not change behaviour, such as modules moved and names changed. The commands are the product's
line at a small size, from `phantom` to `link`. Each checkout is asked through `python -m rajobs` alone, and the outputs
lie in OUT/before and OUT/after. A side whose code is the same as at an earlier start does only what is left: after a
change to AFTER, only AFTER runs. The exit status is 1 if anything differs.
"""

import argparse
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
from safetensors.numpy import load_file

RENAMES: Mapping[str, str] = {}
"""Tables, columns, JSON keys and weights that have another name on purpose: the name in BEFORE, the name in AFTER."""

COLUMNS_LEFT_OUT = frozenset({"bundles", "hours"})
KEYS_LEFT_OUT = frozenset({"hash", "sha256", "input", "code", "version", "data", "split", "bundles", "studies"})
"""Hashes of descriptions, in which a changed name makes another hash, and what is read off the clock."""

KEY = "a key that everybody knows, for phantoms alone"
QUICK = ("hand_filter", "svdh_scoring", "clinical_array")
EVALUATED = (*QUICK, "ultrasound_grading")
TRAINED = (*EVALUATED, "ra_recognition", "ra_staging", "joint_detection")
BUDGET = 0.3  # share of a recipe's epochs and rows

TABLES = ("images", "labels", "clinic", "rejects", "ignored", "places", "splits")
SCORES = ("films", "extremities", "joints", "ultrasound", "visits", "changes", "ledger")
OUTPUTS = (
    "phantom/**/*", *(f"data/{name}/*.parquet" for name in TABLES), "data/prepared/*/*.npy", "data/manifest.json",
    "ledger/crosswalk/*.parquet", "models/*/*/*.safetensors", "models/*/*/*.xml", "models/*/*/history.parquet",
    "models/*/*/bundle.json", "sweep/*/trials.parquet", "sweep/*/trials/*/*.parquet", "sweep/*/best.toml",
    "evaluations/*/predictions.parquet", "evaluations/*/metrics.json", *(f"tables/{name}/*.parquet" for name in SCORES),
    "tables/*.csv", "tables/manifest.json", "linked.parquet",
)  # fmt: skip
"""What is compared, by kind, below a side's folder."""

MOST_OF_A_KIND, MOST_OF_A_FILE = 12, 6  # differences that are printed
STARTS = 10  # of a cluster: on a busy machine Ray may not be up in the 30 s that it gives itself
CLUSTER = """
import sys, ray
ray.init("local", num_cpus=1, include_dashboard=False)
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One checkout and the folder of its outputs."""

    name: str
    checkout: Path
    out: Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the checkout that shows how it must be")
    parser.add_argument("after", type=Path, help="the checkout with the change")
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer patients and studies, and no tune: a first look")
    args = parser.parse_args()
    sides = [
        Side(name=name, checkout=checkout.resolve(), out=args.out.resolve() / f"{name}{'-quick' if args.quick else ''}")
        for name, checkout in (("before", args.before), ("after", args.after))
    ]
    for side in sides:
        run_side(side, steps(args.quick))
    kinds = [kind for kind in OUTPUTS if not (args.quick and kind.startswith(("sweep", "models/*/*/*.xml")))]
    sys.exit(1 if report(kinds, sides[0].out, sides[1].out) else 0)


def steps(quick: bool) -> dict[str, str]:
    """The commands by their names, in order; {out} is the side's folder."""
    patients, trained = (5, QUICK) if quick else (12, TRAINED)
    commands = {
        "phantom": f"phantom {{out}}/phantom --patients {patients} --size SMALL --seed 7",
        "ingest": "ingest {out}/phantom/archives {out}/data --labels {out}/phantom/labels.csv"
        " --clinic {out}/phantom/clinic.csv --ledger {out}/ledger --max-rejects 0.6",
    }
    for name in trained:
        recipe = "published" if name == "joint_detection" else "default"  # the published one is the boosted cascade
        commands[f"train {name}"] = f"train {name} {{out}}/data {{out}}/models --recipe {recipe} --budget {BUDGET}"
    if not quick:
        commands["tune"] = f"tune hand_filter {{out}}/data {{out}}/sweep --trials 3 --budget {BUDGET}"
    for name in QUICK if quick else EVALUATED:
        commands[f"evaluate {name}"] = f"evaluate {name} {{out}}/data {{out}}/models {{out}}/evaluations/{name}"
    commands["score"] = "score {out}/data {out}/models,builtin {out}/tables"
    commands["link"] = "link {out}/tables/films {out}/ledger {out}/linked.parquet"
    return commands


def run_side(side: Side, commands: Mapping[str, str]) -> None:
    """The commands that are not done yet; all of them if the code is another than at the last start."""
    record, fingerprint = side.out / "done.json", fingerprint_of(side.checkout, commands)
    if side.out.exists() and not record.exists():
        sys.exit(f"{side.out} was not made by this script: remove it, or name another OUT")
    done = json.loads(record.read_text()) if record.exists() else {}
    if done.get("fingerprint") != fingerprint:
        shutil.rmtree(side.out, ignore_errors=True)
        done = {"fingerprint": fingerprint, "seconds": {}}
    (side.out / "logs").mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(done))
    check_origin(side)
    left = [name for name in commands if name not in done["seconds"]]
    if left:
        with cluster(side) as variables:
            for name in left:
                done["seconds"][name] = run(side, name, commands[name], variables)
                record.write_text(json.dumps(done))
    if fingerprint_of(side.checkout, commands) != fingerprint:
        sys.exit(f"{side.checkout} was changed while its commands ran: start again")
    print(f"{side.name}: {sum(done['seconds'].values()):.0f} s for {len(commands)} commands, {len(left)} of them now")


def fingerprint_of(checkout: Path, commands: Mapping[str, str]) -> str:
    """A hash of the package's files and of the commands."""
    digest = hashlib.sha256(json.dumps(commands).encode())
    for path in sorted(path for folder in ("rajobs", "tune_spaces") for path in (checkout / folder).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(checkout)} {sha256(path)}\n".encode())
    return digest.hexdigest()


def check_origin(side: Side) -> None:
    """Each side must run its own code, not an installed package."""
    line = [sys.executable, "-c", "import rajobs; print(rajobs.__file__)"]
    answer = subprocess.run(line, cwd=side.checkout, env=environment(side), capture_output=True, text=True)
    if answer.stdout.strip() != str(side.checkout / "rajobs/__init__.py"):
        sys.exit(f"{side.checkout} is no checkout of rajobs: its package is {answer.stdout or answer.stderr}")


def environment(side: Side) -> dict[str, str]:
    """The same for both sides: one thread, no GPU, no cluster of others, and the checkout first on the path."""
    kept = {name: value for name, value in os.environ.items() if not re.match("RAJOBS_|RAY_|AWS_|MLFLOW_", name)}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    place = {"PYTHONPATH": str(side.checkout), "RAJOBS_CACHE": str(side.out / "cache"), "RAJOBS_KEY": KEY}
    return kept | threads | place | {"CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def cluster(side: Side) -> Iterator[dict[str, str]]:
    """A Ray cluster of one core, as variables: a sweep's trials, which can stop each other, then run in turn."""
    line, log = [sys.executable, "-c", CLUSTER], (side.out / "logs" / "ray.txt").open("w")
    there = environment(side) | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for _ in range(STARTS):
        with subprocess.Popen(line, env=there, text=True, stdin=PIPE, stdout=PIPE, stderr=log) as process:
            assert process.stdout is not None
            if address := process.stdout.readline().strip():
                yield there | {"RAY_ADDRESS": address}
                return
    sys.exit(f"Ray did not start; {log.name} says why")


def run(side: Side, name: str, command: str, variables: Mapping[str, str]) -> float:
    """Run one command; the seconds that it took."""
    start, log = time.monotonic(), side.out / "logs" / f"{name.replace(' ', '-')}.txt"
    line = [sys.executable, "-m", "rajobs", *(part.format(out=side.out) for part in command.split())]
    with log.open("w") as file:
        status = subprocess.run(line, cwd=side.checkout, env=variables, stdout=file, stderr=file).returncode
    if status:
        sys.exit(f"{side.name}: {name} failed with status {status}; {log} ends with\n{log.read_text()[-2000:]}")
    seconds = time.monotonic() - start
    print(f"{side.name:8}{name:30}{seconds:6.0f} s", flush=True)
    return seconds


def report(kinds: Sequence[str], before: Path, after: Path) -> list[str]:
    """Print a row for each kind of output, then the differences; the latter."""
    heads = ("equal", "in every byte", "different", "only before", "only after")
    print(f"\n{'':36}" + "".join(f"{head:>15}" for head in heads))
    lines = []
    for kind in kinds:
        counts, of_kind = compare(kind, before, after)
        print(f"{kind:36}" + "".join(f"{count:15}" for count in counts))
        lines += of_kind if len(of_kind) <= MOST_OF_A_KIND else [*of_kind[:MOST_OF_A_KIND], f"{kind}: and so on"]
    print("", *lines, "different" if lines else "equal", sep="\n")
    return lines


def compare(kind: str, before: Path, after: Path) -> tuple[tuple[int, ...], list[str]]:
    """Counts of a kind's files, by their names, and the differences; a kind without any file proves nothing."""
    old = {renamed(name): path for name, path in outputs(before, kind).items()}
    new = outputs(after, renamed(kind))
    both = sorted(old.keys() & new.keys())
    same = sum(sha256(old[name]) == sha256(new[name]) for name in both)
    different = {name: lines for name in both if (lines := file_differences(kind, old[name], new[name]))}
    lines = [f"{name}: {line}" for name in different for line in different[name][:MOST_OF_A_FILE]]
    lines += [f"{name}: only in {'BEFORE' if name in old else 'AFTER'}" for name in sorted(old.keys() ^ new.keys())]
    counts = (len(both) - len(different), same, len(different), len(old) - len(both), len(new) - len(both))
    return counts, lines if both or lines else [f"{kind}: neither side has any"]


def outputs(side: Path, pattern: str) -> dict[str, Path]:
    """Files by their path, without the folders that are named by a hash; arrays by their content."""
    paths = {}
    for path in filter(Path.is_file, sorted(side.glob(pattern))):
        name = re.sub(r"/[0-9a-f]{16}(?=/)", "", path.relative_to(side).as_posix())
        paths[f"array {sha256(path)[:16]}" if path.suffix == ".npy" else name] = path
    return paths


def renamed(name: str) -> str:
    """A name of BEFORE as AFTER has it: the whole name, or each part of a path or of a dotted name."""
    return RENAMES.get(name) or "".join(RENAMES.get(part, part) for part in re.split(r"([./])", name))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_differences(kind: str, old: Path, new: Path) -> list[str]:
    """What differs in the contents of two files; a phantom's files must be the same bytes."""
    if sha256(old) == sha256(new):
        return []
    if kind.startswith("phantom"):
        return [f"other bytes ({old.stat().st_size} of them, now {new.stat().st_size})"]
    return list(differences(contents(old, renamed), contents(new, str)))


def contents(path: Path, rename: Callable[[str], str]) -> Any:
    """What a file holds, as values by name; of Parquet the table alone."""
    if path.suffix in (".json", ".toml"):
        return plain((tomllib.loads if path.suffix == ".toml" else json.loads)(path.read_text()), rename)
    if path.suffix == ".safetensors":
        tensors = {rename(name): tensor for name, tensor in load_file(path).items()}
        return {name: {"type": f"{t.dtype} {t.shape}", "values": t.ravel().tolist()} for name, t in tensors.items()}
    if path.suffix not in (".parquet", ".csv"):
        return {"bytes": sha256(path)}
    table = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
    table = table.drop_columns([name for name in table.column_names if name in COLUMNS_LEFT_OUT])
    types = {"types": {rename(field.name): str(field.type) for field in table.schema}}
    return types | {f"column {rename(name)}": plain(table[name].to_pylist(), rename) for name in table.column_names}


def plain(value: Any, rename: Callable[[str], str]) -> Any:
    """The same with its keys renamed and sorted, without those that are left out; JSON in a text is read.

    JSON has one kind of number: 20 and 20.0 are equal in a text, while in a column types are compared.
    """
    if isinstance(value, str) and value.startswith("{"):
        return plain(json.loads(value, parse_int=float), rename)
    if isinstance(value, dict):
        kept = {rename(name): plain(item, rename) for name, item in value.items() if name not in KEYS_LEFT_OUT}
        return dict(sorted(kept.items()))
    return [plain(item, rename) for item in value] if isinstance(value, list) else value


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Where two values differ, by the names that lead there; `repr` shows every bit of a float, and NaN equals NaN."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            way = f"{place} {name}".strip()
            if name in old and name in new:
                yield from differences(old[name], new[name], way)
            else:
                yield f"{way}: only in {'BEFORE' if name in old else 'AFTER'}"
    elif isinstance(old, list) and isinstance(new, list):
        wrong = [at for at, (one, other) in enumerate(zip(old, new)) if repr(one) != repr(other)]
        if len(old) != len(new):
            yield f"{place}: {len(old)} values, now {len(new)}"
        elif wrong:
            first = f"{wrong[0]}: {repr(old[wrong[0]])[:60]}, now {repr(new[wrong[0]])[:60]}"
            apart = at_most([old[at] for at in wrong], [new[at] for at in wrong])
            yield f"{place}: {len(wrong)} of {len(old)} differ{apart}; the first is {first}"
    elif repr(old) != repr(new):
        yield f"{place}: {repr(old)[:60]}, now {repr(new)[:60]}{at_most(old, new)}"


def at_most(old: object, new: object) -> str:
    """How far numbers are apart; nothing where they are something else."""
    try:
        apart = np.abs(np.asarray(old, np.float64) - np.asarray(new, np.float64))
    except (TypeError, ValueError):
        return ""
    return f", by {np.nanmax(apart):.3g} at most" if np.isfinite(apart).any() else ""


if __name__ == "__main__":
    main()
