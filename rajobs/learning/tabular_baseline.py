"""A plain model of a row's own numbers, compared with the networks that see the same numbers as a picture.

It learns from the same parts of the split and answers the same rows. Missing values stay missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rajobs.imaging.clinic_visits import Visit
from rajobs.imaging.clinical_picture import finding_value
from rajobs.imaging.rows import CLINIC_TABLE
from rajobs.learning.comparison import Comparison
from rajobs.learning.study import Study
from rajobs.learning.targets import MISSING, Target, encode, predicted
from rajobs.records import metrics

Numbers = NDArray[np.float64]
"""Rows by variables; a missing value is not a number."""

MODEL, REFERENCE = "a plain tabular model", "reference"
SEED = 0


def boosted_trees(known: Numbers, truth: NDArray[np.int64], new: Numbers, classes: int) -> Numbers:
    """Probabilities by gradient boosting with scikit-learn's settings; rare classes have more weight."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    there = ~np.isnan(known).all(axis=0)  # scikit-learn fails on a variable without any value
    model = HistGradientBoostingClassifier(class_weight="balanced", random_state=SEED).fit(known[:, there], truth)
    p = np.zeros((len(new), classes))
    p[:, model.classes_] = model.predict_proba(new[:, there])
    return p


BASELINES: Mapping[str, Callable[[Numbers, NDArray[np.int64], Numbers, int], Numbers]] = {
    "boosted_trees": boosted_trees,
}


def variables(visits: Sequence[Visit], study: Study) -> dict[str, Numbers]:
    """All findings of each visit except the answers, by image_id."""
    answers = {target.name for target in study.targets}
    return {
        visit.image_id: np.array(
            [np.nan if (value := finding_value(finding)) is None else value
             for name, finding in visit.findings.items() if name not in answers]
        )
        for visit in visits
    }  # fmt: skip


def compare_baseline(
    study: Study,
    predictions: pa.Table,
    visits: Sequence[Visit],
    learns: Mapping[str, Mapping[str, str]],
    parts: Sequence[str] = ("train",),
) -> list[Comparison]:
    """The networks and the study's baseline on the rows of a predictions table: two comparisons per target.

    `learns`: by target, the labels of the visits to learn from, which belong to these `parts` of the split. The
    headline's metric, which decides, is last.
    """
    assert study.baseline is not None and study.rows.table == CLINIC_TABLE, "only visits have variables"
    model, values = BASELINES[study.baseline], variables(visits, study)
    compared: list[Comparison] = []
    for target in study.targets:
        answered = predictions.filter(pc.equal(predictions.column("target"), target.name))
        labels = {name: value for name, value in learns[target.name].items() if value in target.classes}
        ids = answered.column("image_id").to_pylist()
        assert not labels.keys() & set(ids), "a row that the baseline learns from must not judge it"
        if len(set(labels.values())) > 1 and ids:
            truth = encode(target, list(labels.values()))
            known, new = (np.stack([values[name] for name in names]) for names in (labels, ids))
            networks, baseline = _compare_with_reference(
                study, target, answered, model(known, truth, new, len(target.classes))
            )
            compared += [networks, replace(baseline, learnt=len(labels), learnt_from=tuple(parts))]
    return compared


def _compare_with_reference(
    study: Study, target: Target, predictions: pa.Table, p: Numbers
) -> tuple[Comparison, Comparison]:
    """The networks and the baseline, whose probabilities are `p`, each compared with the reference."""
    truth = encode(target, predictions.column("truth").to_pylist())
    patients = np.array(predictions.column("patient").to_pylist(), dtype=np.str_)
    networks = encode(target, predictions.column("predicted").to_pylist())
    probabilities = predictions.column("p").to_pylist()
    there = truth != MISSING

    def answers(predicted_classes: NDArray[np.int64], p: Numbers) -> metrics.Answers:
        return metrics.Answers(
            truth=truth[there], predicted=predicted_classes[there], p=p[there], patients=patients[there]
        )

    have_p = all(probabilities)
    of_networks = answers(networks, np.array(probabilities, np.float64) if have_p else np.zeros_like(p))
    of_baseline = answers(predicted(target, p), p)
    names = _order_metrics(study, target, have_p)
    lead = {name: metrics.lead(metrics.METRICS[name], of_networks, of_baseline) for name in names}
    first = Comparison(
        target=target.name,
        who="model",
        against=REFERENCE,
        rows=int(there.sum()),
        figures=_compute_figures(names, of_networks),
    )
    return first, replace(first, who=MODEL, figures=_compute_figures(names, of_baseline), lead=lead)


def _order_metrics(study: Study, target: Target, have_p: bool) -> list[str]:
    """The study's metrics (only those of counts if there are no probabilities), the one that decides last."""
    headline_target, _, deciding = study.headline.partition(".")
    names = [name for name in study.metrics if have_p or name in metrics.BY_COUNTS]
    if headline_target == target.name and deciding in names:
        names.remove(deciding)
        names.append(deciding)
    return names


def _compute_figures(names: Sequence[str], answers: metrics.Answers) -> dict[str, dict[str, float]]:
    return {name: metrics.figure(metrics.METRICS[name], answers) for name in names}


def verdict(metric: str, lead: Mapping[str, float]) -> str:
    """In words, whether the networks win against the baseline, by their lead in the metric that decides."""
    ends = [lead[end] * (-1 if metric in metrics.LESS_IS_BETTER else 1) for end in ("low", "high")]
    if np.isnan(ends).any():
        return f"Whether the networks win against {MODEL} is unknown: the patients are too few, or all answer alike."
    if min(ends) > 0:
        return f"The networks win against {MODEL} of the same variables."
    if max(ends) < 0:
        return f"The networks lose against {MODEL} of the same variables."
    return f"The networks do not win against {MODEL} of the same variables: the difference may be none."
