"""From drawn films to a sheet, from the sheet to labels: what a reader types is what ingest takes in."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rajobs.__main__ import main
from rajobs.records.identity import Key
from rajobs.records.labels.readers import reader_pseudonym
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import CROSSWALK, LABELS
from tests.jobs.in_process import KEY, in_process
from tests.reports.browser import find_chromium, open_browser

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]

PLACES = ("joint_detection", "hand_filter")
Values = dict[tuple[str, str, str, str], str]
"""By image, side, site and target."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One drawn patient with hands at two visits, ingested with the joints' places, so that no finder has to look."""
    place = tmp_path_factory.mktemp("cohort")
    phantom = place / "phantom"
    more = ["--patients", "1", "--seed", "11", "--only", "films", "--size", "SMALL", "--damage", "0"]
    main(["phantom", str(phantom), *more])
    rows = list(csv.DictReader((phantom / "labels.csv").read_text().splitlines()))
    with (place / "places.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["study"] in PLACES and row["reader"] == "truth")
    with in_process():
        ingest(place, place / "places.csv")
    return place


def ingest(cohort: Path, labels: Path) -> None:
    source, data, ledger = (str(cohort / name) for name in ("phantom/archives", "data", "ledger"))
    main(["ingest", source, data, "--labels", str(labels), "--ledger", ledger, "--max-rejects", "0.9"])


def labels_of(cohort: Path, study: str, reader: str) -> Values:
    """What the labels table holds of a reader."""
    pseudonym = reader_pseudonym(Key(secret=KEY.encode()), reader)
    rows = read_table(open_store(cohort / "data"), "labels", LABELS).to_pylist()
    return {
        (row["image_id"], row["side"] or "", row["site"] or "", row["target"]): row["value"]
        for row in rows if row["reader"] == pseudonym and row["study"] == study
    }  # fmt: skip


def sheet_of(page: str) -> dict[str, Any]:
    matched = re.search(r'id="sheet">(.*?)</script>', page, re.DOTALL)
    assert matched is not None
    return dict(json.loads(matched[1]))


def play(sheet: dict[str, Any], rng: np.random.Generator) -> Iterator[tuple[Sequence[str], Values]]:
    """The keys that a reader types in each case, joint by joint and visit by visit, and what they mean."""
    for case in sheet["cases"]:
        keys: list[str] = []
        values: Values = {}
        fields = sheet["groups"][case["group"]]["fields"]
        for site in dict.fromkeys(field["site"] for field in fields):
            for picture in case["pictures"]:
                place = (picture["image"], picture["side"], site)
                if rng.random() < 0.1:
                    keys.append("n")
                    values[*place, "assessable"] = "0"
                    continue
                values[*place, "assessable"] = "1"
                for field in (field for field in fields if field["site"] == site):
                    at = int(rng.integers(len(field["values"])))
                    keys.append(field["keys"][at])
                    values[*place, field["target"]] = field["values"][at]
        yield keys, values


def test_what_a_reader_types_in_the_page_is_what_ingest_takes_in(cohort: Path, tmp_path: Path) -> None:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine")
    out = tmp_path / "sheet"
    main(["sheet", "svdh_scoring", str(cohort / "data"), str(out), "--readers", "anna"])
    page = out / "anna-1.html"
    sheet = sheet_of(page.read_text())
    shown = {case["what"]: [each["title"] for each in case["pictures"]] for case in sheet["cases"]}
    assert list(shown) == ["left hand", "right hand", "left foot", "right foot"]
    assert shown["left hand"] == shown["right hand"] and shown["left hand"][0] == "day 0" and shown["left foot"] == [""]
    expected: Values = {}
    with open_browser(tmp_path / "profile") as browser:
        browser.resize(1440, 900)
        browser.open(page)
        for keys, values in play(sheet, np.random.default_rng(0)):
            browser.press(keys)
            browser.press(["PageDown"])
            browser.settle()
            browser.wait("document.querySelector('#message').textContent === ''")
            expected |= values
        browser.run("document.querySelector('#export').click()")
        exported = browser.downloads / sheet["file"]
        browser.wait("document.querySelector('#message').textContent.includes('labels')")
        for _ in range(200):
            if exported.exists():
                break
            browser.run("new Promise((done) => setTimeout(() => done(1), 50))")
        assert browser.run("document.querySelector('#done').textContent") == "6 of 6 hands done"
        assert browser.requests == [page.as_uri()] and browser.complaints == []
        ingest(cohort, exported)
    assert labels_of(cohort, "svdh_scoring", "anna") == expected


def test_a_page_names_no_patient_no_file_and_no_day(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet"
    main(["sheet", "ra_staging", str(cohort / "data"), str(out), "--blind"])
    page = (out / "reader-1.html").read_text()
    text = json.dumps(sheet_of(page)) + (out / "plan.csv").read_text()
    crosswalk = read_table(open_store(cohort / "ledger"), "crosswalk", CROSSWALK).to_pylist()
    names = {
        str(row[name]) for row in crosswalk for name in ("patient_id", "path", "sop_uid", "exam_date") if row[name]
    }
    assert names and not [name for name in names if name in text]
    assert not re.search(r"\b(19|20)\d\d-\d\d-\d\d\b|day \d", text) and "film A" in text


def test_a_spreadsheet_that_was_filled_in_is_read_and_places_stay_as_they_are(cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet"
    main(["sheet", "svdh_scoring", str(cohort / "data"), str(out), "--as", "csv", "--readers", "ben"])
    rows = list(csv.DictReader((out / "ben.csv").read_text().splitlines()))
    assert len(rows) == 6 and list(rows[0])[:4] == ["image", "side", "reader", "jsn_MCP1"] and "jsn_IP" not in rows[0]
    expected: Values = {}
    for number, row in enumerate(rows[:4]):  # the hands
        typed = {"jsn_MCP1": str(number), "erosion_lunate": "5"}
        row |= typed
        for column, value in typed.items():
            target, _, site = column.partition("_")
            expected[row["image"], row["side"], site, target] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / "ben.csv").write_text(text.getvalue())
    ingest(cohort, tmp_path / "ben.csv")
    assert labels_of(cohort, "svdh_scoring", "ben") == expected


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(list(arguments))
    message = capsys.readouterr().err
    assert message.startswith("rajobs: ") and message.count("\n") == 1
    return message


def test_sheets_are_written_once_and_no_other_work_is_overwritten(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["sheet", "svdh_scoring", str(cohort / "data"), str(tmp_path / "out"), "--as", "csv"]
    main(line)
    capsys.readouterr()
    main(line)
    assert "nothing to do" in capsys.readouterr().out
    assert "was made with blind False, not True; choose another OUT" in refused([*line, "--blind"], capsys)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    assert "holds files that no rajobs sheet wrote" in refused([*line[:3], str(tmp_path / "letters")], capsys)
    (tmp_path / "tables").mkdir()
    other = refused([*line[:3], str(tmp_path / "new"), "--tables", str(tmp_path / "tables")], capsys)
    assert "holds no finished score; run `rajobs score" in other
    (tmp_path / "tables" / "manifest.json").write_text('{"job": "score", "schema": 2, "key": "another"}')
    other = refused([*line[:3], str(tmp_path / "new"), "--tables", str(tmp_path / "tables")], capsys)
    assert "is of other data: its pseudonyms have another key" in other
