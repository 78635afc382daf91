"""What evaluate adds in published mode: what the paper's raters and leaks are worth on these data."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rajobs.jobs.train.dataset import LabelledData
from rajobs.jobs.train.splits import patients_and_sources
from rajobs.learning.comparison import RaterFacts, SeededFacts
from rajobs.learning.judging.evaluation import without_images
from rajobs.learning.judging.predictions import answers_of
from rajobs.learning.reader_agreement import third_rater
from rajobs.learning.study import Study
from rajobs.records.label_consensus import ADJUDICATED
from rajobs.records.splits import learning_sources


def raters(source: LabelledData, split: pa.Table) -> tuple[RaterFacts, ...]:
    """How the readers of scores that take a majority agree, on all images of the test part, also those left out."""
    tested = set(split.filter(pc.equal(split.column("split"), "test")).column("image_id").to_pylist())
    targets = [target for target in source.study.targets if target.name in source.study.majority]
    patients = {name: patient for name, patient, _ in patients_and_sources(source.store)} if targets else {}
    facts = []
    for target in targets:
        readings: dict[str, dict[str, str]] = {}
        for row in source.readings.to_pylist():
            of_target = (row["study"], row["target"]) == (source.study.name, target.name)
            judges = row["split"] == "test" or row["image_id"] in tested
            if of_target and judges and row["reader"] not in ADJUDICATED and row["image_id"] in patients:
                readings.setdefault(row["image_id"], {})[row["reader"]] = row["value"]
        known = third_rater(target, readings, patients)
        facts += [known] if known is not None else []
    return tuple(facts)


def seeded(study: Study, source: LabelledData, split: pa.Table, test: pa.Table) -> SeededFacts | None:
    """What the judged images contribute from which images to learn from derive; None if there are none."""
    sources = {name: derived for name, _, derived in patients_and_sources(source.store) if derived}
    part_of = dict(zip(split.column("image_id").to_pylist(), split.column("split").to_pylist()))
    drawings = learning_sources(part_of, sources)
    target = study.target(study.headline.partition(".")[0])
    answers = answers_of(target, test)
    if not drawings or answers is None:
        return None
    judged = test.filter(pc.equal(test.column("target"), target.name)).column("image_id").to_pylist()
    kept = np.array([name not in drawings.values() for name in judged])
    if kept.all() or not kept.any():
        return None
    without, change = without_images(study, answers, kept)
    return SeededFacts(images=int((~kept).sum()), drawings=len(drawings), without=without, change=change)
