"""Several workers train one network: the model of one worker's run, whoever is killed on the way."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.learning.recipe import replace, to_toml
from tests.jobs.kills import one_killed

pytestmark = pytest.mark.ray


def test_two_workers_learn_together_and_go_on_after_a_death(ray_cluster: str, data: Path, tmp_path: Path) -> None:
    recipe = studies.find("hand_filter").recipe("default")
    for setting, value in (
        ("training.epochs", 3), ("view.size", 64), ("members.settings.stages", 4), ("training.class_weights", False),
    ):  # fmt: skip
        recipe = replace(recipe, setting, value)
    (tmp_path / "small.toml").write_text(to_toml(recipe))
    out = tmp_path / "models"
    arguments = ["train", "hand_filter", str(data), str(out), "--recipe", str(tmp_path / "small.toml")]
    with one_killed(b"RayTrainWorker", lambda: any(out.rglob("*.safetensors"))):  # there is a checkpoint to go on from
        main([*arguments, "--workers", "2"])
    (bundle,) = out.glob("hand_filter/*/bundle.json")
    history = pq.read_table(bundle.parent / "history.parquet").to_pydict()
    assert history["epoch"] == [1, 2, 3], "no epoch twice, none missing"
    assert np.isfinite(history["loss"]).all() and min(history["loss"][1:]) < history["loss"][0]
    description = json.loads(bundle.read_text())
    assert description["epochs"]["views"]["run"] == 3 and not list(out.rglob("checkpoints"))
