"""rajobs papers: what the data allow is trained, judged and shown; what is there already is not made again."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rajobs.__main__ import main
from rajobs.jobs.papers.job import papers
from rajobs.jobs.papers.planning import PapersRequest
from rajobs.papers.paper_data import PAPERS
from rajobs.records.errors import UnknownName, UsageError, WrongOutput
from tests.jobs.in_process import in_process
from tests.jobs.kills import kill_driver
from tests.jobs.papers.small_papers import put_data, small_recipes

ROOT = Path(__file__).parents[3]
DRIVER = """
from rajobs.__main__ import main
from tests.jobs.in_process import in_process
from tests.jobs.papers.small_papers import small_recipes
with in_process(), small_recipes():
    main({arguments!r})
"""


@pytest.fixture
def small(here: None) -> Iterator[None]:
    with small_recipes():
        yield


def ask(data: str, out: Path, **options: object) -> PapersRequest:
    return PapersRequest(data=data, out=str(out), **{"weights": "none", **options})


def written(out: Path) -> dict[Path, int]:
    """When each file of the runs was written."""
    return {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Data of 003 and 002 alone, on which 003 and 000 are run."""
    place = tmp_path_factory.mktemp("papers")
    data, out = put_data(place / "data"), place / "out"
    with in_process(), small_recipes():
        papers(ask(data, out, only=("000", "003")))
    return data, out


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_protocols_that_the_data_allow_are_run_and_the_others_say_why(
    run_once: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = run_once
    pages = {name: (out / f"{name}.html").read_text() for name in ("index", *PAPERS)}
    for run, checks in (("filter", ("published", "clean", "apart")), ("cut-after", ("published",))):
        assert all((out / f"runs/003/{run}/{check}/report.html").exists() for check in checks)
    assert "three classes, all films right" in pages["003"] and "a leak" in pages["003"]
    assert "published less clean, on equal rows" in pages["003"]
    assert "no clinic table" in pages["000"] and "not run yet" in pages["001"]
    assert "no clinic table" in json.loads((out / "runs/000/alexnet/missing.json").read_text())["clean"]
    before = written(out)
    papers(ask(data, out, only=("000", "003")))
    printed = capsys.readouterr().out
    assert "nothing was left to do" in printed and "trained" not in printed
    assert before == written(out)
    assert pages == {name: (out / f"{name}.html").read_text() for name in pages}


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_002_says_which_of_its_two_models_the_data_hold(run_once: tuple[str, Path], tmp_path: Path) -> None:
    papers(ask(run_once[0], tmp_path / "out", only=("002",)))
    page = (tmp_path / "out/002.html").read_text()
    assert "Every trial" in page and "No drawing to learn from was modelled on an image" in page


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_budget_below_one_says_so_in_its_column(run_once: tuple[str, Path], tmp_path: Path) -> None:
    data, out = run_once[0], tmp_path / "out"
    papers(ask(data, out, only=("003",), budget=0.5))
    assert json.loads((out / "runs/003/filter/plan.json").read_text())["budget"] == 0.5
    assert "budget 0.5: the machinery, no comparison" in (out / "003.html").read_text()
    assert "budget 0.5: the machinery, no comparison" in (out / "index.html").read_text()
    assert "not run yet" in (out / "002.html").read_text()
    with pytest.raises(WrongOutput, match="budget"):
        papers(ask(data, out, only=("003",), budget=0.25))


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_killed_job_goes_on_and_ends_in_the_same_pages(run_once: tuple[str, Path], tmp_path: Path) -> None:
    data, whole = run_once
    out = tmp_path / "out"
    arguments = ["papers", data, str(out), "--only", "003", "--weights", "none"]
    done = out / "runs/003/filter/published/report.html"
    kill_driver([sys.executable, "-c", DRIVER.format(arguments=arguments)], done.exists, ROOT)
    first = done.stat().st_mtime_ns
    assert not (out / "index.html").exists()
    main(arguments)
    assert done.stat().st_mtime_ns == first, "what was judged is not judged again"
    assert (out / "003.html").read_text() == (whole / "003.html").read_text()


def test_what_cannot_be_run_fails_before_anything_is_written(here: None, tmp_path: Path) -> None:
    data, out = put_data(tmp_path / "data"), tmp_path / "out"
    with pytest.raises(UnknownName, match="unknown paper '005'"):
        papers(ask(data, out, only=("005",)))
    with pytest.raises(UsageError, match="--budget must be above 0"):
        papers(ask(data, out, budget=0.0))
    with pytest.raises(UsageError, match="or start at random by --weights none"):
        papers(ask(data, out, only=("000",), weights=None))
    assert not out.exists()
