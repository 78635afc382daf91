"""How much a person should doubt a hand's scores, from 0 to 1, and why: the review queue is ranked by it."""

from collections.abc import Mapping
from types import MappingProxyType

ALLOWED: Mapping[str, float] = MappingProxyType({
    "joints missing": 0.5,
    "joints not assessable": 0.1,
    "joints unsure": 0.25,
    "scores unsure": 0.35,
    "models disagree": 0.15,
    "view unsure": 0.3,
    "hands contradict each other": 0.3,
    "answers contradict each other": 0.5,
})  # fmt: skip
"""The value of each measure, 0 to 1, that is not yet a reason for doubt.

joints missing: share of the method's sites without a score. joints not assessable: share of the joints that are there.
joints unsure: mean over the finger joints of 1 - the confidence in their position, 1 for a joint without a position.
scores unsure: mean of 1 - the probability of the likeliest score. models disagree: mean difference of their expected
scores, as a share of the range. view unsure: 1 - the probability of the film's view. hands contradict each other:
difference of the two hands' totals, as a share of the method's highest total. answers contradict each other: a stage
without RA, RA without a stage, or stage 0 with destroyed joints.
"""


def doubt(measures: Mapping[str, float], scale: float = 1.0) -> tuple[float, list[str]]:
    """The largest measure above `scale` times its allowed value, and the reasons, the gravest first; 0 without one."""
    excesses = {name: value for name, value in measures.items() if value > scale * ALLOWED[name]}
    reasons = sorted(excesses, key=lambda name: (-excesses[name], name))
    return (min(1.0, max(excesses.values())) if excesses else 0.0), reasons


def doubt_level(measures: Mapping[str, float]) -> float:
    """The scale of the allowed values from which on there is no doubt."""
    return max((value / ALLOWED[name] for name, value in measures.items()), default=0.0)
