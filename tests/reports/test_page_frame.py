import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rajobs.reports.page import (
    Bar,
    Correction,
    Facts,
    Figure,
    Figures,
    Notice,
    PageTable,
    Part,
    Picture,
    Pictures,
    Section,
    Step,
    Steps,
    Text,
    Tile,
    Tiles,
    format_cell,
    render,
)
from rajobs.reports.wording import format_count, format_figure, format_interval, humanize

ReadPage = Callable[[str], str]


def test_every_part_escapes_what_it_is_given(read_page: ReadPage, film: bytes, hostile: str) -> None:
    correction = Correction(name=hostile, start=hostile, values=(hostile,), answer=hostile)
    parts: tuple[Part, ...] = (
        Text(paragraphs=(hostile,)),
        Notice(text=hostile),
        Tiles(tiles=(Tile(value=hostile, label=hostile, note=hostile),)),
        Facts(pairs=((hostile, hostile),)),
        PageTable(columns=(hostile,), rows=((hostile,), (Bar(text=hostile, share=0.5),)), caption=hostile),
        Figures(figures=(Figure(png=film, caption=hostile),)),
        Pictures(pictures=(Picture(png=film, title=hostile, lines=(hostile,), code=hostile, tags=(hostile,)),)),
        Pictures(pictures=(Picture(png=None, title=hostile, corrections=(correction,)),), title=hostile),
        Steps(steps=(Step(name=hostile, line=hostile, counts=((hostile, hostile),), href=hostile, link=hostile),)),
    )
    page = render(hostile, hostile, [Section(title=hostile, parts=parts, lead=hostile)] * 3)
    text = read_page(page)
    assert "<script>alert" not in page and "<img src=x" not in page
    assert text.count('alert("1")') > 20  # it is all there to read


def test_a_page_forbids_itself_to_fetch_anything(film: bytes) -> None:
    page = render("t", "l", [Section(title="s", parts=(Figures(figures=(Figure(png=film, caption="c"),)),))])
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert 'width="24" height="32"' in page and "data:image/png;base64," in page


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
@pytest.mark.slow
def test_a_browser_runs_the_page_s_own_script_and_no_other(tmp_path: Path, hostile: str) -> None:
    corrections = (
        Correction(name="MCP2 erosion", start="0a,L,scoring,erosion,MCP2,", values=("0", "1", hostile), answer="1"),
    )
    pictures = (Picture(png=None, title="left hand", code="0a", corrections=corrections),)
    page = render("t", "l", [Section(title="s", parts=(Pictures(pictures=pictures),))])
    (tmp_path / "page.html").write_text(page.replace("</main>", "<script>document.title = 'foreign'</script></main>"))
    dumped = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", (tmp_path / "page.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert dumped.count("<option") == 4 and '<option value="1">1</option>' in dumped, "the script offered the values"
    assert "<title>t</title>" in dumped


def test_only_png_is_embedded() -> None:
    with pytest.raises(AssertionError, match="PNG"):
        render("t", "l", [Section(title="s", parts=(Figures(figures=(Figure(png=b"GIF89a" * 9, caption="c"),)),))])


def test_numbers_are_written_for_people() -> None:
    assert [format_cell(value) for value in (1234567, 0.98765, None, float("nan"), "a")] == [
        "1,234,567",
        "0.988",
        "–",
        "–",
        "a",
    ]
    assert humanize("view.calibration_error") == "View, calibration error" and humanize("view.auc") == "View, AUC"
    assert format_interval(float("nan"), 1.0) is None
    assert [format_count(count, "film") for count in (0, 1, 2000)] == ["0 films", "1 film", "2,000 films"]
    table = PageTable(
        columns=("a", "b", "c", "d", "e"),
        rows=(("x", 1, format_interval(0.1, 0.2), "+0.040", None), ("3 films", None, None, "-1", None)),
    )
    assert table.numeric == (False, True, True, True, False)


def test_a_figure_without_its_whole_interval_is_unknown() -> None:
    """A metrics.json has null for what is no number; a table of predictions has NaN."""
    figure = {"value": 0.75, "low": 0.5, "high": 1.0}
    assert format_figure(figure) == "0.750 (0.500 to 1.000)"
    assert format_figure({**figure, "value": -0.25}, signed=True) == "-0.250 (+0.500 to +1.000)"
    assert format_figure({**figure, "low": None}) is None and format_figure({**figure, "high": float("nan")}) is None
