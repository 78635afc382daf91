"""Checks of printed numbers whose counts are printed as well: every definition is computed from the counts."""

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from rajobs.papers.findings import (
    NO_COUNTS,
    NOT_REPRODUCIBLE,
    REPRODUCED,
    SUM_OR_PRODUCT,
    Finding,
    compare,
    make_finding,
)
from rajobs.papers.paper_data import Entry
from rajobs.records import metrics
from rajobs.records.statistics import count_statistics, intervals
from rajobs.records.statistics.count_statistics import MATRIX_STATISTICS, TWO_BY_TWO_STATISTICS, Ints, one_vs_rest


def class_statistics(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    """Statistics of one class of a printed matrix against the rest."""
    table = one_vs_rest(matrices[entry["matrix"]], entry["class"])
    values = {name: statistic(table) for name, statistic in TWO_BY_TWO_STATISTICS.items()}
    return (compare(entry, name, values) for name in entry.numbers)


def matrix_statistics(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    """Statistics of a printed matrix."""
    values = {name: statistic(matrices[entry["matrix"]]) for name, statistic in MATRIX_STATISTICS.items()}
    weighted = ("kappa_linear", "qwk")  # a paper that says "weighted kappa" may mean either
    return (compare(entry, name, values, weighted if name == "weighted_kappa" else ()) for name in entry.numbers)


def kappa_interval(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    """The interval of a printed matrix's kappa."""
    matrix = matrices[entry["matrix"]]
    answers = matrix_as_answers(matrix)
    ends = {}
    for power, name in enumerate(("kappa_unweighted", "kappa_linear", "qwk")):
        ends[f"{name}, standard error"] = intervals.kappa_interval(matrix, power)
        ends[f"{name}, leaving images out"] = metrics.interval(metrics.METRICS[name], answers)
    for end, name in enumerate(entry.numbers):
        values = {definition: low_and_high[end] for definition, low_and_high in ends.items()}
        yield compare(entry, name, values, ("kappa_linear, standard error",))


def matrix_as_answers(matrix: Ints) -> metrics.Answers:
    """The answers that a matrix counts, each from a patient of its own."""
    truth, predicted = (np.repeat(numbers.ravel(), matrix.ravel()) for numbers in np.indices(matrix.shape))
    patients = np.arange(len(truth)).astype(np.str_)
    return metrics.Answers(truth=truth, predicted=predicted, p=np.eye(len(matrix))[predicted], patients=patients)


def printed_share(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """A share whose two counts are printed."""
    (name,) = entry.numbers
    part, whole = entry["counts"]
    finding = compare(entry, name, {"share": count_statistics.share(part, whole)}, ("share",))
    low, high = intervals.wilson(part, whole)
    note = f"{part}/{whole}, Wilson interval {100 * low:.1f} to {100 * high:.1f} %."
    if finding.verdict == NOT_REPRODUCIBLE:
        others = ", ".join(f"{k}/{whole}" for k in entry.numbers[name].counts_of(whole))
        note = f"{note} {others or f'No count of {whole}'} would give it."
    yield make_finding(
        entry, name, verdict=finding.verdict, definitions=finding.definitions, computed=finding.computed, note=note
    )


def group_difference(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """The p value of a difference between two groups whose counts are printed."""
    (name,) = entry.numbers
    tests = intervals.TWO_GROUP_TESTS
    values = {test: p_value(tuple(entry["one"]), tuple(entry["other"])) for test, p_value in tests.items()}
    yield compare(entry, name, values)


def sum_or_product(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """A count that other printed counts must add or multiply up to."""
    (name,) = entry.numbers
    is_sum = "sum" in entry.fields
    terms = entry["sum"] if is_sum else entry["product"]
    value = sum(terms) if is_sum else prod(terms)
    is_equal = entry.numbers[name].digits == value
    formula = (" + " if is_sum else " x ").join(map(str, terms))
    yield make_finding(
        entry,
        name,
        verdict=REPRODUCED if is_equal else NOT_REPRODUCIBLE,
        definitions=(SUM_OR_PRODUCT,) if is_equal else (),
        computed=f"{formula} = {value:,}" if len(terms) > 1 else f"{value:,}",
    )


def not_computable(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """A number for which the paper prints no counts at all."""
    (name,) = entry.numbers
    yield make_finding(entry, name, verdict=NO_COUNTS, note=entry["why"])
