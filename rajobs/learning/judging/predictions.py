"""A predictions table: several models' answers to the labelled rows, as one vote, beside the truth; and back again."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode, merge_classes
from rajobs.learning.voting import Ballot, Vote, combine_votes
from rajobs.records import metrics
from rajobs.records.tables.schemas import PREDICTIONS

if TYPE_CHECKING:  # it brings torch along, which pages do without
    from rajobs.learning.judging.evaluation import Evaluation


def vote(study: Study, evaluations: Sequence["Evaluation"]) -> dict[str, Vote]:
    """By target, all models' answers as one."""
    votes = {}
    for target in study.targets:
        ballots = [
            Ballot(
                p=each.p[target.name], answers=each.predicted[target.name],
                ordered=each.answered_targets.get(target.name, target).ordered,
                member_votes=each.votes.get(target.name),
            )
            for each in evaluations
            if target.name in each.p
        ]  # fmt: skip
        votes[target.name] = combine_votes(target, ballots)
    return votes


def predictions_table(
    evaluation: "Evaluation", votes: Mapping[str, Vote], rows: pa.Table, hashes: Sequence[str], part: str = "test"
) -> pa.Table:
    """Answers to the labelled rows of a part, out of all prepared rows, as the contract's table."""
    answers: list[dict[str, object]] = []
    known = evaluation.rows(rows).to_pylist()
    for target in evaluation.study.targets:
        answer = votes[target.name]
        for number, row in enumerate(known):
            truth = evaluation.truth[target.name][number]
            if truth != MISSING:
                place = {
                    name: row[name] for name in ("image_id", "extremity", "site", "side", "patient", "derived_from")
                }
                answers.append({
                    **place, "target": target.name, "truth": target.classes[truth], "split": part,
                    "predicted": target.classes[answer.answers[number]], "p": answer.p[number].tolist(),
                    "bundles": list(hashes), "dissent": answer.dissent_of_row(number),
                    "apart": float(answer.apart[number]) if len(hashes) > 1 else None,
                })  # fmt: skip
    return PREDICTIONS.rows(answers)


def with_printed_classes(study: Study, predictions: pa.Table) -> pa.Table:
    """The predictions in the paper's classes (`Study.with_printed_classes`)."""
    into, classes_of = study.merged_classes, {target.name: target.classes for target in study.targets}
    if not into:
        return predictions
    rows = predictions.to_pylist()
    for row in rows:
        classes = classes_of.get(row["target"], ())
        if not set(into) <= set(classes):
            continue
        row |= {name: into.get(row[name], row[name]) for name in ("truth", "predicted")}
        row["p"] = merge_classes(np.array([row["p"]]), classes, into)[0][0].tolist()
        row["readings"] = [into.get(value, value) for value in row["readings"] or ()] or None
    return PREDICTIONS.rows(rows)


def answers_of(target: Target, predictions: pa.Table) -> metrics.Answers | None:
    """The rows of one target as answers; None if there is no row."""
    rows = predictions.filter(pc.equal(predictions.column("target"), target.name))
    if not rows.num_rows:
        return None
    return metrics.Answers(
        truth=encode(target, rows.column("truth").to_pylist()),
        predicted=encode(target, rows.column("predicted").to_pylist()),
        p=np.array(rows.column("p").to_pylist(), np.float64),
        patients=np.array(rows.column("patient").to_pylist(), dtype=np.str_),
    )
