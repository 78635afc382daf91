"""A plain model of a row's own numbers, beside the networks that see them as a picture: is the picture worth it?

It learns from the same parts of the split and answers the same rows. What is missing stays missing.
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
"""Rows by variables; NaN where there is none."""

MODEL, REFERENCE = "a plain tabular model", "reference"
SEED = 0


def boosted_trees(known: Numbers, truth: NDArray[np.int64], asked: Numbers, classes: int) -> Numbers:
    """Probabilities by gradient boosting with scikit-learn's settings; rare classes weigh more."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    there = ~np.isnan(known).all(axis=0)  # scikit-learn fails on what nobody ever measured
    model = HistGradientBoostingClassifier(class_weight="balanced", random_state=SEED).fit(known[:, there], truth)
    p = np.zeros((len(asked), classes))
    p[:, model.classes_] = model.predict_proba(asked[:, there])
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
    """The study's baseline and the networks on the rows of a predictions table, two comparisons per target.

    `learns`: by target the labels of the visits to learn from, which belong to these `parts` of the split. The
    headline's metric, which decides, is last.
    """
    assert study.baseline is not None and study.rows.table == CLINIC_TABLE, "visits alone have variables"
    model, values = BASELINES[study.baseline], variables(visits, study)
    compared: list[Comparison] = []
    for target in study.targets:
        answered = predictions.filter(pc.equal(predictions.column("target"), target.name))
        labels = {name: value for name, value in learns[target.name].items() if value in target.classes}
        asked = answered.column("image_id").to_pylist()
        assert not labels.keys() & set(asked), "what it learns from judges nobody"
        if len(set(labels.values())) > 1 and asked:
            truth = encode(target, list(labels.values()))
            known, new = (np.stack([values[name] for name in names]) for names in (labels, asked))
            networks, baseline = _compare(study, target, answered, model(known, truth, new, len(target.classes)))
            compared += [networks, replace(baseline, learnt=len(labels), learnt_from=tuple(parts))]
    return compared


def _compare(study: Study, target: Target, predictions: pa.Table, p: Numbers) -> tuple[Comparison, Comparison]:
    """The networks and the baseline, which answered with the probabilities `p`, each compared with the reference."""
    truth = encode(target, predictions.column("truth").to_pylist())
    patients = np.array(predictions.column("patient").to_pylist(), dtype=np.str_)
    networks = encode(target, predictions.column("predicted").to_pylist())
    probabilities = predictions.column("p").to_pylist()
    there = truth != MISSING

    def answers(predicted_classes: NDArray[np.int64], p: Numbers) -> metrics.Answers:
        return metrics.Answers(
            truth=truth[there], predicted=predicted_classes[there], p=p[there], patients=patients[there]
        )

    sure = all(probabilities)
    one = answers(networks, np.array(probabilities, np.float64) if sure else np.zeros_like(p))
    other = answers(predicted(target, p), p)
    names = _measures(study, target, sure)
    lead = {name: metrics.lead(metrics.METRICS[name], one, other) for name in names}
    first = Comparison(
        target=target.name, who="model", against=REFERENCE, rows=int(there.sum()), figures=_figures(names, one)
    )
    return first, replace(first, who=MODEL, figures=_figures(names, other), lead=lead)


def _measures(study: Study, target: Target, sure: bool) -> list[str]:
    """The study's measures (without probabilities those of counts), the one that decides last."""
    headline, _, chief = study.headline.partition(".")
    names = [name for name in study.metrics if sure or name in metrics.BY_COUNTS]
    if headline == target.name and chief in names:
        names.remove(chief)
        names.append(chief)
    return names


def _figures(names: Sequence[str], answers: metrics.Answers) -> dict[str, dict[str, float]]:
    return {name: metrics.figure(metrics.METRICS[name], answers) for name in names}


def verdict(metric: str, lead: Mapping[str, float]) -> str:
    """In words, whether the networks win against the baseline by their lead in the metric that decides."""
    ends = [lead[end] * (-1 if metric in metrics.LESS_IS_BETTER else 1) for end in ("low", "high")]
    if min(ends) > 0:
        return f"The networks win against {MODEL} of the same variables."
    if max(ends) < 0:
        return f"The networks lose against {MODEL} of the same variables."
    return f"The networks do not win against {MODEL} of the same variables: the difference may be none."
