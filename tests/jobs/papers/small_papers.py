"""Squares in place of films and scans, and the papers' recipes with networks as small as they."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.coding import encode, preview
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import Study
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS

SIDE = 24
PARTS = ["train"] * 3 + ["validation"] * 2 + ["test"] * 2
VIEWS = ("unilateral", "both", "foot", "other")


def put_data(place: Path) -> str:
    """Films of each view and scans of each grade: noise, whose brightness follows the class."""
    images, labels = [], []
    rows = [("hand_filter", "view", "DX", at, view) for at, view in enumerate(VIEWS)]
    rows += [("ultrasound_grading", "grade", "US", grade, str(grade)) for grade in range(4)]
    for study, target, modality, bright, value in rows:
        for number, part in enumerate(PARTS):
            name = f"{target}{value}{number}"
            rng = np.random.default_rng([bright, number])
            pixels = rng.integers(0, 20, (SIDE, SIDE, 3), dtype=np.uint8) + np.uint8(30 + 50 * bright)
            pixels = pixels if modality == "US" else pixels[..., 0].copy()
            images.append({
                "image_id": name, "patient": f"p-{name}", "frame": 0, "modality": modality, "rows": SIDE,
                "columns": SIDE, "bits": 8, "doppler": modality == "US", "sex": "F", "age_years": 60,
                "preview": preview(pixels, None), "pixels": encode(pixels),
            })  # fmt: skip
            labels.append({
                "image_id": name, "study": study, "target": target, "value": value, "reader": "truth", "split": part,
            })  # fmt: skip
    store = open_store(str(place))
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return str(place)


def _small(study: Study, architecture: str, settings: Mapping[str, object], size: int) -> Study:
    """The study with the same members on small networks, for two epochs."""

    def member(own: Member) -> Member:
        return replace(own, architecture=architecture, settings=settings, weights="none")

    def recipe(own: Recipe) -> Recipe:
        training = replace(own.training, epochs=1, batch_size=8, learning_rate=1e-3, copies=2)
        members = tuple(map(member, own.members))
        return replace(own, members=members, training=training, view={**own.view, "size": size})

    recipes = {name: recipe(own) for name, own in study.recipes.items() if name.startswith("published")}
    return replace(study, recipes=recipes)


@contextmanager
def small_recipes() -> Iterator[None]:
    """Papers 003 and 002 with small networks."""
    filter_study, scans = studies.find("hand_filter"), studies.find("ultrasound_grading")
    with pytest.MonkeyPatch.context() as patch:
        small = _small(filter_study, "conv4", {"head": "pool", "hidden": 8}, 16)
        patch.setattr("rajobs.studies.hand_filter.STUDY", small)
        small = _small(scans, "compact", {"width": 4, "stages": 2}, 16)
        patch.setattr("rajobs.studies.ultrasound_grading.STUDY", small)
        yield
