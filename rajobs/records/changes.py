"""Changes of scores and joint spaces between two visits of a patient, over the sites that have them at both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from math import sqrt
from typing import Any

import numpy as np
import pyarrow as pa

from rajobs.records.statistics.by_patient import LEAST_PATIENTS
from rajobs.records.statistics.film_repeats import Place as FilmPlace
from rajobs.records.statistics.film_repeats import Repeat, RepeatedFilm, pair_films, repeats_by_place
from rajobs.records.statistics.repeats import bound_for_new_patients
from rajobs.records.svdh import SITES_OF, expected_score
from rajobs.records.tables.schemas import CHANGES, CHANGING_PARTS, MEASURES
from rajobs.records.visits import best_films, sort_dated

FILM_COLUMNS = ("patient", "visit_date", "image_id", "extremity", "part", "side", "coverage", "doubt")
JOINT_COLUMNS = (
    "patient", "image_id", "extremity", "site", "jsn", "jsn_p", "erosion", "erosion_p", "jsw_mm", "bundles",
)  # fmt: skip
VIEW_COLUMNS = ("patient", "image_id", "view_position", "derived_from")
SPACE = "jsw"
SUMMED = {name: ("jsn", "erosion") if name == "svdh" else (name,) for name in MEASURES}
"""The scores that add up to each measure."""
DAYS_OF_YEAR = 365.25

ByMeasure = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Precision:
    """What is known of the errors of scores."""

    widths: ByMeasure = field(default_factory=dict)
    """By hand or foot and by measure, how many standard deviations a 90 % interval of an expected total reaches."""
    detectable: ByMeasure = field(default_factory=dict)
    """By hand, foot or all of a patient's, and by measure, the smallest detectable change per site."""


UNKNOWN_PRECISION = Precision()


def space_repeats(extremities: pa.Table, joints: pa.Table, images: pa.Table) -> Iterator[Repeat]:
    """Repeats of joint spaces: films of the same patient, day, hand or foot and view, none derived from another."""
    views = {row["image_id"]: row for row in images.select(list(VIEW_COLUMNS)).to_pylist()}
    films: dict[tuple[str, int], RepeatedFilm] = {}
    places: dict[FilmPlace, list[RepeatedFilm]] = {}
    for row in extremities.select(list(FILM_COLUMNS)).sort_by("image_id").to_pylist():
        image = views.get(row["image_id"])
        if image and image["derived_from"] is None and None not in (row["visit_date"], row["side"]):
            film = RepeatedFilm(image_id=row["image_id"], view=image["view_position"])
            films[row["image_id"], row["extremity"]] = film
            places.setdefault((row["patient"], row["visit_date"], row["side"], row["part"]), []).append(film)
    for joint in joints.select(["image_id", "extremity", "site", "jsw_mm"]).to_pylist():
        film_of_joint = films.get((joint["image_id"], joint["extremity"]))
        if film_of_joint and joint["jsw_mm"] is not None:
            film_of_joint.values[SPACE, joint["site"]] = joint["jsw_mm"]
    return pair_films(places, {SPACE: (SPACE,)})


def add_spaces(precision: Precision, repeats: Iterable[Repeat]) -> Precision:
    """With the smallest detectable changes of joint spaces by repeats of five patients or more, for new patients."""
    detectable = {part: dict(of_part) for part, of_part in precision.detectable.items()}
    for (part, measure), of_place in repeats_by_place(repeats).items():
        patients = np.array([each.patient for each in of_place], np.str_)
        if len(np.unique(patients)) >= LEAST_PATIENTS:
            differences = np.array([each.per_site for each in of_place])
            detectable.setdefault(part, {})[measure] = bound_for_new_patients(differences, patients)
    return replace(precision, detectable=detectable)


def change_over_sites(measure: str, per_site: float, sites: int) -> float:
    """The smallest detectable change of so many sites: of scores the sum, of joint spaces the mean.

    As if sites erred independently; where their errors are alike, fewer sites than repeats had err less than this.
    """
    return per_site / sqrt(sites) if measure == SPACE else per_site * sqrt(sites)


@dataclass(frozen=True, kw_only=True)
class SiteValue:
    """A site's likeliest score or joint space at one visit; of a score also its expectation and variance."""

    value: float
    expected: float | None = None
    variance: float = 0.0


Place = tuple[str, str, str]
"""A hand or foot with its side, what is scored or measured, and the site."""


@dataclass(frozen=True, kw_only=True)
class ScoredVisit:
    """A patient's sites on one day, by place, and the bundles that answered."""

    day: date
    sites: Mapping[Place, SiteValue]
    bundles: frozenset[str]

    def of(self, part: str, summed: Sequence[str]) -> dict[Place, SiteValue]:
        """The sites of a hand or foot, or of all, that some scores or the joint space stand for."""
        return {place: site for place, site in self.sites.items() if part in (place[0], "all") and place[1] in summed}


