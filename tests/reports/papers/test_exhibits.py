"""Every table and figure of the five papers has its place on our pages, or a reason why it has none."""

import re

import pytest

from rajobs.papers.exhibits import read_exhibits
from rajobs.papers.paper_data import PAPERS, read_paper
from rajobs.papers.protocols import read_protocol
from rajobs.records.store import open_store
from rajobs.reports.papers.page import COUNTERPARTS, papers_pages

CITED = {
    "000": {"Figure": 1, "Table": 4, "Table S": 19},
    "001": {"Figure": 6, "Table": 3},
    "002": {"Figure": 5, "Table": 3},
    "003": {"Figure": 4, "Table": 4},
    "004": {"Figure": 3, "Table": 3, "Table S": 2},
}
"""How many of each the papers' texts name."""
TEXT = "In the text"


@pytest.mark.parametrize("paper", PAPERS)
def test_every_table_and_figure_is_listed_once_by_number(paper: str) -> None:
    listed = [number for each in read_exhibits(paper) for number in each.covers if number != TEXT]
    expected = {
        f"{kind}{'' if kind.endswith('S') else ' '}{number}"
        for kind, last in CITED[paper].items()
        for number in range(1, last + 1)
    }
    assert len(listed) == len(set(listed)) and set(listed) == expected


@pytest.mark.parametrize("paper", PAPERS)
def test_each_is_drawn_or_says_why_it_is_not(paper: str) -> None:
    drawn, exhibits = COUNTERPARTS[paper](), read_exhibits(paper)
    assert drawn.keys() <= {each.name for each in exhibits}
    for each in exhibits:
        assert each.shows and not each.shows.endswith("."), each.name
        assert (each.name in drawn) != bool(each.missing), f"{paper} {each.name}: a counterpart or a reason"
        for sentence in (each.differs, each.leak, each.missing):
            assert not sentence or sentence.endswith("."), each.name


def test_what_leaks_in_a_paper_stands_beside_one_of_its_tables() -> None:
    for paper in PAPERS:
        known = any(re.search("leak", text, re.IGNORECASE) for text in read_paper(paper).oddities)
        assert any(each.leak for each in read_exhibits(paper)) or not known, paper


def test_a_protocol_names_runs_of_recipes_that_exist() -> None:
    for paper in PAPERS:
        protocol = read_protocol(paper)
        assert len({run.name for run in protocol}) == len(protocol)
        for run in protocol:
            assert run.declared_study.paper == paper and run.declared_recipe.members
            assert set(run.modes) <= {"published", "clean"} and run.recipe.startswith("published")


def test_pages_are_whole_before_anything_is_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    pages = papers_pages(open_store(str(tmp_path_factory.mktemp("empty"))))
    assert set(pages) == {"index.html", *(f"{paper}.html" for paper in PAPERS)}
    for paper in PAPERS:
        assert f'href="{paper}.html"' in pages["index.html"]
        places = [pages[f"{paper}.html"].index(f"<h2>{each.name}</h2>") for each in read_exhibits(paper)]
        assert places == sorted(places), "in the paper's order"
    assert "187,500" in pages["003.html"], "printed numbers are there before ours"
    assert "Not run yet." in pages["003.html"] and "2,343" in pages["003.html"]
