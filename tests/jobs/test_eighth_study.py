"""An eighth study is one file and one space: a toy beside the seven is trained, swept, evaluated and scored."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
STUDY = '''"""Is the film wider than it is high?"""

from rajobs.imaging.rows import FILMS
from rajobs.imaging.views import whole
from rajobs.learning.recipe import Member, Recipe, Training
from rajobs.learning.study import AnswerColumns, ScoreStep, Study, View
from rajobs.learning.targets import Nominal
from rajobs.records.tables.schemas import REAL, TEXT
from rajobs.records.tables.table_schema import Column

STUDY = Study(
    name="toy",
    paper="none",
    question="Is the film wider than it is high?",
    rows=FILMS,
    view=View(draw=whole, version=1, reads="preview", settings={"size": 32, "fit": "pad"}),
    targets=(Nominal(name="wide", classes=("no", "yes")),),
    headline="wide.accuracy",
    scores=ScoreStep(
        table="films",
        columns=(AnswerColumns(target="wide", answer="wide", p_of={"yes": "wide_p"}),),
        adds=(
            Column(name="wide", type=TEXT, meaning="whether the film is wider than high", values=("no", "yes")),
            Column(name="wide_p", type=REAL, meaning="probability, 0 to 1"),
        ),
    ),
    recipes={
        "default": Recipe(
            members=(Member(name="one", architecture="compact", settings={"width": 8, "stages": 2}),),
            training=Training(epochs=8, batch_size=8, learning_rate=3e-3),
        )
    },
)
'''
SPACE = 'study = "toy"\n[axes]\n"training.epochs" = { low = 1, high = 3 }\n'


LINE = """
import json, sys
from rajobs.__main__ import main
from tests.jobs.in_process import in_process

here, on_cluster = json.loads(sys.argv[1])
with in_process():
    for arguments in here:
        main(arguments)
main(on_cluster)
"""


def test_a_toy_study_is_trained_swept_evaluated_and_scored_by_its_two_files_alone(
    ray_cluster: str, data: Path, phantom: Path, tmp_path: Path
) -> None:
    home, own = tmp_path / "home", tmp_path / "data"
    for folder in ("rajobs", "tune_spaces"):
        shutil.copytree(ROOT / folder, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "rajobs" / "studies" / "toy.py").write_text(STUDY)
    (home / "tune_spaces" / "toy.toml").write_text(SPACE)
    _label(phantom / "labels.csv", tmp_path / "labels.csv")
    shutil.copytree(data, own)
    labels = str(tmp_path / "labels.csv")
    here = [
        ["studies"],
        ["ingest", str(phantom / "archives"), str(own), "--labels", labels, "--max-rejects", "0.6"],
        ["train", "toy", "../data", "../models"],
        ["evaluate", "toy", "../data", "../models", "../out"],
        ["score", "../data", "../models", "../tables"],
    ]
    # Places as they are seen from `home`; workers, whose folder is another one, find the toy where the driver does.
    on_cluster = ["tune", "toy", "../data", "../sweep", "--trials", "1", "--ray", ray_cluster]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(home), str(ROOT)))}
    environment.pop("RAY_ADDRESS", None)
    command = [sys.executable, "-c", LINE, json.dumps([here, on_cluster])]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "toy" in done.stdout
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())["figures"]
    judged = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    right = [row["truth"] == row["predicted"] for row in judged]
    assert figures["wide.accuracy"]["value"] == pytest.approx(sum(right) / len(right)), "five patients tell no more"
    assert (tmp_path / "sweep" / "toy" / "best.toml").exists()
    films = pa.concat_tables(
        [pq.read_table(part) for part in sorted((tmp_path / "tables" / "films").glob("*.parquet"))]
    )
    assert set(films.column("wide").to_pylist()) <= {"no", "yes"} and films.column("wide_p").null_count == 0
    header, *rows = (tmp_path / "tables" / "films.csv").read_text().splitlines()
    assert {'"wide"', '"wide_p"'} <= set(header.split(",")) and len(rows) == films.num_rows > 0
    page = re.sub(r"base64,[^\"]*", "", (tmp_path / "tables" / "report.html").read_text())
    assert "Studies without a model" in page and "Toy" not in page, "the toy has a model"


def _label(source: Path, target: Path) -> None:
    """The toy's labels: every film whose drawn view is `both` or `foot` counts as wide, which is often so."""
    with source.open() as file:
        rows = [row for row in csv.DictReader(file) if row["target"] == "view" and row["reader"] == "truth"]
    for row in rows:
        row |= {"study": "toy", "target": "wide", "value": "yes" if row["value"] in ("both", "foot") else "no"}
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
