"""A toy study whose question a small network answers in seconds: which half of the picture is bright?"""

import numpy as np
import pyarrow as pa
import pytest
import torch

from rajobs.imaging.rows import FILMS
from rajobs.imaging.views import whole
from rajobs.learning.bundle_description import BundleDescription, Origin
from rajobs.learning.recipe import Member, Recipe, Training
from rajobs.learning.samples.dataset import Dataset
from rajobs.learning.samples.prepared import Prepared
from rajobs.learning.study import Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.tables.schemas import PREPARED

SIDE = 16
HALVES = ("left", "right", "top")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small networks are fastest on one thread, and the tests leave the other cores to others."""
    torch.set_num_threads(1)


@pytest.fixture
def recipe() -> Recipe:
    """One small network, a few epochs."""
    member = Member(name="net", architecture="compact", settings={"width": 4, "stages": 2, "dropout": 0.0})
    training = Training(epochs=6, batch_size=16, learning_rate=2e-2)
    return Recipe(view={"size": SIDE, "fit": "pad"}, members=(member,), training=training)


@pytest.fixture
def study(recipe: Recipe) -> Study:
    """The toy study."""
    return Study(
        name="toy",
        paper="none",
        question="Which half is bright?",
        rows=FILMS,
        view=View(draw=whole, version=1, reads="preview", settings={"size": SIDE, "fit": "pad"}),
        targets=(Nominal(name="half", classes=HALVES),),
        headline="half.accuracy",
        recipes={"default": recipe},
    )


def draw_halves(count: int, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Pictures (n, rows, columns) with noise and one bright half, and which it is."""
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 100, (count, SIDE, SIDE), dtype=np.uint8)
    names = [HALVES[n % len(HALVES)] for n in range(count)]
    middle = SIDE // 2
    for picture, name in zip(pictures, names):
        where = {"left": np.s_[:, :middle], "right": np.s_[:, middle:], "top": np.s_[:middle]}[name]
        picture[where] += 100
    return pictures, names


def prepared_of(pictures: np.ndarray) -> Prepared:
    """Pictures as prepared rows, in two parts."""
    rows = PREPARED.rows([
        {"image_id": f"i{n}", "extremity": 0, "site": "", "patient": f"p{n // 2}"} for n in range(len(pictures))
    ])  # fmt: skip
    cut = len(pictures) // 3
    assert isinstance(rows, pa.Table)
    return Prepared(rows=rows, arrays=(pictures[:cut], pictures[cut:]), starts=np.array([0, cut]))


def describe(study: Study, recipe: Recipe) -> BundleDescription:
    """The description of a bundle without weights."""
    origin = Origin(
        study=study.name, recipe=recipe, mode="clean", seed=0, budget=1.0, code="1", data="d", key="k", split="s"
    )
    return BundleDescription(
        origin=origin, shape=(1, SIDE, SIDE), classes={"half": HALVES}, parameters={}, epochs={},
        rows={"train": 36, "validation": 12, "test": 12}, learned={}, validation={},
    )  # fmt: skip


@pytest.fixture
def dataset(study: Study) -> Dataset:
    """60 pictures: 36 to learn from, 12 to choose by, 12 to judge by."""
    pictures, names = draw_halves(60)
    parts = np.array((["train"] * 36) + (["validation"] * 12) + (["test"] * 12))
    arrays = prepared_of(pictures)
    patients = np.array(arrays.rows.column("patient").to_pylist())
    return Dataset(study=study, arrays=arrays, labels={"half": names}, parts=parts, groups=patients)
