"""Draws one cohort with the counts that the five papers' splits need, and ingests it, for `rajobs papers`.

    python benchmarks/recipes/papers_cohort.py OUT [--size SMALL] [--seed 61]

Films of as few drawn patients as have 003's views, 001's hands by stage and 004's patients with two films of a single
hand; 002's 870 drawings and 156 scans that stand in for real ones, in the parts of its split; 000's 249 patients with
their variants, and three simulated experts. OUT/data is what `rajobs papers` reads. A second start uses what is there
already. Figures of drawn patients are no clinical evidence.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from default_recipes import use_own_key
from drawn_patients import multiplied
from scan_drawings import draw, label_parts

from rajobs import studies
from rajobs.jobs.console import Progress
from rajobs.jobs.ingest import job as ingest_job
from rajobs.phantoms.clinic.visits import ClinicRow, clinic_table
from rajobs.phantoms.packaging.contact_sheet import contact_sheet
from rajobs.phantoms.people.cohort import PlannedFilm, plan_patient
from rajobs.phantoms.people.joint_scores import hand_stage
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.radiographs.films import draw_film
from rajobs.phantoms.write import write_pictures
from rajobs.records.splits import PrintedPatients, PrintedSplit

MOST_PATIENTS = 1000  # planned; far fewer are drawn
SPARE = 1.06  # films that ingest rejects, for text that is burned into them, say
EXPERT_ERRS = 0.06  # share of patients on which a simulated expert errs, about as in 000
EXPERTS = ("expert 1", "expert 2", "expert 3")


def needed() -> Counter[str]:
    """How many films of each view, hands of each stage, and patients with single hands the papers' splits need."""
    counts: Counter[str] = Counter()
    for name in ("hand_filter", "ra_staging"):
        printed = studies.find(name).printed_split
        assert isinstance(printed, PrintedSplit), name
        for value in printed.learn:
            counts[f"{printed.target} {value}"] += printed.learn[value] + printed.test[value]
    patients = studies.find("svdh_scoring").printed_split
    assert isinstance(patients, PrintedPatients), "004 prints patients"
    counts["patients with single hands"] = patients.train + patients.validation + patients.test
    return Counter({name: round(count * SPARE) for name, count in counts.items()})


def offered(films: Sequence[PlannedFilm]) -> Counter[str]:
    """What one patient's films add to these counts."""
    counts = Counter(f"view {'other' if film.view == 'foot' else film.view}" for film in films)
    hands = [film for film in films if film.part == "hand"]
    counts += Counter(f"stage {hand_stage(film.scores[side])}" for film in hands for side in film.sides)
    counts["patients with single hands"] = int(sum(film.view == "unilateral" for film in hands) >= 2)
    return counts


def choose_patients(seed: int, size: str) -> list[tuple[PlannedFilm, ...]]:
    """Patients until nothing is missing, each time one who has most of what is rarest still."""
    plans = [tuple(plan_patient(number, seed=seed, size=size)) for number in range(MOST_PATIENTS)]
    left, open_plans, chosen = needed(), [(plan, offered(plan)) for plan in plans], []
    while +left:
        missing = +left
        best = max(
            open_plans, key=lambda each: sum(min(each[1][name], missing[name]) / missing[name] for name in missing)
        )
        open_plans.remove(best)
        chosen.append(best[0])
        left.subtract(best[1])
    return chosen


def draw_films(out: Path, seed: int, size: str) -> None:
    """Draw the chosen patients' films."""
    chosen = choose_patients(seed, size)
    films = [film for plan in chosen for film in plan]

    def pictures() -> Iterator[Picture]:
        with Progress("films drawn", len(films)) as progress:
            for number, plan in enumerate(chosen):
                for film in plan:
                    yield draw_film(replace(film, patient=replace(film.patient, number=number)))
                    progress.step()

    write_pictures(
        str(out / "films"), pictures(), contact_sheet=contact_sheet, seed=seed, patients=len(chosen), damage=0.0,
        arguments={"benchmark": "papers", "size": size}, readable=True,
    )  # fmt: skip


def clinic_rows(seed: int) -> Iterator[ClinicRow]:
    """000's patients with their variants, and three experts who say nothing but the diagnosis."""
    for number, row in enumerate(multiplied(seed)):
        yield replace(row, reader="truth")
        if row.derived_from is None:
            errs = np.random.default_rng([seed, number]).random(len(EXPERTS)) < EXPERT_ERRS
            for name, wrong in zip(EXPERTS, errs, strict=True):
                yield replace(row, reader=name, ra_clinical=row.ra_clinical ^ bool(wrong))


def main() -> None:
    """Draw and ingest."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="SMALL")
    parser.add_argument("--seed", type=int, default=61)
    args = parser.parse_args()
    use_own_key(args.out)
    draw_films(args.out, args.seed + 2, args.size)  # each kind has a seed of its own, and so patients of its own
    draw(args.out, args.seed)
    scans = [args.out / "drawings", args.out / "standins"]
    (args.out / "scan-labels.csv").write_text(label_parts(scans))
    (args.out / "clinic.csv").write_bytes(clinic_table(clinic_rows(args.seed)))
    ingest_job.ingest(ingest_job.IngestRequest(
        sources=tuple(str(place / "archives") for place in (args.out / "films", *scans)), out=str(args.out / "data"),
        labels=(str(args.out / "films" / "labels.csv"), str(args.out / "scan-labels.csv")),
        clinic=str(args.out / "clinic.csv"), no_ledger=True,
    ))  # fmt: skip
    print(f"data: {args.out / 'data'}")


if __name__ == "__main__":
    main()
