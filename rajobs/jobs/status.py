"""rajobs status: what is done and what is left of a job's output, from its parts and its manifest."""

import json
from collections.abc import Callable

from rajobs.jobs import say
from rajobs.records.errors import StoreError
from rajobs.records.manifest import PLAN, RUN, read_manifest
from rajobs.records.store import Store, open_store


def status(out: str) -> None:
    """Tell of an output of ingest, score or evaluate, or of the models and sweeps below a folder."""
    store = open_store(out)
    if store.stat(RUN) is None:
        _folders(out, store)
        return
    job = json.loads(store.get(RUN))["job"]
    manifest = read_manifest(store)
    rows: dict[str, object] = {"job": job}
    counted = DONE.get(job)
    if counted is not None:
        done = counted(store)
        total = json.loads(store.get(PLAN))["total"] if store.stat(PLAN) else done
        rows |= {"parts done": done, "parts left": max(total - done, 0)}
    finished = manifest is not None or store.stat("report.html") is not None
    rows["state"] = "finished" if finished else "under way or stopped: the same command goes on"
    if manifest is not None and "counts" in manifest:
        rows |= {name: value for name, value in manifest["counts"].items() if isinstance(value, int)}
    say.table(out, rows)


def _marks(store: Store) -> int:
    return sum(1 for _ in store.list("shards/"))


def _ledgers(store: Store) -> int:
    return sum(1 for _ in store.list("ledger/"))


DONE: dict[str, Callable[[Store], int]] = {"ingest": _marks, "score": _ledgers}


def _folders(out: str, store: Store) -> None:
    """Models and sweeps: several runs share a folder, a study each."""
    rows: dict[str, object] = {}
    for entry in store.list():
        parts = entry.key.split("/")
        if parts[-1] == "bundle.json":
            rows[f"{parts[0]} model"] = parts[-2]
        elif "checkpoints" in parts:
            rows.setdefault(f"{parts[0]} model {parts[1]}", "under way or stopped: the same command goes on")
        elif len(parts) > 2 and parts[1] == "trials" and parts[-1].endswith(".json"):
            name = f"{parts[0]} trials ended"
            held = rows.get(name, 0)
            rows[name] = (held if isinstance(held, int) else 0) + 1
    if not rows:
        raise StoreError(f"there is no output of rajobs at {out}")
    say.table(out, rows)
