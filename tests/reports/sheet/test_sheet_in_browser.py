"""The page in a real browser: what is typed is what is exported, over a reload, without network and complaints."""

import csv
import time
from pathlib import Path

import pytest

from rajobs.records.tables.csv_files import escape_cell
from rajobs.reports.sheet import page
from tests.reports.browser import CONTROL, SHIFT, Page
from tests.reports.sheet.conftest import TO_FILM, UNPLACED, facts, grey, loop, single, write_page

pytestmark = pytest.mark.slow

Labels = dict[tuple[str, str, str], str]
"""By image, site and target."""
ANSWERS = Path(page.__file__).with_name("answers.js")
A, B, C = "a" * 24, "b" * 24, "c" * 24


def export(browser: Page, side: str = "R") -> Labels:
    """The CSV that the button exports."""
    file = browser.downloads / "anna.csv"
    file.unlink(missing_ok=True)
    browser.run("document.querySelector('#export').click()")
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end
        browser.run("1")
        time.sleep(0.05)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert all(row["side"] == side and row["reader"] == "anna" for row in rows)
    places = {"x", "y"}
    assert all((row["study"] == "joint_detection") == (row["target"] in places) for row in rows)
    labels = {(row["image"], row["site"], row["target"]): row["value"] for row in rows}
    assert len(labels) == len(rows)
    return labels


def text(browser: Page, selector: str) -> str:
    browser.settle()
    return str(browser.run(f"document.querySelector({selector!r}).textContent"))


def click_at(browser: Page, column: float, row: float) -> None:
    """Click on a place of the first picture, which is fitted into its canvas."""
    x, y = browser.run(
        "(() => { const box = document.querySelector('#films canvas').getBoundingClientRect();"
        f"const scale = Math.min(box.width / 100, box.height / 120);"
        f"return [box.left + (box.width - 100 * scale) / 2 + {column} * scale,"
        f" box.top + (box.height - 120 * scale) / 2 + {row} * scale]; }})()"
    )
    browser.click(x, y)
    browser.settle()


def test_what_is_typed_is_kept_and_exported(browser: Page, tmp_path: Path) -> None:
    page = write_page(tmp_path / "anna-1.html", facts())
    browser.open(page)
    assert text(browser, "#done") == "0 of 3 hands done" and text(browser, "#kept") == "kept in this browser"
    assert export(browser) == {}

    browser.press("12")  # MCP1
    browser.press("n")  # MCP2, then MCP3
    browser.press("4")
    browser.press(["ArrowLeft"])
    browser.press("35")
    browser.press("7")  # no score
    expected = {
        (A, "MCP1", "jsn"): "1", (A, "MCP1", "erosion"): "2", (A, "MCP1", "assessable"): "1",
        (A, "MCP2", "assessable"): "0",
        (A, "MCP3", "jsn"): "3", (A, "MCP3", "erosion"): "5", (A, "MCP3", "assessable"): "1",
    }  # fmt: skip
    assert export(browser) == expected

    browser.press("01")  # MCP4, taken back
    browser.press("u")
    browser.press("z", CONTROL)
    assert export(browser) == expected

    browser.press("m")
    click_at(browser, 60, 80)  # the box of MCP4 is moved
    (a, _, b), (_, d, e) = TO_FILM
    moved = export(browser)
    assert float(moved[A, "MCP4", "x"]) == pytest.approx(a * 60 + b, abs=1.5)
    assert float(moved[A, "MCP4", "y"]) == pytest.approx(d * 80 + e, abs=1.5)
    assert {key: moved[key] for key in expected} == expected and len(moved) == len(expected) + 2

    browser.open(page)  # closed and opened again
    assert export(browser) == moved and text(browser, "#joint figcaption") == "MCP4", "the cursor, too"
    browser.press("f")
    assert text(browser, "#done") == "1 of 3 hands done"
    filled = export(browser)
    assert filled[A, "radius", "erosion"] == "0" and (A, "MCP2", "jsn") not in filled
    assert moved.items() <= filled.items()

    browser.press(["Enter"])  # the next case: one joint at both visits
    browser.wait("document.querySelectorAll('#films canvas').length === 2")
    browser.settle()
    browser.press("0112")
    both = export(browser)
    assert [both[image, "MCP1", target] for image in (B, C) for target in ("jsn", "erosion")] == ["0", "1", "1", "2"]
    browser.press("N", SHIFT)
    assert text(browser, "#done") == "2 of 3 hands done"
    assert export(browser)[B, "CMC3", "assessable"] == "0"

    assert browser.requests == [page.as_uri()] * 2 and browser.complaints == []


