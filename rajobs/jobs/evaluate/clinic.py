"""What evaluate says of clinic visits beside the answers: their variables by class, and what the table alone gives."""

from collections.abc import Iterator

import pyarrow as pa

from rajobs.imaging.clinical_picture import finding_value
from rajobs.jobs import console
from rajobs.jobs.train.dataset import LabelledData, read_clinic_visits
from rajobs.learning import tabular_baseline
from rajobs.learning.comparison import Comparison
from rajobs.learning.samples.dataset import LEARNING_PARTS
from rajobs.records.statistics.characteristics import Characteristic, characteristic


def characteristics(source: LabelledData, split: pa.Table) -> Iterator[tuple[str, list[Characteristic]]]:
    """By part of the split, the patients' variables by class, where the paper tabulates them."""
    printed, target = source.study.characteristics, source.study.targets[0]
    if printed is None:
        return
    visits = {visit.image_id: visit.findings for visit in read_clinic_visits(source.store, tuple(printed.columns))}
    for part in printed.tables:
        of_part = {row["image_id"] for row in split.to_pylist() if row["split"] == part}
        known = {image: value for (image, _, _), value in source.labels[target.name].items() if image in of_part}
        if known:
            yield part, [
                characteristic(column, {
                    name: [
                        value for image, of in known.items()
                        if of == name and (value := finding_value(visits[image][column])) is not None
                    ]
                    for name in target.classes
                })
                for column in printed.columns
            ]  # fmt: skip


def compare_baseline(
    source: LabelledData, split: pa.Table, test: pa.Table, *, cross_validated: bool
) -> list[Comparison]:
    """The study's baseline on the same rows; none if the rows are from elsewhere, as it then has nothing to learn."""
    part_of = {row["image_id"]: row["split"] for row in split.to_pylist()}
    parts = {part_of.get(name) for name in test.column("image_id").to_pylist()}
    if source.study.baseline is None or parts != {"test"}:
        return []
    learning = LEARNING_PARTS if cross_validated else ("train",)  # as the networks learn
    labels = {
        target: {image: value for (image, _, _), value in of_target.items() if part_of.get(image) in learning}
        for target, of_target in source.labels.items()
    }
    with console.step("asking a plain model"):
        visits = read_clinic_visits(source.store)
        return tabular_baseline.compare_baseline(source.study, test, visits, labels, learning)
