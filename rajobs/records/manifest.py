"""A run's identity, which is written first into its output, and its manifest, which is written last."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from rajobs import __version__
from rajobs.records.errors import BadKey, WrongOutput, describe_other_schema
from rajobs.records.store import Store, lease
from rajobs.records.tables.schemas import SCHEMA_VERSION

RUN = "run.json"
MANIFEST = "manifest.json"
PLAN = "plan.json"
LONGEST_SHOWN = 40  # characters; a longer value would make a message unreadable
_HASH = re.compile(r"[0-9a-f]{12,}")
_DIFFERENCES = {
    "studies": "other models", "bundles": "other models", "data": "other data", "predictions": "other predictions",
    "space": "another tune space",
}  # fmt: skip


def to_json(value: object) -> bytes:
    """JSON, the same bytes for the same content; NaN (the AUC of a single class) becomes null."""
    text = json.dumps(_to_json_types(value), allow_nan=False, sort_keys=True, indent=1, ensure_ascii=True)
    return text.encode() + b"\n"


def _to_json_types(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _to_json_types(element) for key, element in value.items()}
    return [_to_json_types(element) for element in value] if isinstance(value, list | tuple) else value


def digest(value: object) -> str:
    """A short hash of anything JSON can hold."""
    return hashlib.sha256(to_json(value)).hexdigest()[:16]


def check_claim(store: Store, job: str, identity: Mapping[str, object], *, shared: bool = False) -> bool:
    """Whether OUT already belongs to this run; WrongOutput or BadKey if it belongs to another. Writes nothing.

    A `shared` OUT may have files of other jobs in it.
    """
    if store.stat(RUN) is None:
        if not shared and any(not entry.key.startswith(f"{lease.FOLDER}/") for entry in store.list()):
            raise WrongOutput(f"{store.uri} holds files that no rajobs {job} wrote; choose an empty place for OUT")
        return False
    owner = _read_run(store)
    if "job" not in owner:
        raise WrongOutput(f"{store.uri} holds a {RUN} that no rajobs {job} wrote; choose an empty place for OUT")
    if owner["job"] != job:
        raise WrongOutput(f"{store.uri} holds the output of rajobs {owner['job']}, not of {job}; choose another OUT")
    check_schema(store, owner)
    for name, value in _run_content(job, identity).items():
        earlier = owner.get(name)
        if earlier == value:
            continue
        if name == "key":
            raise BadKey(
                f"{store.uri} was made with another key (fingerprint {earlier}, this one is {value}); "
                "use that key or choose another OUT"
            )
        raise WrongOutput(f"{store.uri} was made {_describe_difference(name, earlier, value)}; choose another OUT")
    return True


def _describe_difference(name: str, earlier: object, value: object) -> str:
    """How a run's setting differed, with both values unless they are hashes or lists, which say nothing to a person."""
    if earlier is None:
        return f"without {name}"
    if value is None:
        return f"with {name}"
    if _is_readable(earlier) and _is_readable(value):
        return f"with {name} {earlier}, not {value}"
    return f"with {_DIFFERENCES.get(name, f'another {name}')}"


def _is_readable(value: object) -> bool:
    """Whether a value says something to a person in a message."""
    return isinstance(value, str | int | float) and len(str(value)) <= LONGEST_SHOWN and not _HASH.fullmatch(str(value))


def _read_run(store: Store) -> dict[str, Any]:
    try:
        return dict(json.loads(store.get(RUN)))
    except (ValueError, TypeError):
        return {}  # a file of that name that no job wrote


def refuse_others(store: Store, job: str) -> None:
    """WrongOutput if OUT, a folder that several runs share, is itself another job's output."""
    if store.stat(RUN) is not None:
        raise WrongOutput(f"{store.uri} holds the output of another job; choose another place for {job}")


def claim(store: Store, job: str, identity: Mapping[str, object], *, shared: bool = False) -> None:
    """Make OUT this run's unless it already is."""
    if not check_claim(store, job, identity, shared=shared):
        store.put(RUN, to_json(_run_content(job, identity)))


def _run_content(job: str, identity: Mapping[str, object]) -> dict[str, object]:
    return {"job": job, "schema": SCHEMA_VERSION, **identity}


def put_plan(store: Store, total: int) -> None:
    """Write how many parts there will be, for `rajobs status`."""
    store.put(PLAN, to_json({"total": total}))


def read_manifest(store: Store) -> dict[str, Any] | None:
    """The manifest, or None while the run is not done; WrongOutput if it is of another schema."""
    if store.stat(MANIFEST) is None:
        return None
    manifest: dict[str, Any] = json.loads(store.get(MANIFEST))
    check_schema(store, manifest)
    return manifest


def check_schema(store: Store, content: Mapping[str, Any]) -> None:
    """WrongOutput if a run's identity or manifest is of another schema: its tables have other columns."""
    schema = content.get("schema", SCHEMA_VERSION)
    if schema != SCHEMA_VERSION:
        raise WrongOutput(describe_other_schema(store.uri, schema, SCHEMA_VERSION, content["job"]))


def put_manifest(store: Store, content: Mapping[str, object]) -> None:
    """Write the manifest, a job's last object. An equal manifest is not written again."""
    data = to_json({"version": __version__, "schema": SCHEMA_VERSION, **content})
    if store.stat(MANIFEST) is None or store.get(MANIFEST) != data:
        store.put(MANIFEST, data)
