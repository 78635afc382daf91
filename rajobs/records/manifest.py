"""What makes an output one run: its identity, put first, and its manifest, put last."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from rajobs import __version__
from rajobs.records.errors import BadKey, WrongOutput
from rajobs.records.store import Store
from rajobs.records.tables.schemas import SCHEMA_VERSION

RUN = "run.json"
MANIFEST = "manifest.json"
PLAN = "plan.json"
MOST_SHOWN = 40  # characters of a value that a line can still be read with
_HASH = re.compile(r"[0-9a-f]{12,}")
_OTHERS = {
    "studies": "other models", "bundles": "other models", "data": "other data", "predictions": "other predictions",
    "space": "another tune space",
}  # fmt: skip


def to_json(value: Any) -> bytes:
    """JSON with one form for one content; a figure that is no number (an AUC of one class) is null."""
    return json.dumps(_plain(value), allow_nan=False, sort_keys=True, indent=1, ensure_ascii=True).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def digest(value: Any) -> str:
    """A short hash of anything JSON can hold."""
    return hashlib.sha256(to_json(value)).hexdigest()[:16]


def check_claim(store: Store, job: str, identity: dict[str, Any], *, shared: bool = False) -> bool:
    """Whether OUT is ours already; WrongOutput (or BadKey) if it is somebody else's. Writes nothing.

    In a `shared` place files of other jobs may lie beside the run's own.
    """
    if store.stat(RUN) is None:
        if not shared and next(iter(store.list()), None) is not None:
            raise WrongOutput(f"{store.uri} holds files that no rajobs {job} wrote; choose an empty place for OUT")
        return False
    held = _held(store)
    wanted = _run(job, identity)
    if "job" not in held:
        raise WrongOutput(f"{store.uri} holds a {RUN} that no rajobs {job} wrote; choose an empty place for OUT")
    if held["job"] != job:
        raise WrongOutput(f"{store.uri} holds the output of rajobs {held['job']}, not of {job}; choose another OUT")
    for name, value in wanted.items():
        if held.get(name) == value:
            continue
        if name == "key":
            raise BadKey(f"{store.uri} was made with another key (fingerprint {held.get(name)}, this one is {value})")
        raise WrongOutput(f"{store.uri} was made {_unlike(name, held.get(name), value)}; choose another OUT")
    return True


def _unlike(name: str, held: Any, wanted: Any) -> str:
    """In what a run differs, with the values where they tell a person anything: hashes and lists of them do not."""
    if held is None:
        return f"without {name}"
    if wanted is None:
        return f"with {name}"
    if _tells(held) and _tells(wanted):
        return f"with {name} {held}, not {wanted}"
    return f"with {_OTHERS.get(name, f'another {name}')}"


def _tells(value: Any) -> bool:
    """Whether a value can be shown in a line."""
    return isinstance(value, str | int | float) and len(str(value)) <= MOST_SHOWN and not _HASH.fullmatch(str(value))


def _held(store: Store) -> dict[str, Any]:
    try:
        return dict(json.loads(store.get(RUN)))
    except (ValueError, TypeError):
        return {}  # a file of that name, but none of ours


def refuse_others(store: Store, job: str) -> None:
    """WrongOutput where OUT, a folder that several runs share, is another job's output."""
    if store.stat(RUN) is not None:
        raise WrongOutput(f"{store.uri} holds the output of another job; choose another place for {job}")


def claim(store: Store, job: str, identity: dict[str, Any], *, shared: bool = False) -> None:
    """Make OUT this run's, or find that it is."""
    if not check_claim(store, job, identity, shared=shared):
        store.put(RUN, to_json(_run(job, identity)))


def _run(job: str, identity: dict[str, Any]) -> dict[str, Any]:
    return {"job": job, "schema": SCHEMA_VERSION, **identity}


def put_plan(store: Store, total: int) -> None:
    """How many parts there will be: what `rajobs status` measures by."""
    store.put(PLAN, to_json({"total": total}))


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest, or None while a run is under way."""
    return json.loads(store.get(MANIFEST)) if store.stat(MANIFEST) else None


def put_manifest(store: Store, content: dict[str, Any]) -> None:
    """Write the manifest: the last act of a job. The same manifest is not written twice."""
    data = to_json({"version": __version__, "schema": SCHEMA_VERSION, **content})
    if store.stat(MANIFEST) is None or store.get(MANIFEST) != data:
        store.put(MANIFEST, data)
