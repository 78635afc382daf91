"""The build of a drawn person, which is the same in every film of that person, and how it depends on age."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Build:
    """All of a person's bones and soft tissue that a film shows, apart from pose and disease."""

    sex: str
    age: float  # years at the film
    seed: int  # of this person's small irregularities, which are the same in every film
    size: float  # length of the bones over that of an average man
    girth: float  # width of the bones over the average
    flesh: float  # thickness of soft tissue over the average
    density: float  # density of the bones over the average

    @property
    def maturity(self) -> float:
        """Share of skeletal growth that is completed: 1 when the growth plates are closed."""
        return min(1.0, self.age / (15.0 if self.sex == "F" else 16.5))

    @property
    def child(self) -> bool:
        """Whether growth plates are still open."""
        return self.maturity < 1.0


_AGES = (1.0, 2.0, 5.0, 8.0, 12.0, 15.0, 18.0)
_LENGTHS = (0.47, 0.54, 0.67, 0.77, 0.89, 0.97, 1.0)


def draw_build(rng: np.random.Generator, *, sex: str, age: float) -> Build:
    """The build of a person of this sex and age."""
    adult_size = (1.0 if sex == "M" else 0.915) * float(np.clip(rng.normal(1.0, 0.05), 0.85, 1.15))
    strength = float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3))
    girth = float(np.clip(rng.normal(1.0 if sex == "M" else 0.96, 0.06), 0.82, 1.18))
    flesh = float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.4))
    wasting = float(rng.uniform(0.3, 1.1))
    seed = int(rng.integers(2**31))
    return Build(
        sex=sex,
        age=age,
        seed=seed,
        size=adult_size * relative_length(age),
        girth=girth * (1 + 0.10 * (1 - relative_length(age))),
        flesh=flesh,
        density=strength * relative_density(age, wasting),
    )


def relative_length(age: float) -> float:
    """Length of a hand at this age over its adult length."""
    return float(np.interp(age, _AGES, _LENGTHS))


def relative_density(age: float, wasting: float) -> float:
    """Bone density over that of a young adult: it rises in childhood and falls after the age of fifty."""
    growth = float(np.interp(age, (2.0, 16.0), (0.75, 1.0)))
    return growth * (1 - 0.012 * wasting * max(0.0, age - 50.0))


def personal_deviates(build: Build, name: str, count: int) -> np.ndarray:
    """Standard normal deviates of this person for the bone or joint `name`: the same in every film."""
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.Philox(key=(build.seed << 64) | key)).standard_normal(count)
