"""Sharp/van der Heijde scores of joints, and the stage that follows from them.

JSN 0 none, 1 focal, 2 general with more than half left, 3 less than half left or subluxation, 4 ankylosis or luxation.
Erosion 0 none, 1 discrete, 2 larger, 3 over the middle of the bone, 5 collapse; a joint's is the sum of its bones'.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Score:
    """The true scores of one site; a score that the method does not have is 0."""

    jsn: int = 0
    erosion: int = 0


Scores = Mapping[str, Score]
HEALTHY_SCORE = Score()

_STAGE_OF_JSN = (0, 1, 1, 2, 4)
_STAGE_OF_EROSION = (0, 2, 3, 4, 4, 5, 5, 5, 5, 5, 5)


def site_stage(score: Score) -> int:
    """The stage 0-5 that a site alone would give, after Larsen: erosion is obligatory from the middle stages on."""
    stage = max(_STAGE_OF_JSN[score.jsn], _STAGE_OF_EROSION[score.erosion])
    return 5 if score.jsn == 4 and score.erosion >= 3 else stage


def hand_stage(scores: Scores) -> int:
    """The stage of a hand: that of its worst joint."""
    return max((site_stage(score) for score in scores.values()), default=0)
