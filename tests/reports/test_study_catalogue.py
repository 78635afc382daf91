"""What the catalogue says about a study's labels is true where train reads them."""

from pathlib import Path

import pytest

from rajobs import studies
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.records.anatomy import SITES
from rajobs.records.user_tables import read_labels
from rajobs.reports.study_catalogue import HEADER, describe_study

LABELLED = [name for name in studies.names() if studies.find(name).rows.table != "clinic"]


@pytest.mark.parametrize("name", LABELLED)
def test_a_template_can_be_read_and_has_positions_for_what_it_labels(name: str, tmp_path: Path) -> None:
    text, study = describe_study(name), studies.find(name)
    (tmp_path / "labels.csv").write_text(text[text.index(HEADER) :])
    rows = read_labels(str(tmp_path / "labels.csv")).to_pylist()
    assert {row["target"] for row in rows if row["study"] == name} >= {target.name for target in study.targets}
    cut = study.rows.cut_by_positions
    assert ("side, site, reader" in text) == (not cut), "where labels are matched by side and site, they are needed"
    if cut:
        placed = {axis: {(r["image"], r["side"], r["site"]) for r in rows if r["target"] == axis} for axis in "xy"}
        assert placed["x"] == placed["y"] and {row["study"] for row in rows if row["target"] in "xy"} == {
            POSITION_STUDY
        }
        labelled = {(row["image"], row["side"], row["site"]) for row in rows if row["study"] == name}
        if study.rows.labels_name_site:
            assert labelled <= placed["x"]
        else:
            assert {where[:2] for where in labelled} <= {where[:2] for where in placed["x"]}
        assert all(site in text.replace(",", " ").split() for site in SITES)


def test_labels_of_single_hands_have_no_site(tmp_path: Path) -> None:
    for name in LABELLED:
        study, text = studies.find(name), describe_study(name)
        (tmp_path / "labels.csv").write_text(text[text.index(HEADER) :])
        sites = {r["site"] for r in read_labels(str(tmp_path / "labels.csv")).to_pylist() if r["study"] == name}
        assert (sites == {None}) == (not study.rows.labels_name_site and name != POSITION_STUDY), name
