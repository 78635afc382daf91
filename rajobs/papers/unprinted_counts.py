"""Checks of printed numbers whose counts are not printed: all whole counts that could give the numbers are tried."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np

from rajobs.papers.findings import (
    BY_ANOTHER_DEFINITION,
    NO_COUNTS,
    NOT_REPRODUCIBLE,
    POSSIBLE,
    REPRODUCED,
    Finding,
    make_finding,
)
from rajobs.papers.paper_data import Entry, Number
from rajobs.records.statistics import count_statistics
from rajobs.records.statistics.count_statistics import TWO_BY_TWO_STATISTICS, Ints, TwoByTwo


def share_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """A share: which whole counts of which of the paper's sets give it."""
    ((name, number),) = entry.numbers.items()
    sizes: dict[str, int] = entry["of"]
    counts_of_set = {what: number.counts_of(size) for what, size in sizes.items()}
    fitting = [what for what in sizes if counts_of_set[what]]
    others = ", ".join(f"{sizes[what]} ({what})" for what in sizes if not counts_of_set[what])
    note = f"No count of {others} gives it." if others else ""
    if not fitting:
        shares = ((k, size) for size in sizes.values() for k in range(size))
        k, size = min(shares, key=lambda share: number.distance(share[0] / share[1]))
        computed = f"{k}/{size} = {number.format(k / size)} is nearest"
        yield make_finding(entry, name, verdict=NOT_REPRODUCIBLE, computed=computed, note=note)
        return
    what = fitting[0]
    size, counts = sizes[what], counts_of_set[what]
    verdict = REPRODUCED if what == next(iter(sizes)) and len(counts) == 1 else POSSIBLE
    if verdict == POSSIBLE:
        note = f"{note} {_chance_of_a_fit(number, size)}".strip()
    shares_in_words = " or ".join(f"{k}/{size}" for k in counts)
    computed = f"{shares_in_words} = {number.format(counts[0] / size)} ({what})"
    yield make_finding(entry, name, verdict=verdict, definitions=("share",), computed=computed, note=note)


def _chance_of_a_fit(number: Number, whole: int) -> str:
    """How little a fit means: the share of all printable numbers that some count of `whole` gives."""
    step = 10.0**-number.decimals / (100 if number.is_percent else 1)
    chance = min(1.0, whole * step)
    return "Any printable number would fit." if chance == 1 else f"{chance:.0%} of all printable numbers would fit."


def table_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Statistics of a two-by-two table: all tables with its row sums are tried."""
    numbers = {name: number for name, number in entry.numbers.items() if name in TWO_BY_TWO_STATISTICS}
    yes, no = entry["yes"], entry["no"]
    tables = (TwoByTwo(tp=yes - fn, fn=fn, fp=fp, tn=no - fp) for fn, fp in product(range(yes + 1), range(no + 1)))
    fitting = [
        table
        for table in tables
        if all(number.is_rounded(TWO_BY_TWO_STATISTICS[name](table)) for name, number in numbers.items())
    ]
    assert fitting, "a row that no table gives needs a check of its own"
    table = fitting[0]
    note = f"TP {table.tp}, FN {table.fn}, FP {table.fp}, TN {table.tn}: "
    note += "the only counts that give all four." if len(fitting) == 1 else f"one of {len(fitting)} that give all four."
    values = {name: statistic(table) for name, statistic in TWO_BY_TWO_STATISTICS.items()}
    for name, number in entry.numbers.items():
        if name in numbers:
            others = (other for other in values if other != name and number.is_rounded(values[other]))
            verdict = REPRODUCED if len(fitting) == 1 else POSSIBLE
            computed = number.format(values[name])
            yield make_finding(entry, name, verdict=verdict, definitions=(name, *others), computed=computed, note=note)
        else:
            yield _auc_of_pairs(entry, name, yes * no, values["one_point_auc"])


def _auc_of_pairs(entry: Entry, name: str, pairs: int, one_point: float) -> Finding:
    """An AUC is the share of pairs (a yes and a no) in the right order, so it is a count of half pairs."""
    number = entry.numbers[name]
    half_pairs = number.counts_of(2 * pairs)
    shares = " or ".join(f"{count / 2:,g}/{pairs:,}" for count in half_pairs)
    note = f"Pairs in the right order; a tie counts half. {_chance_of_a_fit(number, 2 * pairs)} "
    note += f"(sensitivity + specificity) / 2 would be {number.format(one_point)}."
    computed = f"{shares} = {number.format(half_pairs[0] / 2 / pairs)}" if half_pairs else ""
    verdict = POSSIBLE if half_pairs else NOT_REPRODUCIBLE
    return make_finding(entry, name, verdict=verdict, definitions=("auc",), computed=computed, note=note)


def agreement_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Agreement on two kinds of joints and on both together: the kinds' counts must add up to the count of both."""
    numbers = entry.numbers
    printed = entry["of"]
    for sizes in (printed, *entry.fields.get("tried", ())):
        counts = counts_that_add_up(tuple(numbers.values()), sizes)
        if len(counts) == 1:
            is_printed = sizes == printed
            verdict = REPRODUCED if is_printed else BY_ANOTHER_DEFINITION
            note = f"Of {sum(sizes)} joints, not of the {sum(printed)} that the table's note names."
            shares = zip(numbers, (sum(counts[0]), *counts[0]), (sum(sizes), *sizes))
            for name, part, whole in shares:
                yield _share_finding(entry, name, part, whole, verdict, "" if is_printed else note)
            return
    for (name, number), size in zip(numbers.items(), (sum(printed), *printed)):
        rounding = number.counts_of(size)
        if rounding:
            yield _share_finding(entry, name, rounding[0], size, REPRODUCED, "")
        else:
            k = int(number.digits / 100 * size) + 1
            assert number.is_cut_off(k / size)
            definitions = (f"{entry['measure']}, cut off",)
            computed = f"{k}/{size} = {number.format(k / size)}"
            yield make_finding(entry, name, verdict=BY_ANOTHER_DEFINITION, definitions=definitions, computed=computed)


