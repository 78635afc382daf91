"""A hand of the rows that judge with the models' scores drawn on it, as 004 shows one."""

import pyarrow as pa

from rajobs.imaging.rows import EXTREMITIES
from rajobs.jobs.train.dataset import LabelledData
from rajobs.learning.samples.row_arrays import shown_films
from rajobs.records.tables.parquet_parts import list_parts
from rajobs.reports.score.overlay import ScoredJoint, overlay

Hand = tuple[str, int]
"""image_id and number within the film."""


def draw_worst_hand(source: LabelledData, test: pa.Table) -> bytes | None:
    """The hand with the highest total, as PNG; None of studies without totals of joints, or where no hand is scored."""
    if not source.study.summed or not source.study.printed_kinds:
        return None
    scores: dict[Hand, dict[tuple[str, str], int]] = {}
    for row in test.select(["image_id", "extremity", "site", "target", "predicted"]).to_pylist():
        if row["target"] in source.study.summed:
            of_hand = scores.setdefault((row["image_id"], row["extremity"]), {})
            of_hand[row["site"], row["target"]] = int(row["predicted"])
    if not scores:
        return None
    image, number = min(scores, key=lambda hand: (-sum(scores[hand].values()), hand))
    hands = EXTREMITIES.cut(image, 0, source.positions.get(image, ()))
    row = next((hand for hand in hands if hand.extremity == number), None)
    if row is None or row.box is None:  # a picture that shows a single joint
        return None
    known = scores[image, number]
    joints = [
        ScoredJoint(box=joint.box, jsn=known.get((joint.site, "jsn")), erosion=known.get((joint.site, "erosion")))
        for joint in row.joints
        if any(site == joint.site for site, _ in known)
    ]
    for _, pixels in shown_films(source.store, {image}, list_parts(source.store, "images")):
        return overlay(pixels, row.box, joints)
    return None
