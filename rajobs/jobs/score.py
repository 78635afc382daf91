"""rajobs score: a cohort's images asked every question there is a model for, in one pass, into tables."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray

from rajobs import studies
from rajobs.imaging.rows import FILM_MODALITIES, derive
from rajobs.jobs import cluster, say
from rajobs.jobs.evaluate import previews
from rajobs.learning.bundle import Model, find_bundles, read_description
from rajobs.learning.ensemble import P
from rajobs.learning.prepared import draw
from rajobs.learning.study import Study
from rajobs.records.errors import NotThereYet, StoreError, UsageError
from rajobs.records.manifest import check_claim, claim, digest, put_manifest, put_plan, read_manifest
from rajobs.records.parts import parts, read_part, read_table, to_csv, to_parquet
from rajobs.records.schema import FILMS, IMAGES, LEDGER, VIEWS
from rajobs.records.store import Store, absolute, open_store
from rajobs.reports.scoring import pick_previews, score_page

PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A link of the chain: the study that answers, of which rows, into which table."""

    study: str
    table: str
    keeps: tuple[str, ...] = ()  # answers after which an image goes on to the next step


CHAIN = (Step(study="hand_filter", table="films", keeps=("unilateral", "both")),)
"""What score asks, in order. A study that is not in it yet has no table yet."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a person asks of score."""

    data: str
    models: str
    out: str
    limit: int | None = None
    ray: str | None = None


def score(order: Order) -> str:
    """Score every image that is not scored yet; the place of the page."""
    if order.models == "builtin":
        raise NotThereYet("this version ships no built-in models; train some, or name a folder of bundles")
    if order.limit is not None and order.limit < 1:
        raise UsageError(f"--limit must be 1 or more, not {order.limit}")
    data, models, store = open_store(order.data), open_store(order.models), open_store(order.out)
    manifest = read_manifest(data)
    if manifest is None or manifest.get("job") != "ingest":
        raise StoreError(f"{order.data} holds no finished ingest; run `rajobs ingest SRC {order.data}` first")
    folders = {step.study: find_bundles(models, step.study) for step in CHAIN}
    if not any(folders.values()):
        raise StoreError(f"{order.models} holds no model of {', '.join(folders)}; run `rajobs train` first")
    hashes = sorted(read_description(models, f)["hash"] for found in folders.values() for f in found)
    identity = {"key": manifest["key"], "models": hashes}
    check_claim(store, "score", identity)
    done = read_manifest(store)
    wanted = digest([manifest["hash"], hashes, order.limit])
    if done and done.get("input") == wanted:
        say.line(f"nothing to do: {order.out} holds these tables already")
        return f"{order.out}/{PAGE}"
    claim(store, "score", identity)
    todo = _todo(data, store, order.limit)
    put_plan(store, len(parts(store, "ledger")) + len(todo))
    if todo:
        with cluster.connected(order.ray), say.Progress("scoring parts", len(todo)) as progress:
            _run(order, folders, todo, progress)
    return _finish(order, data, store, wanted, identity)


def _todo(data: Store, store: Store, limit: int | None) -> list[str]:
    """Keys of the images parts that have no ledger part yet; of the first ones, where there is a limit.

    A part that ingest has written again since, without what an earlier archive holds, takes its scores with it.
    """
    keys = parts(data, "images")
    named = {key.rpartition("/")[2] for key in keys}
    for folder in ("ledger", "films"):  # the ledger's part first: without it the other is no part
        for key in parts(store, folder):
            if key.rpartition("/")[2] not in named:
                store.delete(key)
    there = {key.rpartition("/")[2] for key in parts(store, "ledger")}
    if limit is not None:
        counts = np.cumsum([read_part(data, key, IMAGES, ["image_id"]).num_rows for key in keys])
        keys = keys[: int(np.searchsorted(counts, limit)) + 1]
    return [key for key in keys if key.rpartition("/")[2] not in there]


def _run(order: Order, folders: Mapping[str, list[str]], todo: list[str], progress: say.Progress) -> None:
    gpus = int(ray.cluster_resources().get("GPU", 0))
    workers = min(len(todo), gpus or int(ray.cluster_resources()["CPU"]))
    items = [{"key": key} for key in todo]
    arguments = (absolute(order.data), absolute(order.models), absolute(order.out), dict(folders))
    spread = (1, max(workers, 1))
    for done in cluster.each(items, Scorer, arguments, workers=spread, num_gpus=1 if gpus else None):
        progress.step(note=f"{done['images']} images in the last")