def _share_finding(entry: Entry, name: str, part: int, whole: int, verdict: str, note: str) -> Finding:
    computed = f"{part}/{whole} = {entry.numbers[name].format(part / whole)}"
    return make_finding(entry, name, verdict=verdict, definitions=(entry["measure"],), computed=computed, note=note)


def counts_that_add_up(numbers: tuple[Number, ...], sizes: tuple[int, int]) -> list[tuple[int, int]]:
    """Counts of two kinds that give the kinds' numbers and, added up, the number of both together."""
    both, first, second = numbers
    pairs = product(first.counts_of(sizes[0]), second.counts_of(sizes[1]))
    return [(one, other) for one, other in pairs if both.is_rounded((one + other) / sum(sizes))]


def staging_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """One-vs-rest means over classes: each class has a threshold, and so a table, of its own.

    `tp` and `tn` of the entry are counts by class that give the printed means: an example that such counts exist.
    """
    sizes = entry["classes"]
    whole = sum(sizes)
    tables = [
        TwoByTwo(tp=tp, fn=n - tp, fp=whole - n - tn, tn=tn) for n, tp, tn in zip(sizes, entry["tp"], entry["tn"])
    ]
    numbers = entry.numbers
    means = {
        name: float(np.mean([TWO_BY_TWO_STATISTICS[name](table) for table in tables]))
        for name in ("sensitivity", "specificity", "f1")
    }
    assert all(numbers[name].is_rounded(mean) for name, mean in means.items()), "the example must give what is printed"
    yield make_finding(entry, "auc", verdict=NO_COUNTS, note=_no_one_point_auc(numbers))
    yield _staging_accuracy(entry, whole, len(sizes))
    for name, mean in means.items():
        note = _no_plain_share(numbers[name], name, whole, sizes)
        note += "Counts of six tables exist that give this row's four figures together; they are not printed."
        definitions, computed = (f"mean of one-vs-rest {name}",), numbers[name].format(mean)
        yield make_finding(entry, name, verdict=POSSIBLE, definitions=definitions, computed=computed, note=note)


def _no_plain_share(number: Number, name: str, whole: int, sizes: list[int]) -> str:
    negatives = whole * (len(sizes) - 1)
    wholes = {"sensitivity": (whole, whole - sizes[0]), "specificity": (negatives, sizes[0]), "f1": ()}[name]
    assert not any(number.counts_of(n) for n in wholes)
    if not wholes:
        return ""
    return f"No count of {wholes[0]} (all classes added up) or of {wholes[1]} (RA against normal) gives it. "


def _no_one_point_auc(numbers: Mapping[str, Number]) -> str:
    mean = (numbers["sensitivity"].digits + numbers["specificity"].digits) / 2
    return f"It needs the models' scores. (Sensitivity + specificity) / 2 would be {mean:.2f}%: it is no one-point AUC."


