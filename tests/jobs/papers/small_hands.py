"""Dots in place of hands with labels of papers 001 and 004, and their recipes with networks as small as they."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rajobs import studies
from rajobs.imaging.coding import encode, preview
from rajobs.learning.recipe import Member, Recipe
from rajobs.learning.study import Study
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.manifest import to_json
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import to_parquet
from rajobs.records.tables.schemas import IMAGES, LABELS

SIDE = 96
PARTS = ["train"] * 3 + ["validation"] * 1 + ["test"] * 2
STAGES = 6


def put_hands(place: Path) -> str:
    """Films of one hand each at every stage, read by two readers, of which the second sees more."""
    images, labels = [], []
    for stage in range(STAGES):
        for number, part in enumerate(PARTS):
            name = f"hand{stage}{number}"
            rng = np.random.default_rng([stage, number])
            pixels = rng.integers(0, 20, (SIDE, SIDE), dtype=np.uint8) + np.uint8(30 + 25 * stage)
            images.append({
                "image_id": name, "patient": f"p-{name}", "frame": 0, "modality": "DX", "rows": SIDE, "columns": SIDE,
                "bits": 8, "doppler": False, "sex": "FM"[number % 2], "age_years": 50 + 3 * stage + number,
                "preview": preview(pixels, None), "pixels": encode(pixels),
            })  # fmt: skip
            values = [("ra_recognition", "ra", "", str(int(stage > 0)), ("truth",)),
                      ("ra_staging", "stage", "", str(stage), ("truth",))]  # fmt: skip
            for at, site in enumerate(FINGER_JOINTS):
                x, y = 12 + 16 * (at % 5), 20 + 40 * (at // 5) + int(rng.integers(0, 4))
                jsn, erosion = min(stage, 4), min((stage + at) % 7, 5)
                values += [
                    ("joint_detection", "x", site, str(x), ("truth",)),
                    ("joint_detection", "y", site, str(y), ("truth",)),
                ]
                values += [
                    ("svdh_scoring", "jsn", site, str(jsn), ("anna",)),
                    ("svdh_scoring", "erosion", site, str(erosion), ("anna",)),
                ]
                values += [
                    ("svdh_scoring", "jsn", site, str(min(jsn + at % 2, 4)), ("ben",)),
                    ("svdh_scoring", "erosion", site, str(erosion), ("ben",)),
                ]
            labels += [
                {"image_id": name, "side": "R", "study": study, "target": target, "site": site or None, "value": value,
                 "reader": reader, "split": part}
                for study, target, site, value, readers in values for reader in readers
            ]  # fmt: skip
    store = open_store(str(place))
    store.put("images/part-0.parquet", to_parquet(IMAGES.rows(images), IMAGES))
    store.put("labels/part-0.parquet", to_parquet(LABELS.rows(labels), LABELS))
    store.put("manifest.json", to_json({"job": "ingest", "hash": "h", "key": "k"}))
    return str(place)


def _small(study: Study, epochs: int = 2, view: int = 16) -> Study:
    """The study with the same members on small networks."""

    def member(own: Member) -> Member:
        if own.fit == "cascade":
            return own
        training = None if own.training is None else replace(own.training, epochs=epochs, batch_size=32)
        return replace(
            own, architecture="compact", settings={"width": 4, "stages": 2}, weights="none", training=training
        )

    own: Recipe = study.recipes["published"]
    training = replace(own.training, epochs=epochs, batch_size=8)
    small = replace(
        own, members=tuple(map(member, own.members)), training=training, view={**own.view, "size": view}
    )  # fmt: skip
    return replace(study, recipes={**study.recipes, "published": small})


@contextmanager
def small_hand_recipes() -> Iterator[None]:
    """Papers 001 and 004 with small networks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, view in (("ra_recognition", 16), ("ra_staging", 16), ("svdh_scoring", 16), ("joint_detection", SIDE)):
            patch.setattr(f"rajobs.studies.{name}.STUDY", _small(studies.find(name), view=view))
        yield
