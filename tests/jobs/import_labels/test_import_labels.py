"""Importers on small copies of the data sets' layouts: their own counts come out, and ingest takes the file as is."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from rajobs import studies
from rajobs.__main__ import main
from rajobs.jobs.builtin import NAME
from rajobs.jobs.import_labels import ra2_dream, ram_h1200
from rajobs.jobs.import_labels.job import import_labels
from rajobs.jobs.train.dataset import count_by_placing, open_labelled_data, prepare
from rajobs.jobs.train.splits import frozen_split
from rajobs.records.anatomy import SITES
from rajobs.records.errors import RajobsError
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import IMAGES, LABELS
from tests.jobs.import_labels.layouts import CASES, PATIENTS, make_ra2_dream, make_ram_h1200

SCORED = Path("SvdH_Scoring/SvdH_BE_Scoring/train/_annotation_be_scores.json")


@pytest.fixture(scope="module")
def ra2(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("ra2")
    return folder, make_ra2_dream(folder)


@pytest.fixture(scope="module")
def ram(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("ram")
    return folder, make_ram_h1200(folder)


@pytest.fixture
def bare(tmp_path: Path, ra2: tuple[Path, dict[str, int]], ram: tuple[Path, dict[str, int]]) -> Path:
    """Copies of both layouts to spoil, with empty files for pictures."""
    for name, (folder, _) in (("ra2-dream", ra2), ("ram-h1200", ram)):
        shutil.copytree(folder, tmp_path / name, copy_function=lambda one, other: copy_text(Path(one), Path(other)))
    return tmp_path


def copy_text(one: Path, other: Path) -> None:
    other.write_bytes(one.read_bytes() if one.suffix in (".csv", ".json") else b"")


def read_rows(out: Path) -> list[dict[str, str]]:
    with (out / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_tables_of_the_layouts_name_every_site_of_the_method() -> None:
    hand = {(score, site.name) for site in SITES.values() if site.part == "hand" for score in scores_of(site.name)}
    foot = {(score, site.name) for site in SITES.values() if site.part == "foot" for score in scores_of(site.name)}
    assert set(ra2_dream.HAND.values()) == hand and set(ra2_dream.FOOT.values()) == foot
    assert {joint for of_kind in ram_h1200.JOINTS.values() for joint in of_kind.values()} == hand
    assert (len(ra2_dream.HAND), len(ra2_dream.FOOT), len(ra2_dream.COLUMNS)) == (31, 12, 86)


def scores_of(site: str) -> list[str]:
    """The scores that count for the method at a site: the thumb's IP has no narrowing in it."""
    counts = {"jsn": SITES[site].jsn_max is not None and SITES[site].jsn_counts, "erosion": SITES[site].erosion_max}
    return [score for score, most in counts.items() if most]


