"""rajobs status: what is done and what is left of a job's output, from its parts and its manifest."""

import json
import re
from collections.abc import Callable
from typing import Any

from rajobs.jobs import console
from rajobs.records.errors import StoreError
from rajobs.records.manifest import PLAN, RUN, read_manifest
from rajobs.records.store import Store, open_store

BUNDLE = "bundle.json"  # learning/bundle.py's own name for it comes with torch
UNDER_WAY = "under way or stopped: the same command goes on"
_VERSION = re.compile(r"[0-9a-f]{16}")


def status(out: str) -> None:
    """Tell of an output of ingest, score or evaluate, of a model, or of the models and sweeps below a folder."""
    store = open_store(out)
    run = json.loads(store.get(RUN)) if store.stat(RUN) else {}
    if store.stat(BUNDLE):
        console.table(out, _model(json.loads(store.get(BUNDLE))))
    elif run.get("job", "tune") == "tune":  # a sweep shares its folder with a study's models
        _folders(out, store)
    else:
        _run(out, store, run["job"])


def _run(out: str, store: Store, job: str) -> None:
    """A job with an OUT of its own."""
    manifest = read_manifest(store)
    rows: dict[str, object] = {"job": job}
    counted, left = DONE.get(job), 0
    if counted is not None:
        done = counted(store)
        total = json.loads(store.get(PLAN))["total"] if store.stat(PLAN) else done
        left = max(total - done, 0)
        rows |= {"parts done": done, "parts left": left}
    finished = manifest is not None or store.stat("report.html") is not None
    rows["state"] = "finished" if finished and not left else UNDER_WAY
    if manifest is not None and "counts" in manifest:
        rows |= {name: value for name, value in manifest["counts"].items() if isinstance(value, int)}
    console.table(out, rows)


def _marks(store: Store) -> int:
    return sum(1 for _ in store.list("shards/"))


def _ledgers(store: Store) -> int:
    return sum(1 for _ in store.list("ledger/"))


DONE: dict[str, Callable[[Store], int]] = {"ingest": _marks, "score": _ledgers}


def _model(told: dict[str, Any]) -> dict[str, object]:
    """A bundle's description: how it was made, and what it came to on the validation part."""
    rows: dict[str, object] = {"job": "train", "state": "finished"}
    rows |= {name: told[name] for name in ("study", "mode", "seed", "budget")}
    rows |= {f"rows, {part}": count for part, count in told["rows"].items()}
    return rows | {f"{name} (validation)": console.figure(figure) for name, figure in told["validation"].items()}


def _folders(out: str, store: Store) -> None:
    """Models and sweeps: several runs share a folder, a study each."""
    rows: dict[str, object] = {}
    # OUT may be a study's folder, or a model's: the names above a file then stand in the place itself.
    above = ["", "", "", *store.uri.rstrip("/").split("/")][-3:]
    for entry in store.list():
        _tell_of([*above, *entry.key.split("/")], rows)
    if not rows:
        raise StoreError(f"there is no output of rajobs at {out}")
    console.table(out, rows)


def _tell_of(path: list[str], rows: dict[str, object]) -> None:
    """What a file says of a model or a sweep, by its place: STUDY/VERSION/bundle.json, STUDY/trials/SPACE/00000.json,
    STUDY/VERSION/checkpoints/... or STUDY/checkpoints/..."""
    if path[-1] == BUNDLE:
        rows[f"{path[-3]} model {path[-2]}"] = "finished"
    elif path[-3] == "trials" and path[-1].endswith(".json"):
        name = f"{path[-4]} trials ended"
        held = rows.get(name, 0)
        rows[name] = (held if isinstance(held, int) else 0) + 1
    elif "checkpoints" in path[2:]:
        *_, study, run = path[: path.index("checkpoints", 2)]
        name = f"{study} model {run}" if _VERSION.fullmatch(run) else f"{run} trials"
        rows.setdefault(name, UNDER_WAY)
