"""Independent random numbers for each aspect of a film, so that a change of one aspect leaves the others alone."""

from dataclasses import dataclass

import numpy as np

from rajobs.phantoms.people.cohort import PlannedFilm


@dataclass(frozen=True, kw_only=True)
class RandomStreams:
    """One generator per aspect of a film."""

    anatomy: np.random.Generator  # poses of hands and feet; shapes of other parts
    film: np.random.Generator  # layout, collimation, side markers
    exposure: np.random.Generator
    foreign_objects: np.random.Generator
    readers: np.random.Generator
    texture: np.random.Generator
    bystander: np.random.Generator
    marks: np.random.Generator


def open_streams(film: PlannedFilm) -> RandomStreams:
    """The random streams of a planned film."""
    seeds = np.random.SeedSequence(film.entropy).spawn(8)
    anatomy, layout, exposure, foreign_objects, readers, texture, bystander, marks = (
        np.random.Generator(np.random.SFC64(seed)) for seed in seeds
    )
    return RandomStreams(
        anatomy=anatomy, film=layout, exposure=exposure, foreign_objects=foreign_objects, readers=readers,
        texture=texture, bystander=bystander, marks=marks,
    )  # fmt: skip