class Scorer:
    """One worker: its models loaded once, then part after part. Pixels stay within it."""

    def __init__(self, data: str, models: str, out: str, folders: Mapping[str, list[str]]) -> None:
        self.data, self.out = open_store(data), open_store(out)
        place = open_store(models)
        self.models = {
            step.study: [Model.load(place, folder, studies.find(step.study)) for folder in folders[step.study]]
            for step in CHAIN
        }

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        key = item["key"]
        columns = ["image_id", "patient", "visit_date", "derived_from", "modality", "rows", "columns"]
        images = read_part(self.data, key, IMAGES, columns)
        films = self._films(key, images)
        name = key.rpartition("/")[2]
        self.out.put(f"films/{name}", to_parquet(FILMS.rows(films), FILMS))
        # The ledger's part comes last: where it is, the part is done.
        self.out.put(f"ledger/{name}", to_parquet(LEDGER.rows(_ledger(images, films)), LEDGER))
        return {"images": images.num_rows}

    def _films(self, key: str, images: pa.Table) -> list[dict[str, object]]:
        step = CHAIN[0]
        rows = derive(studies.find(step.study).rows, images, {})
        told = images.to_pylist()
        votes = [self._ask(key, model, rows) for model in self.models[step.study]]
        p = np.mean(votes, axis=0)
        apart = np.max(votes, axis=0) - np.min(votes, axis=0)
        bundles = [model.hash for model in self.models[step.study]]
        films = []
        for at, row in enumerate(rows):
            view = VIEWS[int(p[at].argmax())]
            films.append({
                "image_id": row.image_id, "patient": told[row.at]["patient"], "visit_date": told[row.at]["visit_date"],
                "view": view, **{f"{name}_p": float(value) for name, value in zip(VIEWS, p[at])},
                "disagreement": float(apart[at].max()) if len(votes) > 1 else None,
                "fate": "kept" if view in step.keeps else "no-hand", "bundles": bundles,
            })  # fmt: skip
        return films

    def _ask(self, key: str, model: Model, rows: list[Any]) -> P:
        study: Study = model.study
        arrays = draw(self.data, key, study.view, model.recipe.view, rows)
        return model.answer(arrays[:, None])[study.targets[0].name][0]


def _ledger(images: pa.Table, films: list[dict[str, object]]) -> list[dict[str, object]]:
    fate = {film["image_id"]: film for film in films}
    rows: list[dict[str, object]] = []
    for image in images.select(["image_id", "modality"]).to_pylist():
        film = fate.get(image["image_id"])
        if film is None:
            told = {"fate": "no-model", "why": f"no step of this version takes {image['modality']}"}
            assert image["modality"] not in FILM_MODALITIES
        else:
            told = {"fate": str(film["fate"]), "why": f"hand_filter: {film['view']}"}
        rows.append({"image_id": image["image_id"], **told, "hands": 0, "joints": 0})
    return rows


def _finish(order: Order, data: Store, store: Store, wanted: str, identity: Mapping[str, Any]) -> str:
    films = read_table(store, "films", FILMS).sort_by("image_id")
    ledger = read_table(store, "ledger", LEDGER).sort_by("image_id")
    if store.stat("films.csv"):
        for key in ("films.csv", "ledger.csv", PAGE):
            store.delete(key)
    store.put("films.csv", to_csv(films))
    store.put("ledger.csv", to_csv(ledger))
    fates = Counter(ledger.column("fate").to_pylist())
    views = Counter(films.column("view").to_pylist())
    asked = {step.study for step in CHAIN}
    missing = [name for name in [*studies.names(), *studies.to_come()] if name not in asked]
    content = {
        "job": "score", **identity, "input": wanted, "images": ledger.num_rows, "films": films.num_rows,
        "fates": dict(sorted(fates.items())), "views": dict(sorted(views.items())), "without_model": missing,
    }  # fmt: skip
    intake = (read_manifest(data) or {})["counts"]
    told = {"intake": intake, "ultrasound": ledger.num_rows - films.num_rows}
    page = score_page(told, films, previews(data, set(pick_previews(films))), missing)
    store.put(PAGE, page.encode())
    put_manifest(store, content)
    say.table("scored", {"images": ledger.num_rows, "films": films.num_rows, **fates})
    say.line(f"tables: {order.out}/films  ledger\nreport: {order.out}/{PAGE}")
    return f"{order.out}/{PAGE}"
