"""The audit names the right definition of each printed number, and its page is up to date."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rajobs.papers.audit import audit_page, audit_paper
from rajobs.papers.findings import (
    BY_ANOTHER_DEFINITION,
    NO_COUNTS,
    NOT_REPRODUCIBLE,
    POSSIBLE,
    REPRODUCED,
    VERDICTS,
    Finding,
)
from rajobs.papers.paper_data import Entry, Number, Paper, read_paper, read_papers
from rajobs.papers.unprinted_counts import counts_that_add_up, tables_of_two_readers
from rajobs.records.statistics import count_statistics, intervals

ROOT = Path(__file__).parents[2]
FINDINGS = {paper.number: audit_paper(paper) for paper in read_papers()}


def finding_of(paper: str, what: str, named: str = "") -> Finding:
    """The only finding on what a paper prints, under a name if several have one."""
    (finding,) = (f for f in FINDINGS[paper] if f.what == what and named in ("", f.named))
    return finding


def entries(paper: str, kind: str) -> list[Entry]:
    return [entry for entry in read_paper(paper).entries if entry.kind == kind]


def test_the_committed_page_is_what_the_code_makes() -> None:
    committed = (ROOT / "docs" / "metric-audit.md").read_text(encoding="utf-8")
    assert committed == audit_page(), "python -m rajobs.papers.audit > docs/metric-audit.md"


def test_each_number_has_a_verdict_and_the_counts_are_known() -> None:
    counts = {
        number: tuple([f.verdict for f in findings].count(verdict) for verdict in VERDICTS)
        for number, findings in FINDINGS.items()
    }
    assert counts == {
        "000": (36, 1, 3, 3, 22),
        "001": (25, 5, 20, 2, 6),
        "002": (51, 8, 0, 0, 3),
        "003": (13, 0, 1, 2, 0),
        "004": (52, 13, 10, 1, 4),
    }
    every = [finding for findings in FINDINGS.values() for finding in findings]
    assert all(
        f.computed and f.definitions for f in every if f.verdict in (REPRODUCED, BY_ANOTHER_DEFINITION, POSSIBLE)
    )
    assert all(f.note and not f.computed for f in every if f.verdict == NO_COUNTS)


@pytest.mark.parametrize(
    ("text", "rounded", "cut", "neither"),
    [
        ("65.2%", 0.6524, 0.65278, 0.6531),
        ("0.73", 0.725, 0.7399, 0.7401),
        ("0.99543", 871 / 875, 0.995439, 866 / 870),
        ("8,760", 8760, 8760.9, 8761),
    ],
)
def test_a_number_is_rounded_or_cut(text: str, rounded: float, cut: float, neither: float) -> None:
    number = Number(text=text)
    assert (
        number.is_rounded(rounded)
        and number.is_cut_off(cut)
        and not number.is_rounded(neither)
        and not number.is_cut_off(neither)
    )
    assert not number.is_rounded(cut)


def test_a_bound_in_print_is_a_bound() -> None:
    assert Number(text="<0.0001").is_rounded(0.00005) and not Number(text="<0.0001").is_rounded(0.0002)


@pytest.mark.parametrize("paper", read_papers(), ids=lambda paper: paper.number)
def test_matrices_agree_with_the_printed_row_sums(paper: Paper) -> None:
    sums = {name: tuple(matrix.sum(axis=1)) for name, matrix in paper.matrices.items()}
    expected = {"initial": (43, 41, 67, 5), "second": (43, 41, 67, 5), "third_trial": (40, 10)}
    assert sums == {name: expected[name] for name in sums}


# 002: one-point AUC, linear kappa, 871 of 875


def test_every_auc_of_002_is_the_one_point_auc() -> None:
    areas = [f for f in FINDINGS["002"] if f.named == "auc"]
    assert len(areas) == 8 and all(
        "one_point_auc" in f.definitions and f.verdict == BY_ANOTHER_DEFINITION for f in areas
    )
    others = [f for f in FINDINGS["002"] if f.named in ("accuracy", "precision", "sensitivity", "f1", "specificity")]
    assert len(others) == 40 and all(f.verdict == REPRODUCED and f.named in f.definitions for f in others)


@pytest.mark.parametrize(("model", "quadratic"), [("initial", 0.71), ("second", 0.76)])
def test_002_s_kappa_is_the_linear_one_with_its_standard_error(model: str, quadratic: float) -> None:
    finding = finding_of("002", f"{model} model, all grades")
    assert "kappa_linear" in finding.definitions and "qwk" not in finding.definitions
    assert round(count_statistics.qwk(read_paper("002").matrices[model]), 2) == quadratic
    for end in ("low", "high"):
        definitions = finding_of("002", f"{model} model, 95 % interval of kappa", end).definitions
        assert definitions[0] == "kappa_linear, standard error" and not any("qwk" in name for name in definitions)


def test_002_s_cross_validation_is_of_875_drawings() -> None:
    finding = finding_of("002", "second model, five-fold cross-validation on the drawings")
    assert finding.computed.startswith("871/875") and "870" in finding.note and finding.verdict == REPRODUCED
    assert count_statistics.runs_mean([1.0, 1.0, 174 / 175, 173 / 175, 174 / 175]) == pytest.approx(871 / 875)


# 001: whole pairs, one-vs-rest staging


def test_001_s_recognition_rows_have_one_table_each_and_whole_pairs() -> None:
    rows = [f for f in FINDINGS["001"] if f.what.startswith("recognition")]
    assert [f.verdict for f in rows] == 5 * [POSSIBLE, *4 * [REPRODUCED]]
    assert "TP 90, FN 1, FP 3, TN 10" in finding_of("001", "recognition, AlexNet", "f1").note
    assert finding_of("001", "recognition, AlexNet", "auc").computed.startswith("1,128/1,183")
    assert finding_of("001", "recognition, ResNet50", "auc").computed.startswith("1,100.5/1,183")


def test_001_s_staging_accuracy_is_one_vs_rest_and_not_from_one_answer_per_hand() -> None:
    counts = {f.what: int(f.computed.partition("/624")[0]) for f in FINDINGS["001"]
              if f.what.startswith("staging") and f.named == "accuracy"}  # fmt: skip
    assert list(counts.values()) == [331, 353, 413, 395, 433]
    # One answer per hand: an error is wrong in two of the six tables, so 624 - right is even, and 2/3 is the least.
    rng = np.random.default_rng(0)
    for _ in range(50):
        truth, answers = np.repeat(np.arange(6), (13, 14, 22, 24, 17, 14)), rng.integers(0, 6, 104)
        matrix = np.bincount(truth * 6 + answers, minlength=36).reshape(6, 6)
        right = count_statistics.ovr_accuracy(matrix) * 624
        assert right == pytest.approx(round(right)) and round(right) % 2 == 0 and right >= 416
    assert all(count % 2 for count in counts.values()) and sum(count < 416 for count in counts.values()) == 4


# 004: readers on 299 joints, one cut, one slip


def test_004_s_readers_are_compared_on_150_and_149_joints_and_the_model_on_144_and_142() -> None:
    rows = entries("004", "agreement_without_counts")
    numbers = {True: [], False: []}  # type: dict[bool, list[tuple[Number, ...]]]
    for entry in rows:
        numbers["between" in entry.what].append(tuple(entry.numbers.values()))
    pairs = list(product(range(130, 151), repeat=2))
    assert [pair for pair in pairs if all(counts_that_add_up(row, pair) for row in numbers[True])] == [(150, 149)]
    assert [pair for pair in pairs if sum(bool(counts_that_add_up(row, pair)) for row in numbers[False]) >= 7] == [
        (144, 142)
    ]
    readers = [f for f in FINDINGS["004"] if "between the clinicians" in f.what]
    assert len(readers) == 12 and all(f.verdict == BY_ANOTHER_DEFINITION for f in readers)


def test_004_s_one_cut_number_and_its_one_slip() -> None:
    cut = finding_of("004", "erosion, model with clinician 2, PEA", "PIP and IP")
    assert cut.definitions == ("accuracy, cut off",) and cut.computed.startswith("94/144")
    slip = finding_of("004", "MCP joints found")
    assert slip.verdict == NOT_REPRODUCIBLE and "141/150 would give it" in slip.note


def test_004_s_ranges_belong_to_clinicians_in_few_ways() -> None:
    jsn, erosion = (tables_of_two_readers(entry) for entry in entries("004", "ranges_without_counts"))
    assert [(one.tp + one.fn, other.tp + other.fn) for one, other in jsn] == [(167, 86)]
    assert {(one.tp + one.fn, other.tp + other.fn) for one, other in erosion} == {(66, 59), (59, 66)}


# 000 and 003


def test_000_s_third_kappa_and_two_p_values_are_not_rounded_from_any_counts() -> None:
    kappas = [f for f in FINDINGS["000"] if f.named == "kappa"]
    assert [f.definitions for f in kappas] == [*2 * [("kappa_unweighted",)], ("kappa_unweighted, cut off",)]
    wrong = [f.printed for f in FINDINGS["000"] if f.named == "chi_squared" and f.verdict == NOT_REPRODUCIBLE]
    assert wrong == ["0.071", "0.09"]
    assert finding_of("000", "trunk pain: 36 of 252 with RA, 168 of 785 without").definitions == ("fisher",)


def test_003_s_accuracies_are_of_no_count_of_the_test_films() -> None:
    one, two = (Number(text=text) for text in ("95.17%", "97.89%"))
    assert one.counts_of(206) == two.counts_of(206) == () and one.counts_of(1097) == (1044,)
    assert finding_of("003", "model 2, both hands or not").verdict == NOT_REPRODUCIBLE


def test_the_intervals_in_the_text_are_those_of_the_counts() -> None:
    low, high = intervals.wilson(49, 50)
    assert (round(100 * low), round(100 * high)) == (90, 100)
    low, high = intervals.wilson(10, 13)
    assert (round(100 * low), round(100 * high)) == (50, 92)
