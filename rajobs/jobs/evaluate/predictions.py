"""Predictions tables: those that a user brings, checked, and the figures that any of them comes to."""

import pyarrow as pa

from rajobs.learning.judging.calibration import NO_CALIBRATION, Calibration
from rajobs.learning.judging.evaluation import figures
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.study import Study
from rajobs.learning.targets import Target
from rajobs.records.errors import BadTable, DataError
from rajobs.records.store import open_store, split_uri
from rajobs.records.tables.parquet_parts import check_predictions, read_file
from rajobs.records.tables.schemas import PREDICTIONS


def read_user_predictions(uri: str, study: Study) -> pa.Table:
    """Predictions made elsewhere, in the contract's schema."""
    place, key = split_uri(uri)
    store = open_store(place)
    check_predictions(store, key, uri, "--predictions")
    table = read_file(store, key, PREDICTIONS)
    for target in study.targets:
        _check_target(table, target)
    if "test" not in table.column("split").to_pylist():
        raise BadTable("predictions: no row is of the test part, which alone judges; name it in the column split")
    return table


def _check_target(table: pa.Table, target: Target) -> None:
    rows = [row for row in table.to_pylist() if row["target"] == target.name]
    wrong = sum(len(row["p"] or ()) != len(target.classes) for row in rows)
    if wrong:
        raise BadTable(f"predictions: {wrong} rows of {target.name} have not {len(target.classes)} probabilities in p")
    unknown = sum(row[name] not in target.classes for row in rows for name in ("truth", "predicted"))
    if unknown:  # the values themselves may be anything, so they are not quoted
        raise BadTable(
            f"predictions: {unknown} values of {target.name} in truth or predicted are none of "
            f"{', '.join(target.classes)}; spell them so"
        )


def figures_of(study: Study, table: pa.Table, calibration: Calibration = NO_CALIBRATION) -> dict[str, dict[str, float]]:
    """Every metric of the study with its interval."""
    answers = {target.name: answers_of(target, table) for target in study.targets}
    known = {name: of_target for name, of_target in answers.items() if of_target is not None}
    computed = figures(study, known, calibration)
    if not computed:
        raise DataError(f"no answer to a target of {study.name}")
    return computed
