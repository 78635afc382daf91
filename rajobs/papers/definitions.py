"""Which definition gives a printed number: every one is tried on the counts at hand, and what fits is told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from rajobs.papers.printed import Entry
from rajobs.records import count_statistics, intervals, metrics
from rajobs.records.count_statistics import MATRIX_STATISTICS, TWO_BY_TWO_STATISTICS, Ints, one_vs_rest

AS_NAMED = "reproduced"
OTHERWISE = "reproduced by another definition"
POSSIBLE = "possible"
NOT = "not reproducible"
NO_COUNTS = "no counts printed"
COUNT = "sum or product"
VERDICTS = (AS_NAMED, OTHERWISE, POSSIBLE, NOT, NO_COUNTS)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A printed number, the definitions that give it within its rounding, and what that means."""

    where: str
    what: str
    printed: str
    named: str
    given_by: tuple[str, ...]
    computed: str
    verdict: str
    note: str = ""


def told(
    entry: Entry, name: str, *, verdict: str, given_by: tuple[str, ...] = (), computed: str = "", note: str = ""
) -> Finding:
    return Finding(
        where=entry.where,
        what=entry.what,
        printed=entry.numbers[name].text,
        named=name,
        given_by=given_by,
        computed=computed,
        verdict=verdict,
        note=" ".join(part for part in (note, entry.note) if part),
    )


def search(entry: Entry, name: str, values: Mapping[str, float], right: tuple[str, ...] = ()) -> Finding:
    """Hold a printed number against every definition's value; `right` are the ids that its name stands for."""
    number = entry.numbers[name]
    right = right or (name,)
    fit = sorted((one for one, value in values.items() if number.rounds(value)), key=lambda one: one not in right)
    if fit:
        verdict, value = AS_NAMED if fit[0] in right else OTHERWISE, values[fit[0]]
        note = "Half-way between two numbers that can be printed." if number.halfway(value) else ""
        return told(entry, name, verdict=verdict, given_by=tuple(fit), computed=number.show(value), note=note)
    cut = [one for one in right if one in values and number.cuts(values[one])]
    if cut:
        given_by = (f"{cut[0]}, cut off",)
        return told(entry, name, verdict=OTHERWISE, given_by=given_by, computed=number.show(values[cut[0]]))
    nearest = min(values, key=lambda one: number.away(values[one]))
    at_hand = next((one for one in right if one in values), nearest)
    note = "" if at_hand == nearest else f"The nearest is {nearest}: {number.show(values[nearest])}."
    return told(entry, name, verdict=NOT, computed=f"{number.show(values[at_hand])} ({at_hand})", note=note)


def of_class(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    table = one_vs_rest(matrices[entry["matrix"]], entry["class"])
    values = {name: rule(table) for name, rule in TWO_BY_TWO_STATISTICS.items()}
    return (search(entry, name, values) for name in entry.numbers)


def of_matrix(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    values = {name: rule(matrices[entry["matrix"]]) for name, rule in MATRIX_STATISTICS.items()}
    weighted = ("kappa_linear", "qwk")  # a paper that says "weighted kappa" may mean either
    return (search(entry, name, values, weighted if name == "weighted_kappa" else ()) for name in entry.numbers)


def kappa_interval(entry: Entry, matrices: Mapping[str, Ints]) -> Iterator[Finding]:
    matrix = matrices[entry["matrix"]]
    answers = as_answers(matrix)
    spans = {}
    for power, name in enumerate(("kappa_unweighted", "kappa_linear", "qwk")):
        spans[f"{name}, standard error"] = intervals.kappa_interval(matrix, power)
        spans[f"{name}, bootstrap by image"] = metrics.interval(metrics.METRICS[name], answers)
    for at, name in enumerate(entry.numbers):
        values = {definition: span[at] for definition, span in spans.items()}
        yield search(entry, name, values, ("kappa_linear, standard error",))


def as_answers(matrix: Ints) -> metrics.Answers:
    """The answers that a matrix counts, each of a patient of its own."""
    truth, predicted = (np.repeat(at.ravel(), matrix.ravel()) for at in np.indices(matrix.shape))
    patients = np.arange(len(truth)).astype(np.str_)
    return metrics.Answers(truth=truth, predicted=predicted, p=np.eye(len(matrix))[predicted], patients=patients)


def share(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    (name,) = entry.numbers
    part, whole = entry["counts"]
    found = search(entry, name, {"share": count_statistics.share(part, whole)}, ("share",))
    low, high = intervals.wilson(part, whole)
    note = f"{part}/{whole}, Wilson interval {100 * low:.1f} to {100 * high:.1f} %."
    if found.verdict == NOT:
        others = ", ".join(f"{k}/{whole}" for k in entry.numbers[name].wholes(whole))
        note = f"{note} {others or f'No count of {whole}'} would give it."
    yield told(
        entry, name, verdict=found.verdict, given_by=found.given_by, computed=found.computed, note=note
    )  # fmt: skip


def two_groups(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    (name,) = entry.numbers
    tests = intervals.TWO_GROUP_TESTS
    values = {test: rule(tuple(entry["one"]), tuple(entry["other"])) for test, rule in tests.items()}
    yield search(entry, name, values)


def counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    (name,) = entry.numbers
    terms = entry.has.get("sum") or entry["product"]
    value = sum(terms) if "sum" in entry.has else prod(terms)
    same = entry.numbers[name].shown == value
    how = (" + " if "sum" in entry.has else " x ").join(map(str, terms))
    given_by = (COUNT,) if same else ()
    computed = f"{how} = {value:,}" if len(terms) > 1 else f"{value:,}"
    yield told(entry, name, verdict=AS_NAMED if same else NOT, given_by=given_by, computed=computed)


def unchecked(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    (name,) = entry.numbers
    yield told(entry, name, verdict=NO_COUNTS, note=entry["why"])
