"""How often chance goes beyond the smallest detectable change, and how often three times that change is seen.

    python benchmarks/detectable_change.py [--cohorts 200]
    python benchmarks/detectable_change.py --models MODELS [--patients 60]

The first draws answers to hands of 31 scores whose truth is known: two films of a visit by validation patients give the
smallest detectable change; other patients come again a year later, unchanged, and with a total that has risen by three
times that change. The second draws films of hands, asks a scorer about them, and does the same with one half of the
patients for the other.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rajobs import studies
from rajobs.jobs.builtin import dataset_of_drawn
from rajobs.learning.bundle import Model
from rajobs.learning.judging.calibration import Calibration
from rajobs.learning.judging.evaluation import evaluate_model
from rajobs.learning.judging.predictions import predictions_table, vote
from rajobs.learning.judging.progression import patients_changes
from rajobs.learning.judging.repeats import check_detectable, estimate_detectable, find_repeats
from rajobs.learning.samples.drawn_rows import DrawnRow, rows_of_picture
from rajobs.learning.voting_models import list_bundles
from rajobs.phantoms.people.cohort import PlannedFilm, plan_sample, repeat_film
from rajobs.phantoms.people.joint_scores import Score
from rajobs.phantoms.radiographs.films import draw_film
from rajobs.records.anatomy import FINGER_JOINTS
from rajobs.records.changes import change_over_sites
from rajobs.records.statistics.film_repeats import Repeat
from rajobs.records.store import open_store
from rajobs.records.svdh import SITES_OF
from rajobs.records.tables.schemas import PREDICTIONS

FIRST, LATER = date(2012, 5, 1), date(2013, 5, 1)
SIZES = (10, 15, 30, 100)
HIGHEST = np.array([highest for sites in SITES_OF["hand"].values() for highest in sites.values()])
STUDY = studies.find("svdh_scoring")
FILM = (1005, 745)  # rows and columns of drawn films
ROOM = 40  # of the drawn hands: by how much their scores can rise


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A scorer's error on a film: standard deviations of a site's and of the whole film's, and how far it shrinks."""

    site: float
    film: float
    slope: float = 1.0  # expected score by true score

    def expected_totals(self, rng: np.random.Generator, truth: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of a film of each patient, from the probabilities of each score; `truth` is patients x sites."""
        at = self.slope * truth + rng.normal(0, self.film, (len(truth), 1)) + rng.normal(0, self.site, truth.shape)
        scores = np.arange(HIGHEST.max() + 1)
        weight = np.exp(-(((scores - at[..., None]) / 0.6) ** 2) / 2) * (scores <= HIGHEST[:, None])
        totals: NDArray[np.float64] = ((weight @ scores) / weight.sum(axis=2)).sum(axis=1)
        return totals


SETTINGS = {
    "sites err alone": Setting(site=0.4, film=0.0),
    "whole films err": Setting(site=0.3, film=0.15),
    "answers shrink": Setting(site=0.4, film=0.1, slope=0.7),
}


def draw_truth(rng: np.random.Generator, patients: int) -> NDArray[np.int64]:
    """True scores of a hand of each patient, alike within a patient."""
    return rng.binomial(HIGHEST, rng.beta(0.5, 2.0, (patients, 1)))


def worsen(rng: np.random.Generator, truth: NDArray[np.int64], rise: float) -> NDArray[np.int64]:
    """Scores that add up to so much more, as far as they can."""
    worse = truth.copy()
    for hand, before in zip(worse, truth.sum(axis=1)):
        while hand.sum() - before < rise and np.any(hand < HIGHEST):
            hand[rng.choice(np.flatnonzero(hand < HIGHEST))] += 1
    return worse


def repeats(rng: np.random.Generator, setting: Setting, patients: int) -> list[Repeat]:
    """Two films of each patient at one visit."""
    truth = draw_truth(rng, patients)
    one, other = (setting.expected_totals(rng, truth) for _ in range(2))
    return [
        Repeat(patient=f"p{number}", part="hand", measure="svdh", sites=len(HIGHEST), difference=float(difference))
        for number, difference in enumerate(other - one)
    ]


def simulate(cohorts: int) -> None:
    for title, setting in SETTINGS.items():
        many = estimate_detectable(repeats(np.random.default_rng(0), setting, 20_000))["hand"]["svdh"]["spread"]
        truth = change_over_sites("svdh", many, len(HIGHEST))
        print(f"\n{title}: 1.96 standard deviations of the differences of a hand's total are {truth:.2f}")
        print(
            f"{'patients':>9}{'SDC':>8}{'interval of SD covers':>23}{'beyond it by chance':>21}{'of 3 x SDC seen':>17}"
        )
        for patients in SIZES:
            rng = np.random.default_rng(patients)
            change, covers, chance, seen = [], [], [], []
            for _ in range(cohorts):
                entry = estimate_detectable(repeats(rng, setting, patients))["hand"]["svdh"]
                change.append(change_over_sites("svdh", entry["per_site"], len(HIGHEST)))
                covers.append(entry["low"] <= many <= entry["high"])
                others = draw_truth(rng, 50)
                first, later = (setting.expected_totals(rng, others) for _ in range(2))
                risen = setting.expected_totals(rng, worsen(rng, others, 3 * change[-1]))
                chance.append(np.mean(abs(later - first) > change[-1]))
                seen.append(np.mean(abs(risen - first) > change[-1]))
            print(
                f"{patients:9}{np.mean(change):8.2f}{100 * np.mean(covers):21.1f} %{100 * np.mean(chance):19.1f} %"
                f"{100 * np.mean(seen):15.1f} %",
                flush=True,
            )


def ask(model: Model, films: Mapping[tuple[str, date, int], PlannedFilm]) -> pa.Table:
    """A scorer's answers to finger joints of drawn films, by patient, day and number."""
    settings = STUDY.view.with_settings(model.recipe.view)
    drawn: list[DrawnRow] = []
    for number, planned in enumerate(films.values()):
        rows = rows_of_picture(STUDY, settings, draw_film(planned), number, np.random.default_rng(0))
        drawn += [replace(row, picture=None) for row in rows]
    dataset = dataset_of_drawn(STUDY, drawn, "test")
    evaluation = evaluate_model(model, dataset, "test")
    table = predictions_table(evaluation, vote(STUDY, [evaluation]), dataset.arrays.rows, [])
    known, places = [], list(films)
    for row in table.to_pylist():
        patient, day, _ = places[int(row["image_id"].partition("-")[2])]
        known.append({**row, "patient": patient, "visit_date": day})
    return PREDICTIONS.rows(known)


def room(planned: PlannedFilm) -> int:
    """By how much the scores of a hand's finger joints can rise."""
    scores = planned.scores.get(planned.sides[0], {})
    return sum(9 - scores[site].jsn - scores[site].erosion for site in FINGER_JOINTS if site in scores)


def worsen_film(planned: PlannedFilm, rise: float, rng: np.random.Generator) -> PlannedFilm:
    """The film of a later visit: finger joints' scores add up to so much more, as far as they can."""
    (side,) = planned.sides
    scores = planned.scores.get(side, {})
    worse = {site: [score.jsn, score.erosion] for site, score in scores.items() if site in FINGER_JOINTS}
    free = [(site, at) for site in worse for at in (0, 1) if not (site == "IP" and at == 0)]
    risen = 0
    while risen < rise and free:
        site, at = free[int(rng.integers(len(free)))]
        if worse[site][at] == (4, 5)[at]:
            free.remove((site, at))
            continue
        worse[site][at] += 1
        risen += 1
    changed = {site: Score(jsn=jsn, erosion=erosion) for site, (jsn, erosion) in worse.items()}
    return replace(repeat_film(planned), scores={side: {**scores, **changed}})


def on_drawings(models: str, patients: int) -> None:
    ((uri, folder),) = list_bundles(models, STUDY.name)
    model = Model.load(open_store(uri), folder, STUDY)
    first = {
        f"p{number:03}": plan_sample(
            np.random.default_rng((5, number)), kind="unilateral", size=FILM, difficulty="standard", beside=False
        )
        for number in range(4 * patients)
    }
    grown = [item for item in first.items() if item[1].age >= 18 and room(item[1]) >= ROOM]
    first = dict(grown[:patients])
    films = {
        (name, FIRST, number): plan
        for name, each in first.items()
        for number, plan in enumerate((each, repeat_film(each)))
    }
    pairs = list(find_repeats(ask(model, films)))
    half = set(list(first)[::2])
    entries = estimate_detectable(each for each in pairs if each.patient in half)
    others = {name: each for name, each in first.items() if name not in half}
    for check in check_detectable(entries, [each for each in pairs if each.patient in others]):
        if check.part == "hand":
            print(
                f"{check.measure}: smallest detectable change {check.change:.2f} (1.96 SD {check.spread['value']:.2f}) "
                f"over {check.sites} scores, from {check.patients} patients; of {check.checked} others' repeats "
                f"{100 * check.beyond['value']:.1f} % are beyond it"
            )
    rise = 3 * next(
        each.change for each in check_detectable(entries, []) if (each.part, each.measure) == ("hand", "svdh")
    )
    rng = np.random.default_rng(0)
    later = {(name, FIRST, 0): each for name, each in others.items()}
    later |= {(name, LATER, 0): worsen_film(each, rise, rng) for name, each in others.items()}
    for each in patients_changes(ask(model, later), Calibration(detectable=entries).precision):
        if each.measure == "svdh" and each.detectable is not None:
            could = [expected for expected, true in zip(each.expected, each.truth) if true >= rise]
            seen = np.mean([abs(expected) > each.detectable for expected in could]) if could else np.nan
            print(
                f"a rise by {rise:.1f}: seen in {100 * seen:.1f} % of the {len(could)} patients whose labelled scores "
                f"rose so far; mean rise of all {np.mean(each.truth):.1f}, expected {np.mean(each.expected):.1f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohorts", type=int, default=200, help="drawn for each number of patients")
    parser.add_argument("--models", help="a place with a scorer of joints; films are drawn for it")
    parser.add_argument("--patients", type=int, default=60)
    args = parser.parse_args()
    if args.models:
        on_drawings(args.models, args.patients)
    else:
        simulate(args.cohorts)


if __name__ == "__main__":
    main()
