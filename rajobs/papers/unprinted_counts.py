"""Printed numbers whose counts are not printed: every table of whole counts that could stand behind them is tried."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np

from rajobs.papers.definitions import AS_NAMED, NO_COUNTS, NOT, OTHERWISE, POSSIBLE, Finding, told
from rajobs.papers.printed import Entry, Number
from rajobs.records import count_statistics
from rajobs.records.count_statistics import TWO_BY_TWO_STATISTICS, Ints, TwoByTwo


def whole(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """A share whose counts are not printed: which whole counts of which sets give it."""
    ((name, number),) = entry.numbers.items()
    sets: dict[str, int] = entry["of"]
    fit = {what: number.wholes(whole) for what, whole in sets.items()}
    there = [what for what in sets if fit[what]]
    none = ", ".join(f"{sets[what]} ({what})" for what in sets if not fit[what])
    note = f"No count of {none} gives it." if none else ""
    if not there:
        near = min(((k, n) for n in sets.values() for k in range(n)), key=lambda kn: number.away(kn[0] / kn[1]))
        told_near = f"{near[0]}/{near[1]} = {number.show(near[0] / near[1])} is nearest"
        yield told(entry, name, verdict=NOT, computed=told_near, note=note)
        return
    first = there[0]
    whole, counts = sets[first], fit[first]
    verdict = AS_NAMED if first == next(iter(sets)) and len(counts) == 1 else POSSIBLE
    if verdict == POSSIBLE:
        note = f"{note} {_by_chance(number, whole)}"
    ways = " or ".join(f"{k}/{whole}" for k in counts)
    yield told(entry, name, verdict=verdict, given_by=("share",), note=note.strip(),
                computed=f"{ways} = {number.show(counts[0] / whole)} ({first})")  # fmt: skip


def _by_chance(number: Number, whole: int) -> str:
    """How telling a fit is: the share of the numbers that could be printed which some count of so many gives."""
    step = 10.0**-number.decimals / (100 if number.percent else 1)
    odds = min(1.0, whole * step)
    return "Any printed number would fit." if odds == 1 else f"{odds:.0%} of the numbers that can be printed would fit."


def two_by_two(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Figures of a table that is not printed: all tables with its row sums are tried."""
    numbers = {name: number for name, number in entry.numbers.items() if name in TWO_BY_TWO_STATISTICS}
    yes, no = entry["yes"], entry["no"]
    every = (TwoByTwo(tp=yes - fn, fn=fn, fp=fp, tn=no - fp) for fn, fp in product(range(yes + 1), range(no + 1)))
    fit = [t for t in every if all(number.rounds(TWO_BY_TWO_STATISTICS[name](t)) for name, number in numbers.items())]
    assert fit, "a row that no table gives needs a search of its own"
    table = fit[0]
    said = f"TP {table.tp}, FN {table.fn}, FP {table.fp}, TN {table.tn}: "
    said += "the only counts that give all four." if len(fit) == 1 else f"one of {len(fit)} that give all four."
    values = {name: rule(table) for name, rule in TWO_BY_TWO_STATISTICS.items()}
    for name, number in entry.numbers.items():
        if name in numbers:
            given_by = (name, *(one for one in values if one != name and number.rounds(values[one])))
            verdict = AS_NAMED if len(fit) == 1 else POSSIBLE
            computed = number.show(values[name])
            yield told(entry, name, verdict=verdict, given_by=given_by, computed=computed, note=said)
        else:
            yield _pairs(entry, name, yes * no, values["one_point_auc"])


def _pairs(entry: Entry, name: str, pairs: int, one_point: float) -> Finding:
    """An AUC is a number of ordered pairs, ties half, of all pairs of a yes and a no."""
    number = entry.numbers[name]
    halves = number.wholes(2 * pairs)
    ways = " or ".join(f"{half / 2:,g}/{pairs:,}" for half in halves)
    note = f"Pairs in the right order, ties half. {_by_chance(number, 2 * pairs)} "
    note += f"(sensitivity + specificity) / 2 would be {number.show(one_point)}."
    computed = f"{ways} = {number.show(halves[0] / 2 / pairs)}" if halves else ""
    return told(entry, name, verdict=POSSIBLE if halves else NOT, given_by=("auc",), computed=computed, note=note)


