"""A drawn person's build: what stays the same in every film of that person, and what age does to it."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Build:
    """Everything of a person's bones and soft tissue that a film shows, apart from pose and disease."""

    sex: str
    age: float  # years at the film
    seed: int  # of this person's small irregularities: the same in every film
    size: float  # of an adult man's mean
    girth: float  # width of the bones over the mean
    flesh: float  # soft tissue over the mean
    density: float  # of bone over the mean

    @property
    def maturity(self) -> float:
        """Skeletal age over its end: 1 when the growth plates are closed."""
        return min(1.0, self.age / (15.0 if self.sex == "F" else 16.5))

    @property
    def child(self) -> bool:
        """Growth plates are still open."""
        return self.maturity < 1.0


_AGES = (1.0, 2.0, 5.0, 8.0, 12.0, 15.0, 18.0)
_SIZES = (0.47, 0.54, 0.67, 0.77, 0.89, 0.97, 1.0)


def draw_build(rng: np.random.Generator, *, sex: str, age: float) -> Build:
    """A person of that sex and age; old age thins the bones."""
    adult = (1.0 if sex == "M" else 0.915) * float(np.clip(rng.normal(1.0, 0.05), 0.85, 1.15))
    fit = float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3))
    girth = float(np.clip(rng.normal(1.0 if sex == "M" else 0.96, 0.06), 0.82, 1.18))
    flesh = float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.4))
    wasting = float(rng.uniform(0.3, 1.1))
    seed = int(rng.integers(2**31))
    return Build(
        sex=sex, age=age, seed=seed, size=adult * grown(age), girth=girth * (1 + 0.10 * (1 - grown(age))), flesh=flesh,
        density=fit * aged_density(age, wasting),
    )  # fmt: skip


def grown(age: float) -> float:
    """Length of a hand over its adult length."""
    return float(np.interp(age, _AGES, _SIZES))


def aged_density(age: float, wasting: float) -> float:
    """Bone density over a young adult's: it rises in childhood and falls from fifty on."""
    child = float(np.interp(age, (2.0, 16.0), (0.75, 1.0)))
    return child * (1 - 0.012 * wasting * max(0.0, age - 50.0))


def quirks(build: Build, name: str, count: int) -> np.ndarray:
    """Fixed small deviations (s.d. 1) of this person's bone of that name."""
    key = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.Philox(key=(build.seed << 64) | key)).standard_normal(count)
