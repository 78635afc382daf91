"""Corrections on score's page: each line is one that ingest takes, whatever value is picked."""

from pathlib import Path

import pyarrow as pa
import pytest

from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.jobs.score.corrections import film_corrections, hand_corrections
from rajobs.jobs.score.steps import ScoreSteps
from rajobs.records.tables.schemas import EXTREMITIES, FILMS, JOINTS, VIEWS
from rajobs.reports.page import CORRECTION_HEADER, Correction
from rajobs.reports.score.tallies import FilmTally, HandTally

IMAGE = "0123456789abcdef01234567"
OWNER = {"image_id": IMAGE, "patient": "p", "bundles": ["b"]}


@pytest.mark.slow
def test_every_line_is_a_label_and_only_what_was_answered_can_be_wrong(tmp_path: Path) -> None:
    seen = {"x": 3.0, "y": 3.0, "box": [1.0, 1.0, 5.0, 5.0]}
    joints = JOINTS.rows([
        {**OWNER, "extremity": 0, "site": "MCP2", "side": "L", **seen, "jsn": 3, "erosion": 1},
        {**OWNER, "extremity": 0, "site": "radius", "side": "L", **seen, "erosion": 0, "assessable_p": 0.9},
        {**OWNER, "extremity": 0, "site": "MCP3", "side": "L"},
    ])  # fmt: skip
    hands, films = HandTally(), FilmTally()
    hands.add(EXTREMITIES.rows([{
        **OWNER, "extremity": 0, "part": "hand", "side": "L", "box": [0.0, 0.0, 9.0, 9.0], "stage": 2, "doubt": 0.0,
        "doubt_reasons": [],
    }]), joints)  # fmt: skip
    films.add(FILMS.rows([{**OWNER, "view": "foot", **{f"{view}_p": 0.25 for view in VIEWS}, "fate": "no-hand"}]))
    steps, place = ScoreSteps.of_all_studies(), (IMAGE, 0)
    shown = {hand.place: hand for hand in hands.shown()}
    of_hand = hand_corrections(steps, shown, {place: joints.to_pylist()})[place]
    assert {each.name: each.answer for each in of_hand} == {
        "Stage": "2", "MCP2 JSN": "3", "MCP2 erosion": "1", "MCP2 present": "1", "Radius erosion": "0",
        "Radius assessable": "", "Radius present": "1",
    }  # fmt: skip
    of_film = film_corrections(steps, films.shown())[IMAGE]
    assert [(each.name, each.answer) for each in of_film] == [("View", "foot"), ("Kind", "")]
    assert label_lines(tmp_path, [*of_hand, *of_film]).num_rows == sum(
        len(each.values) for each in (*of_hand, *of_film)
    )


def label_lines(folder: Path, corrections: list[Correction]) -> pa.Table:
    """The labels of all values that could be picked, each in a file of its own: they contradict each other."""
    files = []
    for number, each in enumerate(corrections):
        for value in each.values:
            file = folder / f"{number}-{value}.csv"
            file.write_text(f"{CORRECTION_HEADER}\n{each.start}{value}\n")
            files.append(str(file))
    labels = read_study_labels(files)
    assert labels is not None
    return labels
