"""The method's sites and ranges (Sharp/van der Heijde), and the ten joints of paper 004."""

from rajobs.records import anatomy


def test_the_method_s_counts_and_ranges() -> None:
    assert len(anatomy.HAND_JSN_SITES) == 15 and len(anatomy.HAND_EROSION_SITES) == 16
    assert len(anatomy.FOOT_SITES) == 6 and all(s.jsn_max == 4 and s.erosion_max == 10 for s in anatomy.FOOT_SITES)
    assert len(anatomy.SITES) == len(anatomy.HAND_SITES) + len(anatomy.FOOT_SITES), "no name stands for two sites"
    # Both hands and feet: 280 for erosion, 168 for joint spaces.
    hands, feet = [s for s in anatomy.HAND_SITES if s.erosion_max], anatomy.FOOT_SITES
    assert 2 * sum(s.erosion_max or 0 for s in (*hands, *feet)) == 280
    counted = [s.jsn_max or 0 for s in (*anatomy.HAND_SITES, *feet) if s.jsn_counts]
    assert 2 * sum(counted) == 168


def test_the_thumb_s_ip_is_scored_but_its_joint_space_does_not_count() -> None:
    thumb = anatomy.SITES[anatomy.THUMB_IP]
    assert thumb.jsn_max == 4 and not thumb.jsn_counts and thumb.erosion_max == 5


def test_the_joints_of_the_papers() -> None:
    assert len(anatomy.FINGER_JOINTS) == 10 and set(anatomy.FINGER_JOINTS) <= set(anatomy.SITES)
    assert len(set(anatomy.FINGER_JOINTS) & set(anatomy.HAND_JSN_SITES)) == 9  # of the method's 15
    assert len(anatomy.CLINIC_JOINTS) == 15 == len(set(anatomy.CLINIC_JOINTS))
