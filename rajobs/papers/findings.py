"""A finding of the audit: a printed number, the definitions that give it, and the verdict on it."""

from collections.abc import Mapping
from dataclasses import dataclass

from rajobs.papers.paper_data import Entry

REPRODUCED = "reproduced"
BY_ANOTHER_DEFINITION = "reproduced by another definition"
POSSIBLE = "possible"
NOT_REPRODUCIBLE = "not reproducible"
NO_COUNTS = "no counts printed"
VERDICTS = (REPRODUCED, BY_ANOTHER_DEFINITION, POSSIBLE, NOT_REPRODUCIBLE, NO_COUNTS)

SUM_OR_PRODUCT = "sum or product"
"""The definition of a count that other printed counts add or multiply up to."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A printed number, the definitions whose value rounds to it, and the verdict."""

    where: str
    what: str
    printed: str
    named: str  # the name that the paper gives the number
    definitions: tuple[str, ...]
    computed: str
    verdict: str
    note: str = ""


def make_finding(
    entry: Entry, name: str, *, verdict: str, definitions: tuple[str, ...] = (), computed: str = "", note: str = ""
) -> Finding:
    """The finding on one number of an entry; the entry's own note comes last."""
    return Finding(
        where=entry.where,
        what=entry.what,
        printed=entry.numbers[name].text,
        named=name,
        definitions=definitions,
        computed=computed,
        verdict=verdict,
        note=" ".join(part for part in (note, entry.note) if part),
    )


def compare(entry: Entry, name: str, values: Mapping[str, float], meant: tuple[str, ...] = ()) -> Finding:
    """Compare a printed number with the value of every definition; `meant` are those that its name stands for."""
    number = entry.numbers[name]
    meant = meant or (name,)
    fitting = [definition for definition, value in values.items() if number.is_rounded(value)]
    if fitting:
        fitting.sort(key=lambda definition: definition not in meant)
        verdict, value = REPRODUCED if fitting[0] in meant else BY_ANOTHER_DEFINITION, values[fitting[0]]
        note = "Half-way between two printable numbers." if number.is_half_way(value) else ""
        return make_finding(
            entry, name, verdict=verdict, definitions=tuple(fitting), computed=number.format(value), note=note
        )
    cut_off = [definition for definition in meant if definition in values and number.is_cut_off(values[definition])]
    if cut_off:
        definitions, computed = (f"{cut_off[0]}, cut off",), number.format(values[cut_off[0]])
        return make_finding(entry, name, verdict=BY_ANOTHER_DEFINITION, definitions=definitions, computed=computed)
    nearest = min(values, key=lambda definition: number.distance(values[definition]))
    shown = next((definition for definition in meant if definition in values), nearest)
    note = "" if shown == nearest else f"The nearest is {nearest}: {number.format(values[nearest])}."
    computed = f"{number.format(values[shown])} ({shown})"
    return make_finding(entry, name, verdict=NOT_REPRODUCIBLE, computed=computed, note=note)
