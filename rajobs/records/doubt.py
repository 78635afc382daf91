"""How far a person should doubt a hand's figures, 0 to 1, and why: what the review queue is ranked by."""

from collections.abc import Mapping
from types import MappingProxyType

ALLOWED: Mapping[str, float] = MappingProxyType({
    "joints missing": 0.5,
    "joints unsure": 0.25,
    "scores unsure": 0.35,
    "models disagree": 0.15,
    "view unsure": 0.3,
    "hands contradict each other": 0.3,
    "answers contradict each other": 0.5,
})  # fmt: skip
"""Each reason's measure, 0 to 1, up to which it is none.

joints missing: share of the method's sites without a score. joints unsure: mean over the finger joints of what a
model's confidence in their place lacks to certainty, all of it where there is none. scores unsure: mean of what the
likeliest score lacks to certainty. models disagree: mean difference of their expected scores, as a share of the range.
view unsure: what the film's view lacks to certainty. hands contradict each other: difference of the two hands' totals,
as a share of the method's highest. answers contradict each other: stage without RA, RA without a stage, stage 0 with
destroyed joints.
"""


def doubt(measures: Mapping[str, float]) -> tuple[float, list[str]]:
    """The largest measure beyond what is allowed, and the reasons, the gravest first; 0 where there is none."""
    found = {name: value for name, value in measures.items() if value > ALLOWED[name]}
    reasons = sorted(found, key=lambda name: (-found[name], name))
    return (min(1.0, max(found.values())) if found else 0.0), reasons