def test_ra2_dream_brings_its_own_counts(
    ra2: tuple[Path, dict[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, counts = ra2
    main(["import", "ra2-dream", str(folder), str(tmp_path)])
    rows = read_rows(tmp_path)
    assert Counter(row["target"] for row in rows) == counts
    with (folder / "training.csv").open() as file:
        original = next(csv.DictReader(file))
    first = [row for row in rows if row["patient"] == PATIENTS[0]]
    assert sum(int(row["value"]) for row in first) == int(original["Overall_Tol"]) > 0
    scaphoid = next(row for row in first if row["image"] == "UAB001-RH.jpg" and row["site"] == "scaphoid")
    assert scaphoid["value"] == original["RH_wrist_E__nav"] and scaphoid["side"] == "R"
    printed = " ".join(capsys.readouterr().out.split())
    assert "patients 3 pictures 12 erosion scores 132 narrowing scores 126 empty scores 0" in printed
    assert "whose totals are the sums of their scores 3" in printed and "conditions of use" in printed


def test_ram_h1200_brings_its_own_counts_and_splits(
    ram: tuple[Path, dict[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, counts = ram
    main(["import", "ram-h1200", str(folder), str(tmp_path)])
    rows = read_rows(tmp_path)
    by_target = Counter(row["target"] for row in rows)
    assert {target: by_target[target] for target in counts} == counts
    assert {(row["split"], row["patient"]) for row in rows} == {
        (ram_h1200.SPLITS[split], case) for split, cases in CASES.items() for case in cases
    }
    printed = " ".join(capsys.readouterr().out.split())
    assert "hands of train 4 hands of val 2 hands of test 2 patients 4" in printed and "CC BY 4.0" in printed
    assert f"erosion scores {counts['erosion']} narrowing scores {counts['jsn']} crops without a score 0" in printed


@pytest.mark.parametrize(
    ("data_set", "spoil", "words"),
    [
        ("ra2-dream", lambda at: (at / "training/UAB002-LF.jpg").unlink(), "training.csv, row 3: there is no picture"),
        ("ra2-dream", lambda at: edit(at / "training.csv", "mcp_E__ip", "mcp_E__6"), "unknown column"),
        ("ra2-dream", lambda at: edit(at / "training.csv", "Overall_Tol,", ""), "rows all have the header's columns"),
        ("ra2-dream", lambda at: set_cell(at / "training.csv", "RF_mtp_J__2", "5"), "row 2: RF_mtp_J__2 is none of 0,"),
        ("ra2-dream", lambda at: edit(at / "training.csv", "UAB003", "UAB002"), "row 4: Patient_ID is that of another"),
        ("ra2-dream", lambda at: (at / "training.csv").unlink(), "holds no training.csv; name the folder"),
        (
            "ram-h1200",
            lambda at: edit(at / SCORED, "BE_U", "BE_V"),
            "3, 4: a joint that is none of BE_MCP-T",
        ),
        ("ram-h1200", lambda at: edit(at / SCORED, '"BE_U": ', '"BE_U": 9'), "images 1, 2, 3, 4: BE_U is none of 0,"),
        ("ram-h1200", lambda at: edit(at / SCORED, "{", "["), "is no JSON of images"),
        ("ram-h1200", lambda at: (at / SCORED.parent / "HMC0002_L/U.bmp").unlink(), "image 3: there is no crop U.bmp"),
        (
            "ram-h1200",
            lambda at: (at / SCORED.parent).rename(at / SCORED.parents[1] / "more"),
            "folder of a split",
        ),
        ("ram-h1200", lambda at: shutil.rmtree(at / "SvdH_Scoring"), "holds no SvdH_BE_Scoring or SvdH_JSN_Scoring"),
        ("ram-h120", lambda at: None, "did you mean ram-h1200?"),
    ],
)
def test_a_layout_that_is_not_as_published_is_refused_in_one_line(
    bare: Path, data_set: str, spoil: object, words: str
) -> None:
    place = bare / data_set
    assert callable(spoil)
    spoil(place)
    with pytest.raises(RajobsError) as caught:
        import_labels(data_set, str(place), str(bare / "out"))
    assert words in str(caught.value) and "\n" not in str(caught.value) and not (bare / "out").exists()
    assert not any(name in str(caught.value).replace(str(bare), "") for name in (*PATIENTS, "HMC0"))


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def set_cell(path: Path, column: str, value: str) -> None:
    lines = list(csv.reader(path.read_text().splitlines()))
    lines[1][lines[0].index(column)] = value
    path.write_text("\n".join(",".join(line) for line in lines))


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_crops_become_rows_of_joints_in_the_data_set_s_own_parts(
    ram: tuple[Path, dict[str, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, counts = ram
    import_labels("ram-h1200", str(folder), str(tmp_path))
    main(["ingest", str(folder), str(tmp_path / "data"), "--labels", str(tmp_path / "labels.csv")])
    assert "labels without an image 0" in " ".join(capsys.readouterr().out.split())
    study = studies.find("svdh_scoring")
    source = open_labelled_data(str(tmp_path / "data"), study, NAME)
    assert {target: len(source.labels[target]) for target in counts} == counts
    assert source.finders is None and not source.unseen, "nobody looks for joints on a crop of one"
    arrays = prepare(source, study.recipe("default").view, None)
    rows = arrays.rows.to_pylist()
    assert {row["image_id"] for row in rows} == {place[0] for of in source.labels.values() for place in of}
    assert count_by_placing(source, arrays.rows) == {"labels": len(rows), "models": 0}
    drawn = arrays.take(np.arange(len(rows)))
    assert drawn.shape[1:] == (1, 96, 96) and (drawn.std(axis=(1, 2, 3)) > 5).mean() > 0.95
    split, _ = frozen_split(source, "clean")
    assert {row["split"] for row in split.to_pylist()} == {"train", "validation", "test"}
    by_user = {row["image_id"]: row["split"] for row in read_table(source.store, "labels", LABELS).to_pylist()}
    assert all(by_user[row["image_id"]] == row["split"] for row in split.to_pylist())


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_ingest_takes_the_labels_of_ra2_dream_as_they_are(ra2: tuple[Path, dict[str, int]], tmp_path: Path) -> None:
    folder, counts = ra2
    import_labels("ra2-dream", str(folder), str(tmp_path))
    main(["ingest", str(folder), str(tmp_path / "data"), "--labels", str(tmp_path / "labels.csv")])
    store = open_store(str(tmp_path / "data"))
    labels = read_table(store, "labels", LABELS).to_pylist()
    assert Counter(row["target"] for row in labels) == counts
    images = read_table(store, "images", IMAGES, ["image_id", "patient"]).to_pylist()
    assert (len(images), len({row["patient"] for row in images})) == (12, 3)
    assert json.loads(store.get("manifest.json"))["labels"]["without_image"] == 0
    assert cv2.imread(str(folder / "training/UAB001-LH.jpg")) is not None
