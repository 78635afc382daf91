"""Repeats in a predictions table, two films of a hand at one visit, and the smallest detectable change they give."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.records.anatomy import SCORES, SITES
from rajobs.records.changes import SUMMED, change_over_sites
from rajobs.records.statistics.by_patient import LEAST_PATIENTS, share_interval
from rajobs.records.statistics.count_statistics import Reals
from rajobs.records.statistics.film_repeats import Place, Repeat, RepeatedFilm, pair_films, repeats_by_place
from rajobs.records.statistics.repeats import bound_for_new_patients, change_interval, smallest_detectable_change
from rajobs.records.svdh import SITES_OF, expected_score

_COLUMNS = (
    "image_id", "extremity", "site", "side", "patient", "derived_from", "target", "p", "visit_date", "view_position",
)  # fmt: skip

Entry = Mapping[str, float]
"""A smallest detectable change as the bundle keeps it, with the patients, repeats and sites that it comes from.

`spread` is 1.96 standard deviations of the differences of repeats, `low` and `high` its interval; `per_site` is a bound
for new patients, which is larger: the half width of a prediction interval.
"""
Entries = Mapping[str, Mapping[str, Entry]]
"""By hand, foot or all of a patient's, and by measure."""


def find_repeats(predictions: pa.Table) -> Iterator[Repeat]:
    """Pairs of films of the same patient, day, hand or foot and view, of which no film derives from another."""
    yield from pair_films(_films(predictions), SUMMED)


def _films(predictions: pa.Table) -> dict[Place, list[RepeatedFilm]]:
    scored = predictions.filter(pc.is_in(predictions.column("target"), pa.array(SCORES))).select(list(_COLUMNS))
    films: dict[Place, dict[tuple[str, int], RepeatedFilm]] = {}
    for row in scored.sort_by([("image_id", "ascending"), ("extremity", "ascending")]).to_pylist():
        known = None not in (row["visit_date"], row["side"], row["p"]) and row["derived_from"] is None
        if known and row["site"] in SITES:
            part = SITES[row["site"]].part
            place = row["patient"], row["visit_date"], row["side"], part
            film = RepeatedFilm(image_id=row["image_id"], view=row["view_position"])
            of_film = films.setdefault(place, {}).setdefault((row["image_id"], row["extremity"]), film)
            if row["site"] in SITES_OF[part][row["target"]]:
                of_film.values[row["target"], row["site"]] = expected_score(row["p"])[0]
    return {place: list(of_place.values()) for place, of_place in films.items()}


def estimate_detectable(repeats: Iterable[Repeat]) -> dict[str, dict[str, Entry]]:
    """The smallest detectable changes by the repeats of five patients or more."""
    entries: dict[str, dict[str, Entry]] = {}
    for (part, measure), of_place in repeats_by_place(repeats).items():
        differences, patients = _arrays(of_place)
        count = len(np.unique(patients))
        if count < LEAST_PATIENTS:
            continue
        low, high = change_interval(differences, patients)
        entry = {
            "per_site": bound_for_new_patients(differences, patients),
            "spread": smallest_detectable_change(differences), "patients": float(count),
            "repeats": float(len(of_place)), "sites": float(np.median([each.sites for each in of_place])),
        }  # fmt: skip
        known = {} if np.isnan(low) else {"low": low, "high": high}
        entries.setdefault(part, {})[measure] = {**entry, **known}
    return entries


def _arrays(repeats: Sequence[Repeat]) -> tuple[Reals, Any]:
    return np.array([each.per_site for each in repeats]), np.array([each.patient for each in repeats], np.str_)


@dataclass(frozen=True, kw_only=True)
class DetectableChange:
    """A smallest detectable change over so many sites, and how often repeats of other patients are beyond it."""

    part: str
    measure: str
    sites: int
    change: float  # a bound for new patients
    spread: Mapping[str, float]  # 1.96 standard deviations of the differences, with their interval
    repeats: int  # that it comes from
    patients: int
    checked: int  # repeats of other patients
    checked_patients: int
    beyond: Mapping[str, float]  # share of these; not a number without any

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def check_detectable(entries: Entries, repeats: Iterable[Repeat]) -> Iterator[DetectableChange]:
    """Every smallest detectable change, checked on the repeats of patients that it does not come from."""
    grouped = repeats_by_place(repeats)
    for part, of_part in entries.items():
        for measure, entry in of_part.items():
            others = grouped.get((part, measure), [])
            differences, patients = _arrays(others)
            beyond = abs(differences) > entry["per_site"]
            low, high = share_interval(beyond, patients) if others else (np.nan, np.nan)
            sites = round(entry["sites"])
            change, spread, least, most = (
                change_over_sites(measure, entry.get(name, np.nan), sites)
                for name in ("per_site", "spread", "low", "high")
            )
            yield DetectableChange(
                part=part, measure=measure, sites=sites, change=change,
                spread={"value": spread, "low": least, "high": most},
                repeats=round(entry["repeats"]), patients=round(entry["patients"]), checked=len(others),
                checked_patients=len(np.unique(patients)),
                beyond={"value": float(beyond.mean()) if others else np.nan, "low": low, "high": high},
            )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DetectableChanges:
    """The smallest detectable changes on rows that judge, and where they come from."""

    entries: Entries
    from_bundle: bool  # from validation patients; else from a half of those who judge, and the other half checks them
    checks: tuple[DetectableChange, ...]


def judge_detectable(kept: Entries, predictions: pa.Table) -> DetectableChanges:
    """Those that a bundle keeps, on the rows that judge; without any, those of a half of the patients who judge."""
    repeats = list(find_repeats(predictions))
    if kept:
        return DetectableChanges(entries=kept, from_bundle=True, checks=tuple(check_detectable(kept, repeats)))
    one_half = set(sorted({each.patient for each in repeats})[::2])
    entries = estimate_detectable(each for each in repeats if each.patient in one_half)
    others = [each for each in repeats if each.patient not in one_half]
    return DetectableChanges(entries=entries, from_bundle=False, checks=tuple(check_detectable(entries, others)))
