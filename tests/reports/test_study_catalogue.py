"""What the catalogue says about a study's labels is true where train reads them."""

from pathlib import Path

import pytest

from rajobs import studies
from rajobs.imaging.hand_geometry import POSITION_STUDY
from rajobs.imaging.rows import ULTRASOUND
from rajobs.jobs.ingest.label_vocabulary import read_study_labels
from rajobs.records.anatomy import SCAN_SITES, SITES
from rajobs.records.identity import Key
from rajobs.records.tables.schemas import CLINIC
from rajobs.records.user_tables import read_clinic
from rajobs.reports.study_catalogue import describe_study, template

LABELLED = [name for name in studies.names() if studies.find(name).rows.table != "clinic"]


def rows_of(name: str, folder: Path) -> list[dict[str, str | None]]:
    """The rows of a study's template, read as ingest reads labels."""
    (folder / "labels.csv").write_text(template(name))
    labels = read_study_labels([str(folder / "labels.csv")])
    assert labels is not None
    rows: list[dict[str, str | None]] = labels.to_pylist()
    return rows


@pytest.mark.parametrize("name", LABELLED)
def test_a_template_can_be_read_and_says_where_what_it_labels_lies(name: str, tmp_path: Path) -> None:
    text, study = describe_study(name), studies.find(name)
    rows = rows_of(name, tmp_path)
    targets = {target.name for target in study.targets} or {"x", "y", "present"}
    assert {row["target"] for row in rows} == targets and {row["study"] for row in rows} == {name}
    cut = study.rows.cut_by_positions
    scans = study.rows is ULTRASOUND
    assert ("side, site, reader" in text) == scans, "a film has no site, and joints are matched by it"
    assert not scans or all(site in text.replace(",", " ").split() for site in SCAN_SITES)
    assert all(row["side"] for row in rows if cut)
    assert not cut or all(site in text.replace(",", " ").split() for site in SITES)


def test_labels_of_single_hands_have_no_site(tmp_path: Path) -> None:
    for name in LABELLED:
        study = studies.find(name)
        sites = {row["site"] for row in rows_of(name, tmp_path) if row["study"] == name}
        assert (sites == {None}) == (not study.rows.labels_name_site and name != POSITION_STUDY), name


def test_the_clinic_s_template_can_be_filled_in_and_taken_in(tmp_path: Path) -> None:
    (tmp_path / "clinic.csv").write_text(template("clinical_array"))
    clinic = read_clinic(str(tmp_path / "clinic.csv"), Key(secret=b"0123456789abcdef0123456789abcdef"))
    assert clinic.column_names == CLINIC.names and set(clinic.column("ra_clinical").to_pylist()) == {0.0, 1.0}
