import subprocess
import sys
from collections.abc import Callable

import pytest

from rajobs.reports.page import (
    Bar,
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
    interval,
    render,
    shown,
    words,
)

ReadPage = Callable[[str], str]


def test_every_part_escapes_what_it_is_given(read_page: ReadPage, film: bytes, hostile: str) -> None:
    parts: tuple[Part, ...] = (
        Text(paragraphs=(hostile,)),
        Notice(text=hostile),
        Tiles(tiles=(Tile(value=hostile, label=hostile, note=hostile),)),
        Facts(pairs=((hostile, hostile),)),
        PageTable(columns=(hostile,), rows=((hostile,), (Bar(text=hostile, share=0.5),)), caption=hostile),
        Figures(figures=(Figure(png=film, caption=hostile),)),
        Pictures(pictures=(Picture(png=film, title=hostile, lines=(hostile,), code=hostile, tags=(hostile,)),)),
        Pictures(pictures=(Picture(png=None, title=hostile),), title=hostile),
        Steps(steps=(Step(name=hostile, line=hostile, counts=((hostile, hostile),), href=hostile, link=hostile),)),
    )
    page = render(hostile, hostile, [Section(title=hostile, parts=parts, lead=hostile)] * 3)
    text = read_page(page)
    assert "<script" not in page and "<img src=x" not in page
    assert text.count('alert("1")') > 20  # it is all there to read


def test_a_page_forbids_itself_to_fetch_anything(film: bytes) -> None:
    page = render("t", "l", [Section(title="s", parts=(Figures(figures=(Figure(png=film, caption="c"),)),))])
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert 'width="24" height="32"' in page and "data:image/png;base64," in page


def test_only_png_is_embedded() -> None:
    with pytest.raises(AssertionError, match="PNG"):
        render("t", "l", [Section(title="s", parts=(Figures(figures=(Figure(png=b"GIF89a" * 9, caption="c"),)),))])


def test_numbers_are_written_for_people() -> None:
    assert [shown(value) for value in (1234567, 0.98765, None, float("nan"), "a")] == [
        "1,234,567",
        "0.988",
        "–",
        "–",
        "a",
    ]
    assert words("view.calibration_error") == "View, calibration error" and words("view.auc") == "View, AUC"
    assert interval(float("nan"), 1.0) is None
    table = PageTable(
        columns=("a", "b", "c", "d", "e"),
        rows=(("x", 1, interval(0.1, 0.2), "+0.040", None), ("3 films", None, None, "-1", None)),
    )
    assert table.numeric == (False, True, True, True, False)


def test_reports_need_neither_torch_nor_ray() -> None:
    code = (
        "import sys, rajobs.reports.evaluation_page, rajobs.reports.score_page, rajobs.reports.sweep_page;"
        "import rajobs.reports.demo_page;"
        "sys.exit(bool({'torch', 'ray', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