def test_a_cell_that_excel_would_run_is_escaped_and_a_number_is_not(browser: Page, tmp_path: Path) -> None:
    cells = ["-anna", "=1", "'=1", "\t=1", "-1.5", "a-b", "+.5e3", "+5e"]
    browser.open(write_page(tmp_path / "sheet.html", facts(reader=cells[0])))
    browser.press("1")
    browser.run("document.querySelector('#export').click()")
    file = browser.downloads / "anna.csv"
    browser.wait("document.querySelector('#message').textContent.includes('labels')")
    for _ in range(200):
        if file.exists():
            break
        browser.run("new Promise((done) => setTimeout(() => done(1), 50))")
    assert {row["reader"] for row in csv.DictReader(file.read_text().splitlines())} == {"'-anna"}
    assert browser.run(f"{ANSWERS.read_text()}\n{cells}.map(escapeCell)") == [escape_cell(cell) for cell in cells]


def test_a_joint_without_a_place_is_placed_by_a_click(browser: Page, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path / "sheet.html", facts()))
    browser.run(f"document.querySelector('.tile[title=\"{UNPLACED.title()}\"]').click()")
    browser.settle()
    assert "not located: press M" in text(browser, "#joint figcaption")
    browser.press("m")
    click_at(browser, 30, 100)
    assert "not located" not in text(browser, "#joint figcaption")
    browser.press("3")
    labels = export(browser)
    assert labels[A, UNPLACED, "erosion"] == "3" and float(labels[A, UNPLACED, "x"]) == pytest.approx(70, abs=1.5)


def test_window_and_zoom_change_what_is_seen_and_no_answer(browser: Page, tmp_path: Path) -> None:
    browser.open(write_page(tmp_path / "sheet.html", facts()))
    canvas = "document.querySelector('#films canvas')"
    picture = f"{canvas}.toDataURL()"
    looks = [browser.run(picture)]
    x, y = browser.run(
        f"(() => {{ const box = {canvas}.getBoundingClientRect(); return [box.left + 200, box.top + 300] }})()"
    )
    browser.mouse("mousePressed", x, y)
    browser.mouse("mouseMoved", x + 20, y + 90, buttons=1)
    browser.mouse("mouseMoved", x + 20, y + 120, buttons=1)
    browser.mouse("mouseReleased", x + 20, y + 120)
    browser.settle()
    looks.append(browser.run(picture))
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-120)
    browser.settle()
    looks.append(browser.run(picture))
    browser.press("r")
    browser.settle()
    assert len({*looks}) == 3 and browser.run(picture) == looks[0]
    assert export(browser) == {} and browser.complaints == []


def test_a_loop_plays_until_it_is_stopped_and_graded_scans_go_on(browser: Page, tmp_path: Path) -> None:
    cases = (single(0, A, kind="loop", first=1), single(1, B, kind="loop", first=0))
    scans = facts("ultrasound_grading", cases=cases)
    browser.open(write_page(tmp_path / "scans.html", scans, [loop([20, 120, 220]), loop([60])]))
    grey_now = "document.querySelector('#films canvas').getContext('2d').getImageData(300, 300, 1, 1).data[0]"
    for grey_value in (20, 120, 220):
        browser.wait(f"Math.abs({grey_now} - {grey_value}) < 8")
    browser.press(" ")
    stopped = browser.run(grey_now)
    browser.run("new Promise((done) => setTimeout(() => done(1), 400))")
    assert browser.run(grey_now) == stopped
    browser.press("21")  # power Doppler, grey scale; then the next scan is there by itself
    browser.wait(f"document.querySelector('#number').textContent === '2 / 2' && Math.abs({grey_now} - 60) < 8")
    browser.press("30")
    assert export(browser, side="") == {
        (A, "", "grade"): "2", (A, "", "grey_grade"): "1", (B, "", "grade"): "3", (B, "", "grey_grade"): "0",
    }  # fmt: skip


def test_a_film_is_named_by_one_key_and_what_else_it_shows_by_a_click(browser: Page, tmp_path: Path) -> None:
    about = {"kind": "grey", "low": 1000, "high": 30_000}
    films = facts("hand_filter", cases=(single(0, A, **about), single(1, B, **about), single(2, C, **about)))
    browser.open(write_page(tmp_path / "films.html", films, [grey(number) for number in range(3)]))
    browser.press(["PageDown", "1", "PageDown", "PageUp", "PageUp"])  # paging does not wait for a picture; a key does
    browser.settle()
    browser.press("1")
    browser.wait("document.querySelector('#number').textContent === '2 / 3'")
    browser.settle()
    browser.press("4")  # something else: the page waits for the part
    assert text(browser, "#number") == "2 / 3"
    browser.run("[...document.querySelectorAll('.field button')].find((each) => each.textContent === 'wrist').click()")
    browser.press(["Enter"])
    browser.wait("document.querySelector('#number').textContent === '3 / 3'")
    assert export(browser, side="") == {
        (A, "", "view"): "unilateral",
        (B, "", "view"): "other",
        (B, "", "kind"): "wrist",
    }
    assert browser.complaints == []
