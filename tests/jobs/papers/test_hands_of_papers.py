"""Paper 001 on small hands: five networks for each of its two tasks, with every table and figure in its place."""

from pathlib import Path

import pytest

from rajobs.jobs.papers.job import papers
from rajobs.jobs.papers.planning import PapersRequest
from tests.jobs.in_process import in_process
from tests.jobs.papers.small_hands import put_hands, small_hand_recipes


@pytest.mark.long
def test_each_network_of_001_has_its_rows_matrix_curves_and_map(tmp_path: Path) -> None:
    data, out = put_hands(tmp_path / "data"), tmp_path / "out"
    with in_process(), small_hand_recipes():
        papers(PapersRequest(data=data, out=str(out), only=("001",), weights="none"))
    page = (out / "001.html").read_text()
    for mode in ("published", "clean"):
        for task in ("Recognition", "Staging"):
            text = f"{task} by EfficientNetB2, here, {mode} mode."
            assert page.count(f"<figcaption>{text}") == 2, "a confusion matrix and a map"
        assert f"Stage 5 against the rest, training part, here, {mode} mode." in page
    assert page.count("<figure") == page.count('class="csv" href="data:text/csv'), "each figure with its data"
