"""rajobs status: what is done and what is left of a job's output, by its parts and its manifest."""

import json
import re
from collections.abc import Callable

from rajobs.jobs import console
from rajobs.learning.bundle_description import BUNDLE, BundleDescription, read_description
from rajobs.records.errors import StoreError
from rajobs.records.manifest import PLAN, RUN, check_schema, read_manifest
from rajobs.records.store import Store, lease, open_store

UNDER_WAY = "under way or stopped: the same command resumes"
_VERSION = re.compile(r"[0-9a-f]{16}")


def status(out: str) -> None:
    """Print the state of an output of ingest, score or evaluate, of a model, or of models and sweeps in a folder."""
    store = open_store(out)
    run = json.loads(store.get(RUN)) if store.stat(RUN) else {}
    check_schema(store, run)
    if store.stat(BUNDLE):
        console.table(out, _model_rows(read_description(store, "")))
    elif run.get("job", "tune") == "tune":  # a sweep shares its folder with a study's models
        console.table(out, _folder_rows(out, store))
    else:
        console.table(out, _run_rows(store, run["job"]))


def _run_rows(store: Store, job: str) -> dict[str, object]:
    """The state of a job with its own OUT."""
    manifest = read_manifest(store)
    rows: dict[str, object] = {"job": job}
    count_done, left = DONE_PARTS.get(job), 0
    if count_done is not None:
        done = count_done(store)
        total = json.loads(store.get(PLAN))["total"] if store.stat(PLAN) else done
        left = max(total - done, 0)
        rows |= {"parts done": done, "parts left": left}
    finished = manifest is not None or store.stat("report.html") is not None
    holder = lease.describe(store)
    rows["state"] = f"under way: {holder}" if holder else "finished" if finished and not left else UNDER_WAY
    if manifest is not None and "counts" in manifest:
        rows |= {name: value for name, value in manifest["counts"].items() if isinstance(value, int)}
    return rows


def _count_markers(store: Store) -> int:
    return len({lease.without_number(entry.key) for entry in store.list("shards/")})


def _count_ledgers(store: Store) -> int:
    return len({lease.without_number(entry.key) for entry in store.list("ledger/")})


DONE_PARTS: dict[str, Callable[[Store], int]] = {"ingest": _count_markers, "score": _count_ledgers}


def _model_rows(description: BundleDescription) -> dict[str, object]:
    """How a model was made, and its figures on the validation part."""
    origin = description.origin
    figures = {f"{name} (validation)": console.figure(figure) for name, figure in description.validation.items()}
    return {
        "job": "train", "state": "finished", "study": origin.study, "mode": origin.mode, "seed": origin.seed,
        "budget": origin.budget, **{f"rows, {part}": count for part, count in description.rows.items()}, **figures,
    }  # fmt: skip


def _folder_rows(out: str, store: Store) -> dict[str, object]:
    """Models and sweeps: several runs share a folder, one per study."""
    rows: dict[str, object] = {}
    # OUT may be a study's folder, or a model's: then the names above a file are part of OUT.
    above = ["", "", "", *store.uri.rstrip("/").split("/")][-3:]
    for entry in store.list():
        _add_file([*above, *entry.key.split("/")], rows)
    if not rows:
        raise StoreError(f"there is no output of rajobs at {out}")
    return rows


def _add_file(path: list[str], rows: dict[str, object]) -> None:
    """Add what a file's place says about a model or a sweep.

    Places: STUDY/VERSION/bundle.json, STUDY/trials/SPACE/00000.json, STUDY/VERSION/checkpoints/..., and
    STUDY/checkpoints/...
    """
    if path[-1] == BUNDLE:
        rows[f"{path[-3]} model {path[-2]}"] = "finished"
    elif path[-3] == "trials" and path[-1].endswith(".json"):
        name = f"{path[-4]} trials ended"
        before = rows.get(name, 0)
        rows[name] = (before if isinstance(before, int) else 0) + 1
    elif "checkpoints" in path[2:]:
        *_, study, run = path[: path.index("checkpoints", 2)]
        name = f"{study} model {run}" if _VERSION.fullmatch(run) else f"{run} trials"
        rows.setdefault(name, UNDER_WAY)
