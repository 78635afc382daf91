"""Who and what is in each part of the split, where a paper tabulates it by patients and groups of joints."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from rajobs.jobs.train.dataset import LabelledData
from rajobs.records.splits import PrintedPatients
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import IMAGES
from rajobs.reports.evaluation.protocol import PartFacts

QUARTILES = (50, 25, 75)
Counts = dict[str, dict[str, dict[str, dict[str, int]]]]
"""By target, group of sites, part of the split and class: how many joints there are."""


def part_facts(source: LabelledData, split: pa.Table) -> dict[str, PartFacts]:
    """By part, its patients with sex and age and its films; nothing of studies whose paper does not deal patients."""
    if not isinstance(source.study.printed_split, PrintedPatients):
        return {}
    images = read_table(source.store, "images", IMAGES, ["image_id", "patient", "sex", "age_years"])
    known = {row["image_id"]: row for row in images.to_pylist()}
    parts: dict[str, list[Mapping[str, object]]] = {}
    for row in split.to_pylist():
        parts.setdefault(row["split"], []).append(known[row["image_id"]])
    return {part: _facts(rows) for part, rows in parts.items()}


def _facts(rows: list[Mapping[str, object]]) -> PartFacts:
    """A patient with several films counts once, by the first of them."""
    patients = list({row["patient"]: row for row in reversed(rows)}.values())
    ages = [float(str(row["age_years"])) for row in patients if row["age_years"] is not None]
    return PartFacts(
        patients=len(patients), films=len(rows),
        female=sum(row["sex"] == "F" for row in patients), male=sum(row["sex"] == "M" for row in patients),
        age=tuple(np.percentile(ages, QUARTILES).tolist()) if ages else (),
    )  # fmt: skip


def group_counts(source: LabelledData, split: pa.Table) -> Counts:
    """The joints of each score in the groups that the paper counts; nothing of studies without such groups."""
    study = source.study
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist(), strict=True))
    group_of = {site: study.printed_kinds[kind] for site, kind in study.kinds.items() if kind in study.printed_kinds}
    counts: Counts = {}
    for target in study.summed if study.printed_kinds else ():
        for (image, _, site), value in source.labels[target].items():
            if image in part_of and site in group_of:
                of_part = counts.setdefault(target, {}).setdefault(group_of[site], {}).setdefault(part_of[image], {})
                of_part[value] = of_part.get(value, 0) + 1
    return counts
