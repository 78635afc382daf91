"""Draws films of one hand with a foot or a child's hand beside it, which a filter must not take for another view.

    python benchmarks/finder/films_with_bystanders.py OUT [--films 300] [--difficulty standard]
    rajobs ingest OUT/archives OUT/data --labels OUT/labels.csv
    python benchmarks/finder/joint_finding_rate.py OUT/data MODELS

Such films are rare in a cohort: about five of 1,000. Drawn films are no clinical evidence.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rajobs.jobs import console
from rajobs.phantoms.packaging.contact_sheet import contact_sheet
from rajobs.phantoms.picture import Picture
from rajobs.phantoms.presets import PRESETS
from rajobs.phantoms.radiographs.films import sample_film
from rajobs.phantoms.write import write_pictures


def films(count: int, difficulty: str, seed: int) -> Iterator[Picture]:
    """Full-size films, one per person."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        picture = sample_film(rng, kind="unilateral", size="FULL", difficulty=difficulty, beside=True)
        yield replace(picture, patient=replace(picture.patient, number=number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--difficulty", choices=PRESETS, default="standard")
    parser.add_argument("--seed", type=int, default=71)
    args = parser.parse_args()
    with console.Progress("films drawn", args.films) as progress:
        write_pictures(
            args.out, films(args.films, args.difficulty, args.seed), contact_sheet=contact_sheet, seed=args.seed,
            patients=args.films, damage=0.0, arguments={"benchmark": "beside", "difficulty": args.difficulty},
            on_progress=lambda _: progress.step(),
        )  # fmt: skip


if __name__ == "__main__":
    main()