def agreement_of_kinds(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Agreement on two kinds of joints and on both: counts that add up are looked for among the joints there are."""
    numbers = entry.numbers
    printed = entry["of"]
    for of in (printed, *entry.has.get("tried", ())):
        counts = added_up(tuple(numbers.values()), of)
        if len(counts) == 1:
            verdict = AS_NAMED if of == printed else OTHERWISE
            note = (
                "" if of == printed else f"Of {sum(of)} joints, not of the {sum(printed)} that the table's note names."
            )
            ways = zip(numbers, (sum(counts[0]), *counts[0]), (sum(of), *of))
            yield from (_counted(entry, name, k, n, verdict, note) for name, k, n in ways)
            return
    for (name, number), n in zip(numbers.items(), (sum(printed), *printed)):
        each = number.wholes(n)
        if each:
            yield _counted(entry, name, each[0], n, AS_NAMED, "")
        else:
            k = int(number.shown / 100 * n) + 1
            assert number.cuts(k / n)
            given_by = (f"{entry['measure']}, cut off",)
            computed = f"{k}/{n} = {number.show(k / n)}"
            yield told(entry, name, verdict=OTHERWISE, given_by=given_by, computed=computed)


def _counted(entry: Entry, name: str, part: int, whole: int, verdict: str, note: str) -> Finding:
    computed = f"{part}/{whole} = {entry.numbers[name].show(part / whole)}"
    return told(entry, name, verdict=verdict, given_by=(entry["measure"],), computed=computed, note=note)


def added_up(numbers: tuple[Number, ...], of: tuple[int, int]) -> list[tuple[int, int]]:
    """Counts of two kinds that give the kinds' numbers and, added up, the number of all."""
    both, one, other = numbers
    ways = product(one.wholes(of[0]), other.wholes(of[1]))
    return [(a, b) for a, b in ways if both.rounds((a + b) / sum(of))]


def staging(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """One-vs-rest means over classes whose answers are not printed, each class with a threshold of its own."""
    sizes = entry["classes"]
    whole = sum(sizes)
    tables = [
        TwoByTwo(tp=tp, fn=n - tp, fp=whole - n - tn, tn=tn) for n, tp, tn in zip(sizes, entry["tp"], entry["tn"])
    ]
    numbers = entry.numbers
    for name in ("sensitivity", "specificity", "f1"):
        macro = float(np.mean([TWO_BY_TWO_STATISTICS[name](table) for table in tables]))
        assert numbers[name].rounds(macro), "the witness must give what is printed"
    yield told(entry, "auc", verdict=NO_COUNTS, note=_not_one_point(numbers))
    yield _staging_accuracy(entry, whole, len(sizes))
    for name in ("sensitivity", "specificity", "f1"):
        value = float(np.mean([TWO_BY_TWO_STATISTICS[name](table) for table in tables]))
        note = _not_plain(numbers[name], name, whole, sizes)
        note += "Counts of six tables exist that give this row's four figures together; they are not printed."
        computed, given_by = numbers[name].show(value), (f"mean of one-vs-rest {name}",)
        yield told(entry, name, verdict=POSSIBLE, given_by=given_by, computed=computed, note=note)


def _not_plain(number: Number, name: str, whole: int, sizes: list[int]) -> str:
    rest = whole * (len(sizes) - 1)
    plain = {"sensitivity": (whole, whole - sizes[0]), "specificity": (rest, sizes[0]), "f1": ()}[name]
    assert not any(number.wholes(n) for n in plain)
    if not plain:
        return ""
    return f"No count of {plain[0]} (all classes added up) or of {plain[1]} (RA against normal) gives it. "


def _not_one_point(numbers: Mapping[str, Number]) -> str:
    mean = (numbers["sensitivity"].shown + numbers["specificity"].shown) / 2
    return f"Needs the scores. (Sensitivity + specificity) / 2 would be {mean:.2f}%, so it is no one-point AUC."


def _staging_accuracy(entry: Entry, whole: int, classes: int) -> Finding:
    number = entry.numbers["accuracy"]
    counts = number.wholes(whole * classes)
    assert not number.wholes(whole) and len(counts) == 1
    floor = 1 - 2 / classes
    below = f", and the share is below {floor:.1%}" if counts[0] / (whole * classes) < floor else ""
    assert counts[0] % 2
    note = f"No count of {whole} gives it. Not of one answer a hand: {counts[0]} is odd{below}. "
    note += _by_chance(number, whole * classes)
    computed = f"{counts[0]}/{whole * classes} = {number.show(counts[0] / (whole * classes))}"
    given_by = ("ovr_accuracy, a threshold for each class",)
    return told(entry, "accuracy", verdict=OTHERWISE, given_by=given_by, computed=computed, note=note)


def kappa_margin(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Kappa with a reader whose answers are not printed: every table with one reader's totals is tried."""
    ((name, number),) = entry.numbers.items()
    yes, no = entry["margin"]
    every = (TwoByTwo(tp=tp, fn=yes - tp, fp=fp, tn=no - fp) for tp, fp in product(range(yes + 1), range(no + 1)))
    kappas = {(t.tp, t.fn, t.fp, t.tn): count_statistics.kappa_unweighted(t.matrix) for t in every}
    fit = [counts for counts, kappa in kappas.items() if number.rounds(kappa)]
    cut = [counts for counts, kappa in kappas.items() if number.cuts(kappa)]
    if not (fit or cut):
        nearest = min(kappas, key=lambda counts: number.away(kappas[counts]))
        yield told(entry, name, verdict=NOT, computed=f"{kappas[nearest]:.4f} ({_cells(nearest)})")
        return
    ways = fit or cut
    note = "" if fit else "No table rounds to it. "
    note += (
        f"The only table of {yes + no} with AlexNet's {yes} and {no}: " if len(ways) == 1 else f"One of {len(ways)}: "
    )
    given_by = ("kappa_unweighted" if fit else "kappa_unweighted, cut off",)
    computed = f"{kappas[ways[0]]:.4f}"
    yield told(entry, name, verdict=POSSIBLE, given_by=given_by, computed=computed, note=f"{note}{_cells(ways[0])}.")


def _cells(counts: tuple[int, ...]) -> str:
    return "both {}, only AlexNet {}, only the expert {}, neither {}".format(*counts)


def damage(entry: Entry, _: Mapping[str, Ints]) -> Iterator[Finding]:
    """Sensitivity and specificity of one model against two readers, given as ranges without saying which is whose."""
    fit = two_readers(entry)
    assert fit, "ranges that no counts give need a search of their own"
    said = "; or ".join(f"{_brief(one)} by clinician 1, {_brief(other)} by clinician 2" for one, other in fit)
    note = f"Counts of {entry['of']} joints that give all four and allow the exact agreement of table 3: {said}."
    for name, number in entry.numbers.items():
        measure = name.partition(",")[0]
        values = (TWO_BY_TWO_STATISTICS[measure](table) for table in fit[0])
        computed = number.show(next(value for value in values if number.rounds(value)))
        yield told(entry, name, verdict=POSSIBLE, given_by=(f"any_{measure}",), computed=computed, note=note)
        note = "As in the row above."


def two_readers(entry: Entry) -> list[tuple[TwoByTwo, TwoByTwo]]:
    """Tables by reader 1 and 2: the model's answers above zero are as many in both, and equal scores are right ones."""
    low, high, spec_low, spec_high = entry.numbers.values()
    pairings = (((low, spec_high), (high, spec_low)), ((low, spec_low), (high, spec_high)))
    either = (both for a, b in pairings for both in product(_tables(*a, entry["of"]), _tables(*b, entry["of"])))
    same = [both for both in either if both[0].tp + both[0].fp == both[1].tp + both[1].fp]
    equal = entry["equal"]  # joints that model and reader score the same, by table 3
    ways = [ordered for one, other in same for ordered in ((one, other), (other, one))]
    return [way for way in ways if all(table.tp + table.tn >= count for table, count in zip(way, equal))]


def _tables(sensitivity: Number, specificity: Number, whole: int) -> list[TwoByTwo]:
    return [
        TwoByTwo(tp=tp, fn=yes - tp, fp=whole - yes - tn, tn=tn)
        for yes in range(1, whole)
        for tp in sensitivity.wholes(yes)
        for tn in specificity.wholes(whole - yes)
    ]


def _brief(table: TwoByTwo) -> str:
    return f"{table.tp}/{table.tp + table.fn} with {table.tn}/{table.tn + table.fp}"
