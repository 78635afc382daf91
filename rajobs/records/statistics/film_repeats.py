"""Repeats, two films of a hand or foot at one visit, and the differences of what models read off them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from math import sqrt
from typing import Any

ALL = "all"  # of a patient's hands and feet

Place = tuple[str, Any, str, str]
"""Patient, day, side, and hand or foot."""
_Differences = dict[tuple[str, ...], float]
"""By what was read and site, which are the last two entries of a key."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """The difference of a sum between two films of the same joints at the same visit."""

    patient: str
    part: str  # hand, foot or all
    measure: str
    sites: int  # scores or joint spaces that both films have
    difference: float

    @property
    def per_site(self) -> float:
        """As of one site: errors of sites count as independent, as many sites partly make up for one another's."""
        return self.difference / sqrt(self.sites)


@dataclass(frozen=True, kw_only=True)
class RepeatedFilm:
    """A film of one hand or foot: its view by the header, and what was read off it, by target and site."""

    image_id: str
    view: str | None
    values: dict[tuple[str, str], float] = field(default_factory=dict)

    def may_repeat(self, other: "RepeatedFilm") -> bool:
        """Whether neither header says that the films are of different views."""
        return self.image_id != other.image_id and (self.view == other.view or None in (self.view, other.view))


def pair_films(
    films: Mapping[Place, Sequence[RepeatedFilm]], measures: Mapping[str, Sequence[str]]
) -> Iterator[Repeat]:
    """Repeats by measure, each of which adds up some targets. A film is in one pair at most.

    The repeats of a patient's hands and feet of one day are also added up.
    """
    of_visit: dict[tuple[str, Any], list[list[tuple[str, _Differences]]]] = {}
    for (patient, day, _, part), of_place in sorted(films.items()):
        pairs = [(part, _differences(one, other)) for one, other in _pairs(of_place)]
        of_visit.setdefault((patient, day), []).append([pair for pair in pairs if pair[1]])
    for (patient, _), places in of_visit.items():
        for pair_of_each in zip_longest(*places):
            known = [pair for pair in pair_of_each if pair is not None]
            for part, differences in known:
                yield from _repeats(patient, part, differences, measures)
            if known:
                together = {(str(at), *key): value for at, (_, each) in enumerate(known) for key, value in each.items()}
                yield from _repeats(patient, ALL, together, measures)


def _pairs(films: Sequence[RepeatedFilm]) -> Iterator[tuple[RepeatedFilm, RepeatedFilm]]:
    """Each film with the first one after it that may repeat it and is in no pair yet."""
    left = list(films)
    while left:
        one = left.pop(0)
        other = next((film for film in left if one.may_repeat(film)), None)
        if other is not None:
            left.remove(other)
            yield one, other


def _differences(one: RepeatedFilm, other: RepeatedFilm) -> _Differences:
    return {key: other.values[key] - value for key, value in one.values.items() if key in other.values}


def _repeats(
    patient: str, part: str, differences: _Differences, measures: Mapping[str, Sequence[str]]
) -> Iterator[Repeat]:
    for measure, targets in measures.items():
        chosen = [value for key, value in differences.items() if key[-2] in targets]
        if chosen:
            yield Repeat(patient=patient, part=part, measure=measure, sites=len(chosen), difference=sum(chosen))


def repeats_by_place(repeats: Iterable[Repeat]) -> dict[tuple[str, str], list[Repeat]]:
    """Repeats by hand, foot or all and by measure."""
    grouped: dict[tuple[str, str], list[Repeat]] = {}
    for each in repeats:
        grouped.setdefault((each.part, each.measure), []).append(each)
    return grouped