def build_changes(extremities: pa.Table, joints: pa.Table, precision: Precision = UNKNOWN_PRECISION) -> pa.Table:
    """One row per patient, part, measure and pair of visits: each visit with the one before and with the first."""
    of_film: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for joint in joints.select(list(JOINT_COLUMNS)).to_pylist():
        of_film.setdefault((joint["image_id"], joint["extremity"]), []).append(joint)
    rows: list[dict[str, Any]] = []
    films = sort_dated(extremities.select(list(FILM_COLUMNS)).to_pylist())
    for patient, of_patient in groupby(films, key=lambda row: row["patient"]):
        visits = [
            _scored_visit(day, list(of_day), of_film)
            for day, of_day in groupby(of_patient, key=lambda row: row["visit_date"])
        ]
        rows += [{"patient": patient, **row} for row in _changes_of_patient(visits, precision)]
    return CHANGES.rows(rows)


def _scored_visit(
    day: date, films: Sequence[Mapping[str, Any]], joints: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]
) -> ScoredVisit:
    sites: dict[Place, SiteValue] = {}
    bundles: set[str] = set()
    for (side, part), film in best_films(films).items():
        for joint in joints.get((film["image_id"], film["extremity"]), ()):
            for what, value in _site_values(joint, part):
                sites[f"{side}_{part}", what, joint["site"]] = value
                bundles |= set(joint["bundles"])
    return ScoredVisit(day=day, sites=sites, bundles=frozenset(bundles))


def _site_values(joint: Mapping[str, Any], part: str) -> Iterator[tuple[str, SiteValue]]:
    """What a joint has been scored and measured as; only scores of the method."""
    for name, sites in SITES_OF[part].items():
        if joint[name] is not None and joint["site"] in sites:
            p = joint[f"{name}_p"]
            mean, variance = (None, 0.0) if p is None else expected_score(p)
            yield name, SiteValue(value=joint[name], expected=mean, variance=variance)
    if joint["jsw_mm"] is not None:
        yield SPACE, SiteValue(value=joint["jsw_mm"])


def _changes_of_patient(visits: Sequence[ScoredVisit], precision: Precision) -> Iterator[dict[str, Any]]:
    for part in CHANGING_PARTS:
        for measure, summed in {**SUMMED, SPACE: (SPACE,)}.items():
            there = [(visit, sites) for visit in visits if (sites := visit.of(part, summed))]
            for number, (now, sites) in enumerate(there[1:], 1):
                for since, (then, earlier) in (("before", there[number - 1]), ("first", there[0])):
                    both = [place for place in sites if place in earlier]
                    if both:
                        days = (now.day - then.day).days
                        values = [(place, sites[place], earlier[place]) for place in both]
                        change = _change(measure, values, precision.widths, days)
                        yield {
                            "part": part, "measure": measure, "since": since, "visit_date": now.day,
                            "since_date": then.day, "days": days, "sites": len(both),
                            "bundles": sorted(now.bundles | then.bundles), **change,
                            **_detectable(part, measure, change, len(both), precision.detectable),
                        }  # fmt: skip


def _change(
    measure: str, both: Sequence[tuple[Place, SiteValue, SiteValue]], widths: ByMeasure, days: int
) -> dict[str, Any]:
    """The columns of a change: of scores the sum over sites, of joint spaces the mean."""
    values = np.array([now.value - then.value for _, now, then in both], float)
    change = float(values.mean() if measure == SPACE else values.sum())
    expected = [
        now.expected - then.expected for _, now, then in both if now.expected is not None and then.expected is not None
    ]
    columns: dict[str, Any] = {"change": change, "change_per_year": change / days * DAYS_OF_YEAR}
    if len(expected) < len(both):
        return columns
    total = sum(expected)
    columns |= {"expected_change": total, "change_per_year": total / days * DAYS_OF_YEAR}
    half_width = _half_width(measure, both, widths)
    if half_width is not None:
        columns |= {"expected_change_low": total - half_width, "expected_change_high": total + half_width}
    return columns


def _detectable(
    part: str, measure: str, change: Mapping[str, Any], sites: int, detectable: ByMeasure
) -> dict[str, Any]:
    """The smallest detectable change and whether the change is beyond it; repeats are of the expected scores."""
    per_site = detectable.get(part.rpartition("_")[2], {}).get(measure)
    of_repeats = change.get("change" if measure == SPACE else "expected_change")
    if per_site is None or of_repeats is None:
        return {}
    smallest = change_over_sites(measure, per_site, sites)
    return {"detectable_change": smallest, "beyond_detectable": abs(of_repeats) > smallest}


def _half_width(measure: str, both: Sequence[tuple[Place, SiteValue, SiteValue]], widths: ByMeasure) -> float | None:
    """Half a 90 % interval: the two visits' errors count as independent, and those of hands and feet as one."""
    variance: dict[str, float] = {}
    for (part, _, _), now, then in both:
        variance[part] = variance.get(part, 0.0) + now.variance + then.variance
    width = {part: widths.get(part.partition("_")[2], {}).get(measure) for part in variance}
    known = {part: value for part, value in width.items() if value is not None}
    return sum(known[part] * sqrt(variance[part]) for part in variance) if len(known) == len(width) else None