def _staging_accuracy(entry: Entry, whole: int, classes: int) -> Finding:
    number = entry.numbers["accuracy"]
    answers = whole * classes
    counts = number.counts_of(answers)
    assert not number.counts_of(whole) and len(counts) == 1 and counts[0] % 2
    lowest = 1 - 2 / classes
    below = f", and the share is below {lowest:.1%}" if counts[0] / answers < lowest else ""
    note = f"No count of {whole} gives it. It is not from one answer per hand: {counts[0]} is odd{below}. "
    note += _chance_of_a_fit(number, answers)
    computed = f"{counts[0]}/{answers} = {number.format(counts[0] / answers)}"
    definitions = ("ovr_accuracy, a threshold for each class",)
    return make_finding(
        entry, "accuracy", verdict=BY_ANOTHER_DEFINITION, definitions=definitions, computed=computed, note=note
    )


def kappa_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Kappa between the model and a reader: all tables with the model's totals are tried."""
    ((name, number),) = entry.numbers.items()
    yes, no = entry["margin"]
    tables = (TwoByTwo(tp=tp, fn=yes - tp, fp=fp, tn=no - fp) for tp, fp in product(range(yes + 1), range(no + 1)))
    kappas = {(t.tp, t.fn, t.fp, t.tn): count_statistics.kappa_unweighted(t.matrix) for t in tables}
    rounding = [counts for counts, kappa in kappas.items() if number.is_rounded(kappa)]
    cut_off = [counts for counts, kappa in kappas.items() if number.is_cut_off(kappa)]
    if not (rounding or cut_off):
        nearest = min(kappas, key=lambda counts: number.distance(kappas[counts]))
        computed = f"{kappas[nearest]:.4f} ({_cells_in_words(nearest)})"
        yield make_finding(entry, name, verdict=NOT_REPRODUCIBLE, computed=computed)
        return
    fitting = rounding or cut_off
    note = "" if rounding else "No table rounds to it. "
    is_only = len(fitting) == 1
    note += f"The only table of {yes + no} with AlexNet's {yes} and {no}: " if is_only else f"One of {len(fitting)}: "
    yield make_finding(
        entry,
        name,
        verdict=POSSIBLE,
        definitions=("kappa_unweighted" if rounding else "kappa_unweighted, cut off",),
        computed=f"{kappas[fitting[0]]:.4f}",
        note=f"{note}{_cells_in_words(fitting[0])}.",
    )


def _cells_in_words(counts: tuple[int, ...]) -> str:
    return "both {}, only AlexNet {}, only the expert {}, neither {}".format(*counts)


def ranges_without_counts(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Sensitivity and specificity of one model against two readers, as ranges that do not say which is whose."""
    fitting = tables_of_two_readers(entry)
    assert fitting, "ranges that no counts give need a check of their own"
    ways = "; or ".join(
        f"{_shares_in_words(first)} by clinician 1, {_shares_in_words(second)} by clinician 2"
        for first, second in fitting
    )
    note = f"Counts of {entry['of']} joints that give all four and allow the exact agreement of table 3: {ways}."
    for name, number in entry.numbers.items():
        measure = name.partition(",")[0]
        values = (TWO_BY_TWO_STATISTICS[measure](table) for table in fitting[0])
        computed = number.format(next(value for value in values if number.is_rounded(value)))
        yield make_finding(entry, name, verdict=POSSIBLE, definitions=(f"any_{measure}",), computed=computed, note=note)
        note = "As in the row above."


def tables_of_two_readers(entry: Entry) -> list[tuple[TwoByTwo, TwoByTwo]]:
    """Possible tables with readers 1 and 2.

    The model's answers above zero are equally many in both tables, and a score that equals the reader's is right.
    """
    low, high, specificity_low, specificity_high = entry.numbers.values()
    pairings = (((low, specificity_high), (high, specificity_low)), ((low, specificity_low), (high, specificity_high)))
    pairs = (
        pair
        for first, second in pairings
        for pair in product(_tables_that_give(*first, entry["of"]), _tables_that_give(*second, entry["of"]))
    )
    same_model = [(one, other) for one, other in pairs if one.tp + one.fp == other.tp + other.fp]
    equal_scores = entry["equal"]  # joints to which model and reader give the same score, by table 3
    ordered = [pair for one, other in same_model for pair in ((one, other), (other, one))]
    return [pair for pair in ordered if all(table.tp + table.tn >= equal for table, equal in zip(pair, equal_scores))]


def _tables_that_give(sensitivity: Number, specificity: Number, whole: int) -> list[TwoByTwo]:
    return [
        TwoByTwo(tp=tp, fn=yes - tp, fp=whole - yes - tn, tn=tn)
        for yes in range(1, whole)
        for tp in sensitivity.counts_of(yes)
        for tn in specificity.counts_of(whole - yes)
    ]


def _shares_in_words(table: TwoByTwo) -> str:
    return f"{table.tp}/{table.tp + table.fn} with {table.tn}/{table.tn + table.fp}"
