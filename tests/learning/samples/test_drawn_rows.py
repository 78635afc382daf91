"""Drawn rows to learn from: each has its own labels, and no score tells another one."""

from collections import Counter

import numpy as np
import pytest

from rajobs import studies
from rajobs.learning.samples.drawn_rows import draw_rows
from rajobs.phantoms.people.severity import draw_even_scores
from rajobs.records.anatomy import FINGER_JOINTS

pytestmark = pytest.mark.slow


def test_drawn_joints_have_the_labels_of_their_site_and_hidden_ones_have_no_score() -> None:
    study = studies.find("svdh_scoring")
    rows = list(draw_rows(study, study.recipe("drawn").view, (1, 2), range(6)))
    assert len(rows) > 40 and {row.row.site for row in rows} <= set(FINGER_JOINTS)
    for row in rows:
        assert row.picture is not None
        own = {
            truth.target: truth.value
            for truth in row.picture.truths
            if (truth.study, truth.side, truth.site, truth.reader)
            == ("svdh_scoring", row.row.side, row.row.site, "truth")
        }
        assert row.labels == own and ("jsn" in own) == (own["assessable"] == "1")
    assert len({tuple(row.labels.items()) for row in rows}) > 5


def test_films_have_the_label_of_their_view() -> None:
    study = studies.find("hand_filter")
    rows = list(draw_rows(study, study.recipe("hands").view, (1, 2), range(8)))
    assert len(rows) == 8 and len({row.labels["view"] for row in rows}) > 2


def test_even_scores_of_one_hand_do_not_tell_each_other() -> None:
    rng = np.random.default_rng(0)
    hands = [draw_even_scores(rng, age=50.0)["hand"]["L"] for _ in range(400)]
    counts = Counter(hand["PIP3"].jsn for hand in hands)
    assert set(counts) == set(range(5)) and 0.65 < counts[0] / 400 < 0.85
    ill = [hand for hand in hands if any(score.jsn or score.erosion for score in hand.values())]
    one, other = (np.array([hand[site].jsn for hand in ill]) for site in ("PIP3", "PIP4"))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.15
    small_child = draw_even_scores(rng, age=3.0)["hand"]["L"]
    assert all(score.jsn == score.erosion == 0 for score in small_child.values())
